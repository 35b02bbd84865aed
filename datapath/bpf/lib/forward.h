/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where a packet goes next. */
#ifndef WAGGLE_BPF_FORWARD_H
#define WAGGLE_BPF_FORWARD_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/verdict.h>

#include "lib/identity.h"
#include "lib/pass.h"
#include "lib/record.h"
#include "lib/subprogram.h"
#include "lib/tables.h"

#define DP_AF_INET 2 /* <sys/socket.h> is libc's, not the kernel's */
#define DP_AF_INET6 10

/* forward_age - one hop further: TTL or hop limit goes down by one.
 *
 * Returns -DP_DROP_TTL_EXCEEDED for a packet that may not be routed any more.
 */
static __always_inline int forward_age(struct __sk_buff *skb, const struct packet *packet)
{
	const __u32 start = packet->l3_offset;
	const __u8 ttl = packet->ttl - 1;

	if (packet->ttl <= 1)
		return -DP_DROP_TTL_EXCEEDED;
	if (packet->ipv6) {
		if (bpf_skb_store_bytes(skb, start + offsetof(struct ipv6hdr, hop_limit), &ttl,
					sizeof(ttl), 0))
			return -DP_DROP_WRITE_ERROR;
		return 0;
	}
	/* TTL is the high byte of a 16-bit word of the header checksum. */
	if (bpf_l3_csum_replace(skb, start + offsetof(struct iphdr, check),
				bpf_htons(packet->ttl << 8), bpf_htons(ttl << 8), sizeof(__u16)) ||
	    bpf_skb_store_bytes(skb, start + offsetof(struct iphdr, ttl), &ttl, sizeof(ttl), 0))
		return -DP_DROP_WRITE_ERROR;
	return 0;
}

static __always_inline int forward_set_macs(struct __sk_buff *skb,
					    const struct dp_endpoint *endpoint)
{
	__u8 macs[2 * ETH_ALEN];

	__builtin_memcpy(macs, endpoint->pod_mac, ETH_ALEN);
	__builtin_memcpy(macs + ETH_ALEN, endpoint->host_mac, ETH_ALEN);
	return bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) ? -DP_DROP_WRITE_ERROR : 0;
}

/* forward_local - to a pod of this node, through its to_container, which judges ingress. */
static __always_inline int forward_local(struct __sk_buff *skb, struct pass *pass,
					 const struct dp_endpoint *endpoint)
{
	int err = forward_age(skb, &pass->packet);

	if (!err)
		err = forward_set_macs(skb, endpoint);
	if (err)
		return err;
	pass->verdict.kind = DP_VERDICT_LOCAL;
	pass->verdict.target = endpoint->ifindex;
	return bpf_redirect(endpoint->ifindex, 0);
}

/* forward_node - to another node, which must be a neighbour on the uplink (direct routing). The
 * kernel resolves its MAC; no neighbour entry is needed beforehand.
 */
DP_SUBPROGRAM int forward_node(struct __sk_buff *skb, struct pass *pass, __u32 id)
{
	const struct dp_node_key key = {.id = id};
	const struct dp_node *node = table_find(&nodes, &key);
	struct bpf_redir_neigh next_hop = {};
	int err;

	if (!node)
		return -DP_DROP_UNKNOWN_NODE;
	if (pass->packet.ipv6) {
		if (addr_is_zero(&node->address6))
			return -DP_DROP_UNKNOWN_NODE;
		next_hop.nh_family = DP_AF_INET6;
		__builtin_memcpy(next_hop.ipv6_nh, &node->address6, sizeof(next_hop.ipv6_nh));
	} else {
		if (addr_is_zero(&node->address4))
			return -DP_DROP_UNKNOWN_NODE;
		next_hop.nh_family = DP_AF_INET;
		next_hop.ipv4_nh = node->address4.word[3];
	}
	err = forward_age(skb, &pass->packet);
	if (err)
		return err;
	pass->verdict.kind = DP_VERDICT_NODE;
	pass->verdict.target = id;
	return bpf_redirect_neigh(dp_this_node.uplink_ifindex, &next_hop, sizeof(next_hop), 0);
}

/* forward_back - into the pod that sent it, past its to_container: its traffic with itself needs
 * no second judgement, and could not be told from a stranger's.
 */
static __always_inline int forward_back(struct pass *pass, enum dp_verdict_kind kind, __u32 ifindex)
{
	pass->verdict.kind = kind;
	pass->verdict.target = ifindex;
	return bpf_redirect_peer(ifindex, 0);
}

/* forward - route by destination: a pod here, a pod elsewhere, or the host's stack, which owns the
 * node's addresses and the way to the world.
 */
static __always_inline int forward(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_addr *destination = &pass->packet.tuple.destination;
	const struct dp_endpoint *endpoint = endpoint_find(destination);
	const struct dp_ipcache *remote;

	if (endpoint)
		return forward_local(skb, pass, endpoint);
	remote = ipcache_find(destination);
	if (!remote || !remote->node)
		return record_pass(pass, DP_VERDICT_STACK, 0);
	if (remote->node == dp_this_node.node_id)
		return -DP_DROP_UNKNOWN_ENDPOINT;
	return forward_node(skb, pass, remote->node);
}

#endif
