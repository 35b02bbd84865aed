/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Why a packet was dropped. Append-only: numbers are in flow logs and dashboards, a retired reason
 * keeps its line. Every reason has a test that hits it (tests/tidy checks).
 *
 * X(NAME, number, "what an operator reads")
 */
#ifndef WAGGLE_ABI_DROP_REASONS_H
#define WAGGLE_ABI_DROP_REASONS_H

#define DP_DROP_REASONS(X)                                                                        \
	X(INVALID_SOURCE, 1, "source address or MAC is not the pod's own")                         \
	X(INVALID_PACKET, 2, "a header is cut short or contradicts itself")                        \
	X(UNSUPPORTED_L2, 3, "not Ethernet II with IPv4, IPv6 or ARP")                             \
	X(UNSUPPORTED_L4, 4, "a transport protocol without ports and without policy meaning")      \
	X(EXTENSION_HEADER, 5, "an IPv6 extension header that cannot be passed over")              \
	X(FRAGMENT, 6, "a fragment; its ports cannot be judged")                                   \
	X(POLICY_DENIED, 7, "no policy entry allows it")                                           \
	X(POLICY_DENY_RULE, 8, "a policy entry denies it")                                         \
	X(SERVICE_NO_BACKEND, 9, "the service has no eligible backend")                            \
	X(SERVICE_BACKEND_NOT_FOUND, 10, "a service position names a backend that is not there")   \
	X(SERVICE_BACKEND_GONE, 11, "the open connection's backend has been removed")              \
	X(REVERSE_NAT_NOT_FOUND, 12, "a reply's service address is unknown")                       \
	X(CONNTRACK_FULL, 13, "the connection table has no room")                                  \
	X(CONNTRACK_TUPLE_IN_USE, 14, "a live flow already owns the translated addresses and ports") \
	X(SCTP_PORT_REWRITE, 15, "SCTP's CRC32c forbids changing a port")                          \
	X(TTL_EXCEEDED, 16, "TTL or hop limit ran out")                                            \
	X(UNKNOWN_ENDPOINT, 17, "no such pod on this node")                                        \
	X(UNKNOWN_ICMP, 18, "an ICMP type that belongs to no known flow and no policy")            \
	X(WRITE_ERROR, 19, "the kernel refused to change the packet")                              \
	X(IP_FAMILY_DISABLED, 20, "this node does not carry this IP family")                       \
	X(UNKNOWN_NODE, 21, "the destination's node is not in the node table")                     \
	X(INVALID_IDENTITY, 22, "a table names an identity outside 24 bits")

enum dp_drop {
#define DP_DROP_ENUM(name, number, text) DP_DROP_##name = number,
	DP_DROP_REASONS(DP_DROP_ENUM)
#undef DP_DROP_ENUM
	DP_DROP_MAX = 255, /* the record has eight bits */
};

#endif
