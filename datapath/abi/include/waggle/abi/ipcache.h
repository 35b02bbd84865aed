/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ipcache: address -> identity and node, cluster-wide. Exact addresses live in a hash, prefixes in
 * a trie that is asked only when the hash has nothing; the longest prefix wins. No entry: WORLD.
 */
#ifndef WAGGLE_ABI_IPCACHE_H
#define WAGGLE_ABI_IPCACHE_H

#include <waggle/abi/types.h>

struct dp_ipcache_key {
	__u32 space; /* tells overlapping address spaces apart; 0 unless clusters overlap */
	struct dp_addr address;
};
DP_STATIC_ASSERT(sizeof(struct dp_ipcache_key) == 20);

#define DP_IPCACHE_STATIC_BITS 32 /* `space` is always matched whole */

struct dp_ipcache_prefix_key {
	__u32 prefix_bits; /* DP_IPCACHE_STATIC_BITS + the address's; IPv4: + DP_V4_PREFIX_BITS */
	__u32 space;
	struct dp_addr address; /* host bits zero */
};
DP_STATIC_ASSERT(sizeof(struct dp_ipcache_prefix_key) == 24);

struct dp_ipcache {
	__u32 identity;
	__u32 node; /* key of `nodes` for a pod's address; 0: not a pod */
};
DP_STATIC_ASSERT(sizeof(struct dp_ipcache) == 8);

#endif
