/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Flow events: what is worth telling, and telling it. */
#ifndef WAGGLE_BPF_EVENTS_H
#define WAGGLE_BPF_EVENTS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <waggle/abi/events.h>

#include "lib/env.h"
#include "lib/pass.h"
#include "lib/tables.h"

/* event_is_due - always: a new flow, a FIN or RST, a drop, an answer. An open flow at most once in
 * event_interval_s. A packet without a flow (a hook that keeps none) only when every packet is
 * wanted, that is at an interval of 0.
 *
 * Race: two CPUs may both find the interval over; the cost is one more event.
 */
static __always_inline bool event_is_due(struct pass *pass)
{
	const __u64 interval_ns = dp_config.event_interval_s * DP_NS_PER_S;
	const struct dp_verdict *verdict = &pass->verdict;

	if (!interval_ns || verdict->kind == DP_VERDICT_DROP ||
	    verdict->kind == DP_VERDICT_ANSWER ||
	    verdict->ct_state == DP_CT_NEW ||
	    (pass->packet.tuple.tcp_flags & (DP_TCP_FIN | DP_TCP_RST) && pass->flow))
		return true;
	return pass->flow && pass->now_ns - pass->flow->reported_ns >= interval_ns;
}

/* event_report - write a flow event if one is due.
 *
 * A full ring loses the event; metrics still count the packet.
 */
static __always_inline void event_report(struct pass *pass, enum dp_hook hook)
{
	struct dp_event *event;

	if (!event_is_due(pass))
		return;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return;
	if (pass->flow)
		pass->flow->reported_ns = pass->now_ns;

	event->time_ns = pass->now_ns;
	event->verdict = pass->verdict;
	event->ifindex = pass->ifindex;
	event->before = pass->before;
	event->after = pass->packet.tuple;
	event->frontend = pass->frontend;
	event->position = pass->position;
	event->policy_peer = pass->policy_peer;
	event->policy_bits = 0; /* the trie does not say which prefix matched */
	event->length_bytes = pass->length_bytes;
	event->zone = dp_this_node.zone;
	event->hook = hook;
	event->pad = 0;
	bpf_ringbuf_submit(event, 0);
}

#endif
