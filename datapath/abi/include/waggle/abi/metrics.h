/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* metrics: packets and bytes a (hook, verdict kind, drop reason), a CPU. Index: dp_metric_index. */
#ifndef WAGGLE_ABI_METRICS_H
#define WAGGLE_ABI_METRICS_H

#include <waggle/abi/types.h>

/* Attach points, in the order a packet may meet them. X(NAME, number) */
#define DP_HOOKS(X)          \
	X(from_container, 0)  \
	X(to_container, 1)    \
	X(from_netdev, 2)     \
	X(to_netdev, 3)

enum dp_hook {
#define DP_HOOK_ENUM(name, number) DP_HOOK_##name = number,
	DP_HOOKS(DP_HOOK_ENUM)
#undef DP_HOOK_ENUM
	DP_HOOK_COUNT = 4,
};

#define DP_METRIC_COUNT (4 << 12) /* hook << 12 | kind << 8 | reason */

struct dp_metric {
	__u64 packets;
	__u64 bytes;
};
DP_STATIC_ASSERT(sizeof(struct dp_metric) == 16);

static inline __u32 dp_metric_index(__u32 hook, __u32 kind, __u32 reason)
{
	return hook << 12 | (kind & 15) << 8 | (reason & 255);
}

#endif
