/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Everything that is known about the packet being judged; one a run, on the hook's stack. */
#ifndef WAGGLE_BPF_PASS_H
#define WAGGLE_BPF_PASS_H

#include <waggle/abi/events.h>
#include <waggle/abi/metrics.h>
#include <waggle/abi/verdict.h>

#include "lib/env.h"
#include "lib/parse.h"

#define DP_NOT_ASKED (~0u)

struct pass {
	struct packet packet;     /* its tuple is the packet's as it leaves */
	struct dp_tuple before;   /* as it came */
	struct dp_verdict verdict;
	__u32 length_bytes;
	__u32 policy_generation;  /* read before policy is asked: what is cached is never too new */
	__u64 now_ns;
	struct dp_ct *flow;       /* entry that aggregates this packet's events; NULL: none */
	__u32 frontend;
	__u32 position;
	__u32 policy_peer;
	__u32 ifindex;            /* the device that the program runs on */
};

/* pass_begin - parse the packet and note how it came. Returns what parse() returns. */
static __always_inline int pass_begin(struct __sk_buff *skb, struct pass *pass)
{
	int err;

	pass->ifindex = skb->ifindex;
	pass->length_bytes = skb->len;
	pass->position = DP_NOT_ASKED;
	pass->policy_peer = DP_NOT_ASKED;
	pass->policy_generation = dp_this_node.policy_generation;
	pass->now_ns = dp_now_ns();
	err = parse(skb, &pass->packet);
	pass->before = pass->packet.tuple;
	return err;
}

#endif
