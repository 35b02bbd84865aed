/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ICMP errors about flows that are known: passed without policy, translated like the packet they
 * quote, or nobody would know what they are about (path MTU discovery through a service).
 */
#ifndef WAGGLE_BPF_ICMP_H
#define WAGGLE_BPF_ICMP_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>

#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/verdict.h>

#include "lib/conntrack.h"
#include "lib/nat.h"
#include "lib/parse.h"
#include "lib/pass.h"
#include "lib/subprogram.h"
#include "lib/tables.h"

#define DP_ICMP_CHECKSUM_OFFSET 2

/* icmp_fix_quoted_checksum - add @sum to the quoted transport checksum, where it was quoted.
 *
 * Returns 1 when there was one to fix, 0 when not, -1 when the kernel refused.
 */
static __always_inline int icmp_fix_quoted_checksum(struct __sk_buff *skb,
						    const struct packet *quoted, __u32 sum)
{
	__u32 offset = nat_checksum_offset(quoted->tuple.protocol);
	__be16 old;

	if (!offset)
		return 0;
	offset += quoted->l4_offset;
	if (offset + sizeof(old) > quoted->l3_offset + quoted->l3_bytes ||
	    bpf_skb_load_bytes(skb, offset, &old, sizeof(old)))
		return 0;
	if (quoted->tuple.protocol == IPPROTO_UDP && !old)
		return 0;
	/* A plain 16-bit sum update at any offset, which is what a quote needs. */
	return bpf_l3_csum_replace(skb, offset, 0, sum, 0) ? -1 : 1;
}

/* icmp_rewrite_quote - give one end of the quoted packet another address and port.
 *
 * @error: the ICMP error, @quoted: the packet that it quotes, @to: holds the new end.
 * Guarantee: the quoted checksums and the error's stay right.
 *
 * The error's checksum covers the quote. Within it, with address sum a and port sum p:
 *   - IPv4's header checksum moves by -a, against its address; IPv6 has none: 0, or a for IPv6
 *   - the port moves by p
 *   - the transport checksum, if it is there, moves by -(a + p)
 */
DP_SUBPROGRAM int icmp_rewrite_quote(struct __sk_buff *skb, const struct packet *error,
				     const struct packet *quoted, enum nat_end end,
				     const struct dp_tuple *to)
{
	const struct dp_tuple *before = &quoted->tuple;
	const bool source = end == NAT_SOURCE;
	const struct dp_addr *from = source ? &before->source : &before->destination;
	const struct dp_addr *address = source ? &to->source : &to->destination;
	const __be16 from_port = source ? before->source_port : before->destination_port;
	const __be16 port = source ? to->source_port : to->destination_port;
	const __be32 old_port = from_port, new_port = port;
	const __u32 port_sum = bpf_csum_diff((__be32 *)&old_port, sizeof(old_port),
					     (__be32 *)&new_port, sizeof(new_port), 0);
	const __u32 address_sum = nat_sum_address(from, address);
	const __u64 both = (__u64)address_sum + port_sum;
	const __u32 both_sum = (__u32)both + (__u32)(both >> 32);
	const __u32 checksum = error->l4_offset + DP_ICMP_CHECKSUM_OFFSET;
	__u32 sum = quoted->ipv6 ? both_sum : port_sum;
	int fixed;

	fixed = icmp_fix_quoted_checksum(skb, quoted, both_sum);
	if (fixed < 0)
		return -DP_DROP_WRITE_ERROR;
	if (fixed)
		sum = quoted->ipv6 ? 0 : ~address_sum;

	if (nat_write_address(skb, quoted, end, address, address_sum, 0) ||
	    (port != from_port && nat_write_port(skb, quoted, end, port)) ||
	    (sum && bpf_l4_csum_replace(skb, checksum, 0, sum, 0)))
		return -DP_DROP_WRITE_ERROR;
	return 0;
}

/* icmp_read_quote - the flow that an error is about, as the quoted packet's tuple.
 *
 * An error goes to whoever sent the packet it quotes; one that does not is forged.
 * Returns 0 or a negated reason.
 */
static __always_inline int icmp_read_quote(struct __sk_buff *skb, const struct packet *error,
					   struct packet *quoted)
{
	int err = parse_quoted(skb, error, quoted);

	if (err)
		return err == -DP_DROP_INVALID_PACKET ? err : -DP_DROP_UNKNOWN_ICMP;
	if (quoted->kind != PACKET_FLOW && quoted->kind != PACKET_ECHO_REPLY)
		return -DP_DROP_UNKNOWN_ICMP;
	if (!addr_equal(&error->tuple.destination, &quoted->tuple.source))
		return -DP_DROP_UNKNOWN_ICMP;
	return 0;
}

/* icmp_flow - the live flow that a quoted packet was part of; NULL: none.
 *
 * @answered: the quoted packet was a reply, so the flow is known by its reverse.
 */
DP_SUBPROGRAM struct dp_ct *icmp_flow(const struct pass *pass, const struct dp_tuple *quoted,
				      enum dp_ct_direction direction, bool answered)
{
	struct dp_ct_key key;

	if (answered)
		ct_key_reversed(&key, quoted, direction);
	else
		ct_key_of(&key, quoted, direction);
	return ct_find(&key, pass->now_ns);
}

/* icmp_apply - write what was decided about an error: @outer its addresses, @inner its quote's. */
static __always_inline int icmp_apply(struct __sk_buff *skb, struct pass *pass,
				      const struct packet *quoted, const struct dp_tuple *inner)
{
	const struct packet *error = &pass->packet;
	int err = 0;

	if (!addr_equal(&inner->source, &quoted->tuple.source))
		err = icmp_rewrite_quote(skb, error, quoted, NAT_SOURCE, inner);
	if (!err && !addr_equal(&inner->destination, &quoted->tuple.destination))
		err = icmp_rewrite_quote(skb, error, quoted, NAT_DESTINATION, inner);
	if (!err && !addr_equal(&error->tuple.source, &pass->before.source))
		err = nat_apply(skb, error, &pass->before, NAT_SOURCE);
	if (!err && !addr_equal(&error->tuple.destination, &pass->before.destination))
		err = nat_apply(skb, error, &pass->before, NAT_DESTINATION);
	return err;
}

/* icmp_from_pod - an error that a pod sends.
 *
 * About a packet that a client sent to the pod, or about a reply to the pod's own: passes as it is.
 * About a reply through a service, which the pod knows by the service address: goes to the backend
 * that sent it, in its words. About a packet of its own that came back to it (hairpin): both ends
 * change.
 * Returns 0, 1 when the packet is to go straight back into the pod, or a negated reason.
 */
DP_SUBPROGRAM int icmp_from_pod(struct __sk_buff *skb, struct pass *pass)
{
	struct dp_tuple *outer = &pass->packet.tuple;
	const struct dp_reverse_nat *original;
	const struct dp_backend *backend;
	struct packet quoted = {};
	struct dp_tuple inner;
	struct dp_ct *flow;
	int err;

	err = icmp_read_quote(skb, &pass->packet, &quoted);
	if (err)
		return err;
	if (!addr_equal(&outer->source, &quoted.tuple.destination))
		return -DP_DROP_UNKNOWN_ICMP;
	pass->verdict.ct_state = DP_CT_RELATED;
	inner = quoted.tuple;

	flow = icmp_flow(pass, &quoted.tuple, DP_CT_INGRESS, false);
	if (!flow) {
		flow = icmp_flow(pass, &quoted.tuple, DP_CT_EGRESS, true);
		if (flow && flow->frontend)
			flow = NULL;
	}
	pass->flow = flow;
	if (flow)
		return 0;

	flow = icmp_flow(pass, &quoted.tuple, DP_CT_SERVICE, true);
	if (flow) {
		const struct dp_backend_key key = {.id = flow->backend};

		backend = table_find(&backends, &key);
		if (!backend)
			return -DP_DROP_SERVICE_BACKEND_GONE;
		pass->flow = flow;
		pass->frontend = flow->frontend;
		pass->verdict.backend = flow->backend;
		pass->verdict.flags |= DP_FLAG_TRANSLATED;
		outer->destination = backend->address;
		inner.source = backend->address;
		inner.source_port = backend->port;
		err = icmp_apply(skb, pass, &quoted, &inner);
		return err;
	}

	flow = icmp_flow(pass, &quoted.tuple, DP_CT_EGRESS, false);
	if (!flow || !(flow->flags & DP_CT_HAIRPIN))
		return -DP_DROP_UNKNOWN_ICMP;
	{
		const struct dp_reverse_nat_key key = {.frontend = flow->frontend};

		original = table_find(&reverse_nat, &key);
	}
	if (!original)
		return -DP_DROP_REVERSE_NAT_NOT_FOUND;
	pass->flow = flow;
	pass->frontend = flow->frontend;
	pass->verdict.backend = flow->backend;
	pass->verdict.flags |= DP_FLAG_REVERSED | DP_FLAG_HAIRPIN;
	inner.source = outer->source;
	inner.destination = original->address;
	inner.destination_port = original->port;
	outer->destination = outer->source;
	outer->source = original->address;
	err = icmp_apply(skb, pass, &quoted, &inner);
	return err ? err : 1;
}

/* icmp_to_pod - an error that reaches a pod.
 *
 * About a packet that the pod sent through a service: told in the words of the service address, and
 * from it when the backend itself complains. About anything else that it sent, or about a
 * reply of its own: as it is.
 * Returns 0 or a negated reason.
 */
DP_SUBPROGRAM int icmp_to_pod(struct __sk_buff *skb, struct pass *pass)
{
	struct dp_tuple *outer = &pass->packet.tuple;
	const struct dp_reverse_nat *original;
	struct packet quoted = {};
	struct dp_tuple inner;
	struct dp_ct *flow;
	int err;

	err = icmp_read_quote(skb, &pass->packet, &quoted);
	if (err)
		return err;
	pass->verdict.ct_state = DP_CT_RELATED;
	inner = quoted.tuple;

	flow = icmp_flow(pass, &quoted.tuple, DP_CT_EGRESS, false);
	if (flow && flow->frontend) {
		const struct dp_reverse_nat_key key = {.frontend = flow->frontend};

		original = table_find(&reverse_nat, &key);
		if (!original)
			return -DP_DROP_REVERSE_NAT_NOT_FOUND;
		pass->flow = flow;
		pass->frontend = flow->frontend;
		pass->verdict.backend = flow->backend;
		pass->verdict.flags |= DP_FLAG_REVERSED;
		if (addr_equal(&outer->source, &inner.destination))
			outer->source = original->address;
		inner.destination = original->address;
		inner.destination_port = original->port;
		return icmp_apply(skb, pass, &quoted, &inner);
	}
	if (!flow)
		flow = icmp_flow(pass, &quoted.tuple, DP_CT_INGRESS, true);
	pass->flow = flow;
	return flow ? 0 : -DP_DROP_UNKNOWN_ICMP;
}

#endif
