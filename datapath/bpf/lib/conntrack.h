/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Flows: which one a packet belongs to, and how it ages. Entries are written in place; the only map
 * updates are those that open a flow.
 */
#ifndef WAGGLE_BPF_CONNTRACK_H
#define WAGGLE_BPF_CONNTRACK_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/verdict.h>

#include "lib/env.h"
#include "lib/parse.h"
#include "lib/subprogram.h"
#include "lib/tables.h"

#define DP_CT_FIN_BOTH (DP_CT_FIN_FORWARD | DP_CT_FIN_REPLY)

static __always_inline void ct_key_of(struct dp_ct_key *key, const struct dp_tuple *tuple,
				      enum dp_ct_direction direction)
{
	key->source = tuple->source;
	key->destination = tuple->destination;
	key->source_port = tuple->source_port;
	key->destination_port = tuple->destination_port;
	key->zone = dp_this_node.zone;
	key->protocol = tuple->protocol;
	key->direction = direction;
}

static __always_inline void ct_key_reversed(struct dp_ct_key *key, const struct dp_tuple *tuple,
					    enum dp_ct_direction direction)
{
	key->source = tuple->destination;
	key->destination = tuple->source;
	key->source_port = tuple->destination_port;
	key->destination_port = tuple->source_port;
	key->zone = dp_this_node.zone;
	key->protocol = tuple->protocol;
	key->direction = direction;
}

/* Some direction has finished: a SYN opens the flow anew. */
static __always_inline bool ct_is_closing(const struct dp_ct *flow)
{
	return flow->flags & (DP_CT_FIN_BOTH | DP_CT_RESET);
}

/* Both have: the flow no longer owns its tuple. */
static __always_inline bool ct_is_closed(const struct dp_ct *flow)
{
	return flow->flags & DP_CT_RESET || (flow->flags & DP_CT_FIN_BOTH) == DP_CT_FIN_BOTH;
}

/* ct_find - the entry of @key while it lives; NULL at or past its deadline. */
static __always_inline struct dp_ct *ct_find(const struct dp_ct_key *key, __u64 now_ns)
{
	struct dp_ct *flow = table_find(&conntrack, key);

	return flow && now_ns < flow->expires_ns ? flow : NULL;
}

/* ct_lookup - say which flow a packet belongs to.
 *
 * @direction: DP_CT_EGRESS for what a pod sends, DP_CT_INGRESS for what is sent to it: the kind of
 * entry that the packet would open.
 * @flow: the entry; NULL when there is none or when the packet opens it anew.
 *
 * Returns NEW, ESTABLISHED or REPLY. Replies are not asked for their policy, so the packet's own
 * direction is tried first, and these are never replies: a SYN (the other side would be let in
 * through an old flow of ours), an echo request, and anything whose own flow is open. A flow that
 * both sides have closed yields to an open one of the other direction, but still takes the late
 * packets that nothing else claims.
 *
 * Guarantee: a flow at or past its deadline is never reported.
 * Race: two CPUs may both see NEW for one flow. Both then write the same entry; the cost is one
 * repeated policy look-up.
 */
DP_SUBPROGRAM enum dp_ct_state ct_lookup(const struct packet *packet,
					 enum dp_ct_direction direction, __u64 now_ns,
					 struct dp_ct **flow)
{
	const enum dp_ct_direction opposite = direction == DP_CT_EGRESS ? DP_CT_INGRESS
									: DP_CT_EGRESS;
	const bool opens_tcp = packet_opens_tcp(packet);
	struct dp_ct *own = NULL, *other;
	struct dp_ct_key key;

	*flow = NULL;
	if (packet->kind == PACKET_SINGLE)
		return DP_CT_NEW;

	if (packet->kind == PACKET_FLOW) {
		ct_key_of(&key, &packet->tuple, direction);
		own = ct_find(&key, now_ns);
		if (own && opens_tcp && ct_is_closing(own))
			return DP_CT_NEW;
		if (own && !ct_is_closed(own)) {
			*flow = own;
			return DP_CT_ESTABLISHED;
		}
		if (opens_tcp || packet->tuple.protocol == IPPROTO_ICMP ||
		    packet->tuple.protocol == IPPROTO_ICMPV6)
			return DP_CT_NEW;
	}

	ct_key_reversed(&key, &packet->tuple, opposite);
	other = ct_find(&key, now_ns);
	if (other && (!own || !ct_is_closed(other))) {
		*flow = other;
		return DP_CT_REPLY;
	}
	*flow = own;
	return own ? DP_CT_ESTABLISHED : DP_CT_NEW;
}

/* ct_deadline - until when a flow with these flags lives without another packet. A flow that nobody
 * has answered gets the short timeout, however it began, so that strays cannot fill the table.
 */
static __always_inline __u64 ct_deadline(__u8 protocol, __u32 flags, __u64 now_ns)
{
	const struct dp_ct state = {.flags = flags};
	__u32 timeout_s = dp_config.conntrack_any_timeout_s;

	if (protocol == IPPROTO_TCP) {
		if (ct_is_closed(&state))
			timeout_s = dp_config.conntrack_close_timeout_s;
		else if (flags & DP_CT_SEEN_REPLY)
			timeout_s = dp_config.conntrack_tcp_timeout_s;
		else
			timeout_s = dp_config.conntrack_syn_timeout_s;
	}
	return now_ns + timeout_s * DP_NS_PER_S;
}

/* What a packet tells about its flow. */
static __always_inline __u32 ct_flags_of(const struct packet *packet, bool reply)
{
	const __u8 tcp_flags = packet->tuple.tcp_flags;
	__u32 flags = reply ? DP_CT_SEEN_REPLY : 0;

	if (packet->tuple.protocol != IPPROTO_TCP)
		return flags;
	if (packet_opens_tcp(packet) && !reply)
		flags |= DP_CT_SEEN_SYN;
	if (tcp_flags & DP_TCP_FIN)
		flags |= reply ? DP_CT_FIN_REPLY : DP_CT_FIN_FORWARD;
	if (tcp_flags & DP_TCP_RST)
		flags |= DP_CT_RESET;
	return flags;
}

/* ct_refresh - the flow has carried @packet.
 *
 * Race: flags are only ever added, atomically. Two CPUs may store deadlines in either order; they
 * differ by the time between two packets, and at a close by a deadline that the next packet or the
 * longer timeout corrects.
 */
static __always_inline void ct_refresh(struct dp_ct *flow, const struct packet *packet, bool reply,
				       __u64 now_ns)
{
	const __u32 seen = ct_flags_of(packet, reply);
	const __u32 flags = flow->flags | seen;

	if (flags != flow->flags)
		__sync_fetch_and_or(&flow->flags, seen);
	flow->expires_ns = ct_deadline(packet->tuple.protocol, flags, now_ns);
}

/* ct_create - open a flow, over whatever was there before.
 *
 * @flow: frontend, backend, rule and its generation, peer_identity, and flags that are not the
 * packet's. The rest is filled in.
 * Returns 0, or -DP_DROP_CONNTRACK_FULL: a flow that cannot be remembered is not let through.
 */
static __always_inline int ct_create(const struct dp_ct_key *key, struct dp_ct *flow,
				     const struct packet *packet, __u64 now_ns)
{
	flow->flags |= ct_flags_of(packet, false);
	flow->expires_ns = ct_deadline(packet->tuple.protocol, flow->flags, now_ns);
	flow->reported_ns = now_ns;
	return table_put(&conntrack, key, flow) ? -DP_DROP_CONNTRACK_FULL : 0;
}

#endif
