/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* backends: id -> where it listens and which service it belongs to. An id belongs to one service
 * only and is never used again (a 32-bit counter whose high-water mark survives restarts: the
 * counter is the generation), so an id that conntrack remembers can be stale but never wrong.
 */
#ifndef WAGGLE_ABI_BACKENDS_H
#define WAGGLE_ABI_BACKENDS_H

#include <waggle/abi/types.h>

struct dp_backend_key {
	__u32 id; /* 1 and up */
};

enum dp_backend_state {
	DP_BACKEND_ACTIVE = 0,
	DP_BACKEND_TERMINATING = 1, /* keeps its open connections; new ones only by last resort */
};

struct dp_backend {
	struct dp_addr address;
	__u32 service; /* dp_service.service */
	__be16 port;
	__u8 protocol;
	__u8 state; /* enum dp_backend_state */
};
DP_STATIC_ASSERT(sizeof(struct dp_backend) == 24);

#endif
