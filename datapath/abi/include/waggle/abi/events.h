/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* events: the flow log, a ring buffer. A new flow, a closed flow, a drop and an answer are always
 * reported; an open flow at most once in dp_config.event_interval_s.
 */
#ifndef WAGGLE_ABI_EVENTS_H
#define WAGGLE_ABI_EVENTS_H

#include <waggle/abi/types.h>
#include <waggle/abi/verdict.h>

struct dp_tuple {
	struct dp_addr source;
	struct dp_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 tcp_flags;   /* as on the wire; 0 unless TCP */
	__u8 icmp_type;   /* ICMP, ICMPv6 */
	__u8 icmp_code;
};
DP_STATIC_ASSERT(sizeof(struct dp_tuple) == 40);

struct dp_event {
	__u64 time_ns;
	struct dp_verdict verdict;
	__u32 ifindex;           /* the device the program ran on */
	struct dp_tuple before;  /* as the packet came, as far as it could be read */
	struct dp_tuple after;   /* as it left */
	__u32 frontend;          /* the service asked or reversed; 0: none */
	__u32 position;          /* the `maglev` position read; ~0: none */
	__u32 policy_peer;       /* of the entry that decided: named peer or ANY; ~0: not asked */
	__u32 policy_bits;       /* and its prefix_bits */
	__u32 length_bytes;
	__u16 zone;
	__u8 hook;               /* enum dp_hook */
	__u8 pad;
};
DP_STATIC_ASSERT(sizeof(struct dp_event) == 136);

#endif
