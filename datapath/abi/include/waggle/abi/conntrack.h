/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* conntrack: the flows a node knows, from the originator's point of view.
 *
 * A flow has up to three entries. SERVICE remembers which backend was chosen for a service address.
 * EGRESS is what a local pod opened (after translation), INGRESS what was opened to a local pod;
 * a flow between two pods of one node has both, because each side's policy is asked for itself.
 *
 * Not an LRU: a full table refuses new flows with a reason, it never forgets live ones in silence.
 * Expired entries are removed by the datapath's own program (gc), against the entry's own value and
 * the datapath's own clock.
 */
#ifndef WAGGLE_ABI_CONNTRACK_H
#define WAGGLE_ABI_CONNTRACK_H

#include <waggle/abi/types.h>

enum dp_ct_direction {
	DP_CT_INGRESS = 0,
	DP_CT_EGRESS = 1,
	DP_CT_SERVICE = 2,
};

struct dp_ct_key {
	struct dp_addr source;
	struct dp_addr destination;
	__be16 source_port; /* ICMP echo: the identifier; the other port is 0 */
	__be16 destination_port;
	__u16 zone;
	__u8 protocol;
	__u8 direction; /* enum dp_ct_direction */
};
DP_STATIC_ASSERT(sizeof(struct dp_ct_key) == 40);

enum dp_ct_flags {
	DP_CT_HAIRPIN = 1,      /* source was rewritten to node_config.hairpin */
	DP_CT_SEEN_SYN = 2,     /* originator's SYN */
	DP_CT_SEEN_REPLY = 4,   /* any packet of the reply direction; TCP: its SYN-ACK or later */
	DP_CT_FIN_FORWARD = 8,
	DP_CT_FIN_REPLY = 16,
	DP_CT_RESET = 32,
};

struct dp_ct {
	__u64 expires_ns;        /* live while now < expires_ns */
	__u64 reported_ns;       /* last flow event */
	__u32 frontend;          /* EGRESS, SERVICE: key of `reverse_nat`; 0: no service */
	__u32 backend;           /* EGRESS, SERVICE: key of `backends`; 0: no service */
	__u32 policy_generation; /* the generation that `rule` was decided under */
	__u32 rule;              /* dp_policy.rule of the entry that allowed it */
	__u32 peer_identity;     /* EGRESS: destination's, INGRESS: source's, as of `rule` */
	__u32 flags;             /* enum dp_ct_flags */
};
DP_STATIC_ASSERT(sizeof(struct dp_ct) == 40);

#endif
