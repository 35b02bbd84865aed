/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What differs between nodes: one memory-mapped variable (`dp_this_node`, section .data.node). The
 * agent changes it without a reload; the simulator switches nodes by writing it. It is written
 * whole while no packet is judged, except policy_generation: one aligned store at any time.
 */
#ifndef WAGGLE_ABI_NODE_CONFIG_H
#define WAGGLE_ABI_NODE_CONFIG_H

#include <waggle/abi/types.h>

struct dp_node_config {
	struct dp_addr address4;      /* the node's own; zero when it has none */
	struct dp_addr address6;
	struct dp_addr hairpin4;      /* source of a pod's traffic to itself through a service */
	struct dp_addr hairpin6;
	__u32 policy_generation;      /* conntrack verdicts of another generation are asked again */
	__u32 node_id;                /* this node's key in `nodes` */
	__u32 scope;                  /* this node's service scope; see dp_service_key */
	__u32 space;                  /* this node's address space; see dp_ipcache_key */
	__u32 uplink_ifindex;
	__u32 mtu;                    /* bytes of L3 packet that the uplink carries */
	__u16 zone;                   /* first field of every node-scoped key */
	__u8 uplink_mac[6];
};
DP_STATIC_ASSERT(sizeof(struct dp_node_config) == 96);

/* Time and chance, when dp_config.simulated is set (`dp_env`, section .data.env). lib/env.h is the
 * only reader. Each dp_random() advances `draws`, so the n-th draw of a packet is a pure function
 * of (seed, n).
 */
struct dp_env {
	__u64 now_ns;
	__u64 seed;
	__u64 draws;
	__u64 map_ops; /* map helpers called since the caller set it; counted only when simulated */
};
DP_STATIC_ASSERT(sizeof(struct dp_env) == 32);

#endif
