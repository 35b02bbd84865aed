/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One packet's way through one program, and the record it leaves. */
#ifndef WAGGLE_BPF_RECORD_H
#define WAGGLE_BPF_RECORD_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/verdict.h>

#include "lib/events.h"
#include "lib/parse.h"
#include "lib/pass.h"
#include "lib/tables.h"

/* record_begin - until record_end() the record says NONE, which no finished program may leave. */
static __always_inline void record_begin(struct __sk_buff *skb)
{
	skb->cb[0] = 0;
	skb->cb[1] = 0;
	skb->cb[2] = 0;
	skb->cb[3] = 0;
	skb->cb[4] = 0;
}

/* record_end - complete the record, count and report the packet.
 *
 * @result: a TC_ACT_* that a decision returned once it set verdict.kind, or a negated dp_drop.
 * Returns what the program returns.
 */
static __always_inline int record_end(struct __sk_buff *skb, struct pass *pass,
				      enum dp_hook hook, int result)
{
	union {
		struct dp_verdict verdict;
		__u32 word[5];
	} record;
	struct dp_metric *metric;
	__u32 index;

	if (result < 0) {
		pass->verdict.kind = DP_VERDICT_DROP;
		pass->verdict.reason = -result;
		pass->verdict.target = 0;
		result = TC_ACT_SHOT;
	}

	record.verdict = pass->verdict;
	skb->cb[0] = record.word[0];
	skb->cb[1] = record.word[1];
	skb->cb[2] = record.word[2];
	skb->cb[3] = record.word[3];
	skb->cb[4] = record.word[4];

	index = dp_metric_index(hook, pass->verdict.kind, pass->verdict.reason);
	metric = table_find(&metrics, &index);
	if (metric) {
		metric->packets++;
		metric->bytes += pass->length_bytes;
	}

	if (dp_config.events)
		event_report(pass, hook);
	return result;
}

/* The packet goes on where the kernel would have sent it. */
static __always_inline int record_pass(struct pass *pass, enum dp_verdict_kind kind, __u32 target)
{
	pass->verdict.kind = kind;
	pass->verdict.target = target;
	return TC_ACT_OK;
}

#endif
