/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What every other ABI header is made of.
 *
 * These headers are included by BPF C and by C++ alike: <linux/types.h> only, explicit padding,
 * sizes asserted in both languages. Multi-byte packet fields are network order (__be16, __be32)
 * and nowhere else in the project is network order kept in a variable.
 */
#ifndef WAGGLE_ABI_TYPES_H
#define WAGGLE_ABI_TYPES_H

#include <linux/types.h>

#ifdef __cplusplus
#define DP_STATIC_ASSERT(condition) static_assert(condition)
#else
#define DP_STATIC_ASSERT(condition) _Static_assert(condition, #condition)
#endif

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). One shape for both
 * families gives one table, one code path and one proof; a twin cannot drift (DECISIONS.md).
 */
struct dp_addr {
	__be32 word[4];
};
DP_STATIC_ASSERT(sizeof(struct dp_addr) == 16);

/* Bits of an IPv4 prefix length inside a dp_addr: 10.0.0.0/8 is a prefix of 96 + 8. */
#define DP_V4_PREFIX_BITS 96

/* The packet's direction seen from the pod. */
enum dp_direction {
	DP_INGRESS = 0,
	DP_EGRESS = 1,
};

#endif
