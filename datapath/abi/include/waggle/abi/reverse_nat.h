/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* reverse_nat: dp_service.frontend -> the address and port that the client believes it talks to. */
#ifndef WAGGLE_ABI_REVERSE_NAT_H
#define WAGGLE_ABI_REVERSE_NAT_H

#include <waggle/abi/types.h>

struct dp_reverse_nat_key {
	__u32 frontend;
};

struct dp_reverse_nat {
	struct dp_addr address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};
DP_STATIC_ASSERT(sizeof(struct dp_reverse_nat) == 20);

#endif
