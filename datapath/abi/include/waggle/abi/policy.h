/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* policy: what a local identity may exchange with a peer identity.
 *
 * An LPM trie over {subject, peer, direction, protocol, port}; the first three are always matched
 * whole. Two look-ups a verdict: the peer's identity, then DP_IDENTITY_ANY. Each gives
 * its longest prefix. Of the two the higher `precedence` wins, then deny over allow, then the named
 * peer. None found: denied. An endpoint without policy has the entry {subject, ANY, direction, no
 * protocol, no port}.
 *
 * ICMP: the "port" is type << 8 | code. A port range becomes aligned prefixes.
 */
#ifndef WAGGLE_ABI_POLICY_H
#define WAGGLE_ABI_POLICY_H

#include <waggle/abi/types.h>

#define DP_POLICY_STATIC_BITS 72 /* subject, peer, direction */
#define DP_POLICY_PROTOCOL_BITS 8
#define DP_POLICY_PORT_BITS 16

struct dp_policy_key {
	__u32 prefix_bits; /* 72: any protocol; 80: any port; 80 + n: n leading bits of the port */
	__be32 subject;    /* the local pod's identity */
	__be32 peer;       /* the other end's identity, or DP_IDENTITY_ANY */
	__u8 direction;    /* enum dp_direction, seen from the subject */
	__u8 protocol;
	__be16 port;       /* destination port; bits beyond the prefix zero */
};
DP_STATIC_ASSERT(sizeof(struct dp_policy_key) == 16);

enum dp_policy_verdict {
	DP_POLICY_ALLOW = 1,
	DP_POLICY_DENY = 2,
};

struct dp_policy {
	__u32 precedence; /* higher wins; NetworkPolicy: 0 */
	__u32 rule;       /* which rule made it; provenance has file and line. Never 0 */
	__u8 verdict;     /* enum dp_policy_verdict */
	__u8 pad[3];
};
DP_STATIC_ASSERT(sizeof(struct dp_policy) == 12);

#endif
