/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* nodes: where a node's pods are reached. Key: node id, 1 and up (24 bits: a record target). */
#ifndef WAGGLE_ABI_NODES_H
#define WAGGLE_ABI_NODES_H

#include <waggle/abi/types.h>

struct dp_node_key {
	__u32 id;
};

struct dp_node {
	struct dp_addr address4; /* next hop for IPv4; zero when there is none */
	struct dp_addr address6;
};
DP_STATIC_ASSERT(sizeof(struct dp_node) == 32);

#endif
