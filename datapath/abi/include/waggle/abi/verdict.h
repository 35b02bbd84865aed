/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The verdict record: what a program decided, left in skb->cb[] on every path. TEST_RUN returns it
 * in ctx_out.cb; the flow event carries the same struct. `kind` is never DP_VERDICT_NONE when a
 * program has ended: a record of NONE is a defect (B3).
 */
#ifndef WAGGLE_ABI_VERDICT_H
#define WAGGLE_ABI_VERDICT_H

#include <waggle/abi/types.h>

enum dp_verdict_kind {
	DP_VERDICT_NONE = 0,
	DP_VERDICT_DROP = 1,    /* reason: enum dp_drop */
	DP_VERDICT_LOCAL = 2,   /* to the pod behind `target` (ifindex); to_container is next */
	DP_VERDICT_NODE = 3,    /* out of the uplink towards node `target` (key of `nodes`) */
	DP_VERDICT_STACK = 4,   /* left to the host's stack: the node, the world, ARP and ND */
	DP_VERDICT_DELIVER = 5, /* into the pod: past to_container, or straight from from_container
				 * (hairpin) to `target` */
	DP_VERDICT_ANSWER = 6,  /* turned into an ICMP error back to its sender, ifindex `target` */
	DP_VERDICT_WIRE = 7,    /* past to_netdev, onto the uplink */
};

enum dp_ct_state {
	DP_CT_NONE = 0,        /* not asked */
	DP_CT_NEW = 1,
	DP_CT_ESTABLISHED = 2, /* the originator's direction of a known flow */
	DP_CT_REPLY = 3,
	DP_CT_RELATED = 4,     /* an ICMP error about a known flow */
};

enum dp_verdict_flags {
	DP_FLAG_TRANSLATED = 1,   /* service address -> backend; `backend` says which */
	DP_FLAG_REVERSED = 2,     /* backend -> service address */
	DP_FLAG_HAIRPIN = 4,      /* a pod reaching itself through a service */
	DP_FLAG_CACHED = 8,       /* the policy verdict came from conntrack */
	DP_FLAG_AFFINITY = 16,    /* the backend came from the affinity table */
	DP_FLAG_RATE_LIMITED = 32,/* an ICMP answer was due and withheld */
};

struct dp_verdict {
	__u32 source_identity : 24, kind : 4, ct_state : 4;
	__u32 destination_identity : 24, reason : 8;
	__u32 target : 24, flags : 8;
	__u32 rule;    /* dp_policy.rule of the entry that decided; 0: none asked or none matched */
	__u32 backend; /* key of `backends`; 0: no service took part */
};
DP_STATIC_ASSERT(sizeof(struct dp_verdict) == 20); /* skb->cb as BPF sees it */

#endif
