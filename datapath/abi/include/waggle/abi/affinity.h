/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* affinity: which backend a client's address was last sent to. Valid while
 * now < last_used_ns + timeout; the backend must still belong to the service and be eligible.
 */
#ifndef WAGGLE_ABI_AFFINITY_H
#define WAGGLE_ABI_AFFINITY_H

#include <waggle/abi/types.h>

struct dp_affinity_key {
	struct dp_addr client;
	__u32 service;
	__u16 zone;
	__u16 pad;
};
DP_STATIC_ASSERT(sizeof(struct dp_affinity_key) == 24);

struct dp_affinity {
	__u64 last_used_ns;
	__u32 backend;
	__u32 pad;
};
DP_STATIC_ASSERT(sizeof(struct dp_affinity) == 16);

#endif
