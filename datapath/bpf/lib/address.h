/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Questions about a dp_addr. */
#ifndef WAGGLE_BPF_ADDRESS_H
#define WAGGLE_BPF_ADDRESS_H

#include <linux/types.h>

#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <waggle/abi/types.h>

#define DP_V4_MAPPED bpf_htonl(0x0000ffff) /* third word of ::ffff:a.b.c.d */

static __always_inline bool addr_equal(const struct dp_addr *a, const struct dp_addr *b)
{
	return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] &&
	       a->word[0] == b->word[0];
}

static __always_inline bool addr_is_zero(const struct dp_addr *a)
{
	return !(a->word[0] | a->word[1] | a->word[2] | a->word[3]);
}

static __always_inline bool addr_is_v4(const struct dp_addr *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == DP_V4_MAPPED;
}

/* ff00::/8 */
static __always_inline bool addr_is_v6_multicast(const struct dp_addr *a)
{
	return (a->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* fe80::/10 */
static __always_inline bool addr_is_v6_link_local(const struct dp_addr *a)
{
	return (a->word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

#endif
