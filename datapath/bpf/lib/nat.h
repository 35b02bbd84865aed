/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Writing addresses and ports into a packet, checksums included. */
#ifndef WAGGLE_BPF_NAT_H
#define WAGGLE_BPF_NAT_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>

#include "lib/address.h"
#include "lib/parse.h"
#include "lib/subprogram.h"

enum nat_end {
	NAT_SOURCE,
	NAT_DESTINATION,
};

/* Where the transport checksum that covers the pseudo header is; 0: none does. SCTP's CRC32c covers
 * neither addresses nor can it be updated in place, ICMP's checksum covers no addresses.
 */
static __always_inline __u32 nat_checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	case IPPROTO_ICMPV6:
		return offsetof(struct icmp6hdr, icmp6_cksum);
	default:
		return 0;
	}
}

/* One sum for both families: an IPv4 address fills the one word in which two dp_addr differ. */
static __always_inline __u32 nat_sum_address(const struct dp_addr *from, const struct dp_addr *to)
{
	return bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), 0);
}

static __always_inline int nat_write_address(struct __sk_buff *skb, const struct packet *packet,
					     enum nat_end end, const struct dp_addr *to,
					     __u32 sum, __u64 ipv6_flags)
{
	__u32 offset = packet->l3_offset;

	if (packet->ipv6) {
		offset += end == NAT_SOURCE ? offsetof(struct ipv6hdr, saddr)
					    : offsetof(struct ipv6hdr, daddr);
		return bpf_skb_store_bytes(skb, offset, to, sizeof(*to), ipv6_flags);
	}
	if (bpf_l3_csum_replace(skb, offset + offsetof(struct iphdr, check), 0, sum, 0))
		return -1;
	offset += end == NAT_SOURCE ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr);
	return bpf_skb_store_bytes(skb, offset, &to->word[3], sizeof(__be32), 0);
}

static __always_inline int nat_write_port(struct __sk_buff *skb, const struct packet *packet,
					  enum nat_end end, __be16 port)
{
	return bpf_skb_store_bytes(skb, packet->l4_offset + (end == NAT_SOURCE ? 0 : 2), &port,
				   sizeof(port), 0);
}

/* nat_apply - write one end of @packet's tuple into the packet.
 *
 * @before: the tuple that the packet still carries.
 * Requires: both of one family; SCTP ports equal.
 * Returns 0 or -DP_DROP_WRITE_ERROR.
 * Guarantee: right checksums stay right, a UDP checksum of 0 stays 0, and so do the sums that a
 * device left in the skb: IPv4's header checksum makes up for its address, IPv6 has none, so its
 * address is stored with BPF_F_RECOMPUTE_CSUM (BPF_F_IPV6 would say the same, on new kernels only).
 */
DP_SUBPROGRAM int nat_apply(struct __sk_buff *skb, const struct packet *packet,
				const struct dp_tuple *before, enum nat_end end)
{
	const struct dp_tuple *after = &packet->tuple;
	const struct dp_addr *from = end == NAT_SOURCE ? &before->source : &before->destination;
	const struct dp_addr *to = end == NAT_SOURCE ? &after->source : &after->destination;
	const __be16 from_port = end == NAT_SOURCE ? before->source_port : before->destination_port;
	const __be16 to_port = end == NAT_SOURCE ? after->source_port : after->destination_port;
	const __u64 flags = after->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	const __u32 sum = nat_sum_address(from, to);
	__u32 checksum = nat_checksum_offset(after->protocol);

	if (checksum) {
		checksum += packet->l4_offset;
		if (bpf_l4_csum_replace(skb, checksum, 0, sum, flags | BPF_F_PSEUDO_HDR))
			return -DP_DROP_WRITE_ERROR;
	}
	if (nat_write_address(skb, packet, end, to, sum, BPF_F_RECOMPUTE_CSUM))
		return -DP_DROP_WRITE_ERROR;

	if (from_port == to_port)
		return 0;
	if ((checksum && bpf_l4_csum_replace(skb, checksum, from_port, to_port,
					     flags | sizeof(to_port))) ||
	    nat_write_port(skb, packet, end, to_port))
		return -DP_DROP_WRITE_ERROR;
	return 0;
}

#endif
