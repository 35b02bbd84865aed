/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ICMP errors that the datapath makes itself: the packet that cannot be served becomes "port
 * unreachable" from the address it was sent to, so that the client fails at once, not by timeout.
 */
#ifndef WAGGLE_BPF_ANSWER_H
#define WAGGLE_BPF_ANSWER_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/rate_limits.h>

#include "lib/env.h"
#include "lib/parse.h"
#include "lib/pass.h"
#include "lib/subprogram.h"
#include "lib/tables.h"

#define DP_ANSWER_TTL 64
#define DP_ANSWER_BYTES_V4 576  /* RFC 1812, 4.3.2.3 */
#define DP_ANSWER_BYTES_V6 1280 /* RFC 4443, 2.4 (c) */
#define DP_ANSWER_CHUNK_BYTES 64
#define DP_ANSWER_CHUNKS_MAX 20 /* of the longest quote: 1280 - 40 - 8 bytes */

struct answer_v4 {
	struct iphdr ip;
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 unused;
};

struct answer_v6 {
	struct ipv6hdr ip;
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 unused;
};

static __always_inline __sum16 answer_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* answer_is_allowed - take a token of this node's bucket.
 *
 * icmp_error_rate tokens a second, at most icmp_error_burst at once. The instant of the last credit
 * moves by whole tokens only, so fractions are never lost.
 * Race: two CPUs may take the same token; the cost is one more answer.
 */
static __always_inline bool answer_is_allowed(__u64 now_ns)
{
	const __u64 rate = dp_config.icmp_error_rate, burst = dp_config.icmp_error_burst;
	const struct dp_rate_limit_key key = {.zone = dp_this_node.zone};
	struct dp_rate_limit *bucket = table_find(&rate_limits, &key);
	__u64 elapsed_ns, credit;

	if (!bucket) {
		const struct dp_rate_limit full = {.refilled_ns = now_ns, .tokens = burst - 1};

		return !table_put(&rate_limits, &key, &full);
	}
	elapsed_ns = now_ns - bucket->refilled_ns;
	if (rate && elapsed_ns >= burst * DP_NS_PER_S / rate) {
		bucket->tokens = burst;
		bucket->refilled_ns = now_ns;
	} else if (rate) {
		credit = elapsed_ns * rate / DP_NS_PER_S;
		if (bucket->tokens + credit >= burst) {
			bucket->tokens = burst;
			bucket->refilled_ns = now_ns;
		} else {
			bucket->tokens += credit;
			bucket->refilled_ns += credit * DP_NS_PER_S / rate;
		}
	}
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

/* The sum of @bytes of the packet from @offset on. */
static __always_inline __u32 answer_sum_quote(struct __sk_buff *skb, __u32 offset, __u32 bytes)
{
	__be32 chunk[DP_ANSWER_CHUNK_BYTES / sizeof(__be32)];
	__u32 sum = 0, rest;
	int i;

	for (i = 0; i < DP_ANSWER_CHUNKS_MAX; i++) {
		if (!bytes)
			break;
		__builtin_memset(chunk, 0, sizeof(chunk));
		rest = bytes < sizeof(chunk) ? bytes : sizeof(chunk);
		/* The verifier must see the bound on the register that the helper gets. */
		barrier_var(rest);
		if (!rest || rest > sizeof(chunk) || bpf_skb_load_bytes(skb, offset, chunk, rest))
			break;
		sum = bpf_csum_diff(NULL, 0, chunk, sizeof(chunk), sum);
		offset += rest;
		bytes -= rest;
	}
	return sum;
}

static __always_inline int answer_write_v4(struct __sk_buff *skb, const struct dp_tuple *tuple,
					   __u32 quote_bytes)
{
	struct answer_v4 answer = {
		.ip.version = 4,
		.ip.ihl = sizeof(struct iphdr) / 4,
		.ip.tot_len = bpf_htons(sizeof(answer) + quote_bytes),
		.ip.ttl = DP_ANSWER_TTL,
		.ip.protocol = IPPROTO_ICMP,
		.ip.saddr = tuple->destination.word[3],
		.ip.daddr = tuple->source.word[3],
		.type = DP_ICMP_UNREACHABLE,
		.code = 3, /* port */
	};
	__u32 sum;

	answer.ip.check = answer_fold(bpf_csum_diff(NULL, 0, (__be32 *)&answer.ip,
						    sizeof(answer.ip), 0));
	sum = answer_sum_quote(skb, ETH_HLEN + sizeof(answer), quote_bytes);
	answer.checksum = answer_fold(bpf_csum_diff(NULL, 0, (__be32 *)&answer.type,
						    DP_ICMP_HEADER_BYTES, sum));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &answer, sizeof(answer), 0);
}

static __always_inline int answer_write_v6(struct __sk_buff *skb, const struct dp_tuple *tuple,
					   __u32 quote_bytes)
{
	struct answer_v6 answer = {
		.ip.version = 6,
		.ip.payload_len = bpf_htons(DP_ICMP_HEADER_BYTES + quote_bytes),
		.ip.nexthdr = IPPROTO_ICMPV6,
		.ip.hop_limit = DP_ANSWER_TTL,
		.type = ICMPV6_DEST_UNREACH,
		.code = 4, /* port */
	};
	const __be32 pseudo[2] = {bpf_htonl(DP_ICMP_HEADER_BYTES + quote_bytes),
				  bpf_htonl(IPPROTO_ICMPV6)};
	__u32 sum;

	__builtin_memcpy(&answer.ip.saddr, &tuple->destination, sizeof(struct dp_addr));
	__builtin_memcpy(&answer.ip.daddr, &tuple->source, sizeof(struct dp_addr));
	sum = answer_sum_quote(skb, ETH_HLEN + sizeof(answer), quote_bytes);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)pseudo, sizeof(pseudo), sum);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&answer.ip.saddr, 2 * sizeof(struct dp_addr), sum);
	answer.checksum = answer_fold(bpf_csum_diff(NULL, 0, (__be32 *)&answer.type,
						    DP_ICMP_HEADER_BYTES, sum));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &answer, sizeof(answer), 0);
}

/* answer_unreachable - turn the packet into "port unreachable", back to its sender.
 *
 * @packet: as it came: it is what the answer quotes, as far as the family's minimum MTU allows.
 * Requires: @packet is no ICMP error (an error is never answered by one).
 * Returns 0 or -DP_DROP_WRITE_ERROR.
 */
DP_SUBPROGRAM int answer_unreachable(struct __sk_buff *skb, const struct packet *packet)
{
	const __u32 head = packet->ipv6 ? sizeof(struct answer_v6) : sizeof(struct answer_v4);
	const __u32 most = (packet->ipv6 ? DP_ANSWER_BYTES_V6 : DP_ANSWER_BYTES_V4) - head;
	const __u32 quote_bytes = packet->l3_bytes < most ? packet->l3_bytes : most;
	__u8 macs[2 * ETH_ALEN], swapped[2 * ETH_ALEN];
	int err;

	/* Trimming first also ends segmentation offload, which adjust_room would refuse. */
	if (bpf_skb_change_tail(skb, ETH_HLEN + quote_bytes, 0) ||
	    bpf_skb_adjust_room(skb, head, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
		return -DP_DROP_WRITE_ERROR;

	err = packet->ipv6 ? answer_write_v6(skb, &packet->tuple, quote_bytes)
			   : answer_write_v4(skb, &packet->tuple, quote_bytes);
	__builtin_memcpy(swapped, macs + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(swapped + ETH_ALEN, macs, ETH_ALEN);
	if (err || bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0))
		return -DP_DROP_WRITE_ERROR;
	return 0;
}

#endif
