/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_netdev: what arrives at the node, at the ingress of its uplink. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "lib/forward.h"
#include "lib/identity.h"
#include "lib/pass.h"
#include "lib/record.h"

/* What parse() refused. The uplink also carries the node's own traffic (LLDP, VLANs, fragments,
 * tunnels, families that pods do not use), which is for the stack to judge; a packet that no stack
 * could read, or one that a pod would get, is dropped here.
 */
static __always_inline int refuse(struct pass *pass, int err)
{
	if (err == -DP_DROP_UNSUPPORTED_L2 || err == -DP_DROP_IP_FAMILY_DISABLED)
		return record_pass(pass, DP_VERDICT_STACK, 0);
	if (pass->packet.kind != PACKET_UNKNOWN &&
	    !endpoint_find(&pass->packet.tuple.destination))
		return record_pass(pass, DP_VERDICT_STACK, 0);
	return err;
}

static __always_inline int decide(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_tuple *tuple = &pass->packet.tuple;
	const struct dp_endpoint *endpoint;
	const struct dp_ipcache *entry;
	__u32 identity;
	int err;

	err = pass_begin(skb, pass);
	if (err)
		return refuse(pass, err);
	if (pass->packet.kind == PACKET_LINK)
		return record_pass(pass, DP_VERDICT_STACK, 0);

	/* Nobody out there has our addresses; as a pod's source one of them would pass for HOST. */
	if (identity_is_host(&tuple->source) || endpoint_find(&tuple->source))
		return -DP_DROP_INVALID_SOURCE;
	err = identity_find(&tuple->source, &identity);
	if (err)
		return err;
	pass->verdict.source_identity = identity;

	endpoint = endpoint_find(&tuple->destination);
	if (endpoint) {
		if (endpoint->identity > DP_IDENTITY_MAX)
			return -DP_DROP_INVALID_IDENTITY;
		pass->verdict.destination_identity = endpoint->identity;
		return forward_local(skb, pass, endpoint);
	}

	err = identity_find(&tuple->destination, &identity);
	if (err)
		return err;
	pass->verdict.destination_identity = identity;
	entry = ipcache_find(&tuple->destination);
	if (entry && entry->node && entry->node == dp_this_node.node_id)
		return -DP_DROP_UNKNOWN_ENDPOINT;
	return record_pass(pass, DP_VERDICT_STACK, 0);
}

SEC("tc")
int from_netdev(struct __sk_buff *skb)
{
	struct pass pass = {};

	record_begin(skb);
	return record_end(skb, &pass, DP_HOOK_from_netdev, decide(skb, &pass));
}

char _license[] SEC("license") = "Dual BSD/GPL";
