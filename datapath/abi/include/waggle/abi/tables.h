/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Every table once: BPF declares its maps from this list, the agent its table ids, names and sizes,
 * `waggle tables` its columns.
 *
 * X(name, bpf map type, key struct, value struct, entries, map flags, writer)
 *
 * entries is the default; the loader may set another before load. writer: AGENT tables are a pure
 * function of the cluster and are planned, diffed and proved; packets write DATAPATH tables.
 * Arrays have a plain __u32 key, as the kernel wants for their BTF.
 * `events` (ring buffer) has neither key nor value and is declared by hand.
 */
#ifndef WAGGLE_ABI_TABLES_H
#define WAGGLE_ABI_TABLES_H

#include <waggle/abi/affinity.h>
#include <waggle/abi/backends.h>
#include <waggle/abi/conntrack.h>
#include <waggle/abi/endpoints.h>
#include <waggle/abi/ipcache.h>
#include <waggle/abi/maglev.h>
#include <waggle/abi/metrics.h>
#include <waggle/abi/nodes.h>
#include <waggle/abi/policy.h>
#include <waggle/abi/rate_limits.h>
#include <waggle/abi/reverse_nat.h>
#include <waggle/abi/services.h>

#define DP_TABLES(X) \
	X(services, HASH, struct dp_service_key, struct dp_service, 65536, BPF_F_NO_PREALLOC, AGENT)               \
	X(backends, HASH, struct dp_backend_key, struct dp_backend, 262144, BPF_F_NO_PREALLOC, AGENT)              \
	X(reverse_nat, HASH, struct dp_reverse_nat_key, struct dp_reverse_nat, 65536, BPF_F_NO_PREALLOC, AGENT)    \
	X(maglev, ARRAY, __u32, struct dp_maglev, 4194304, BPF_F_MMAPABLE, AGENT)                  \
	X(ipcache, HASH, struct dp_ipcache_key, struct dp_ipcache, 524288, BPF_F_NO_PREALLOC, AGENT)               \
	X(ipcache_prefix, LPM_TRIE, struct dp_ipcache_prefix_key, struct dp_ipcache, 65536, BPF_F_NO_PREALLOC, AGENT) \
	X(policy, LPM_TRIE, struct dp_policy_key, struct dp_policy, 262144, BPF_F_NO_PREALLOC, AGENT)              \
	X(endpoints, HASH, struct dp_endpoint_key, struct dp_endpoint, 65536, BPF_F_NO_PREALLOC, AGENT)            \
	X(nodes, HASH, struct dp_node_key, struct dp_node, 16384, BPF_F_NO_PREALLOC, AGENT)                        \
	X(conntrack, HASH, struct dp_ct_key, struct dp_ct, 524288, 0, DATAPATH)                                    \
	X(affinity, LRU_HASH, struct dp_affinity_key, struct dp_affinity, 65536, 0, DATAPATH)                      \
	X(rate_limits, HASH, struct dp_rate_limit_key, struct dp_rate_limit, 16384, 0, DATAPATH)                   \
	X(metrics, PERCPU_ARRAY, __u32, struct dp_metric, DP_METRIC_COUNT, 0, DATAPATH)

/* Bytes of the flow event ring; a power of two and a multiple of the page size. */
#define DP_EVENTS_BYTES 262144

#endif
