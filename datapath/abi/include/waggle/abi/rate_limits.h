/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* rate_limits: a token bucket a node for ICMP errors that the datapath makes itself. */
#ifndef WAGGLE_ABI_RATE_LIMITS_H
#define WAGGLE_ABI_RATE_LIMITS_H

#include <waggle/abi/types.h>

struct dp_rate_limit_key {
	__u32 zone;
};

struct dp_rate_limit {
	__u64 refilled_ns; /* the instant up to which tokens have been credited */
	__u64 tokens;
};
DP_STATIC_ASSERT(sizeof(struct dp_rate_limit) == 16);

#endif
