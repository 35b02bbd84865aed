/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps and globals, declared. tables.bpf.c defines them, so a hook that wants one includes this and
 * `bpftool gen object` joins the two; both come from DP_TABLES, so they cannot disagree.
 */
#ifndef WAGGLE_BPF_TABLES_H
#define WAGGLE_BPF_TABLES_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <waggle/abi/config.h>
#include <waggle/abi/node_config.h>
#include <waggle/abi/tables.h>

#ifndef DP_LINKAGE
#define DP_LINKAGE extern
#endif

#define DP_TABLE(name, kind, key_type, value_type, entries, flags, writer) \
	DP_LINKAGE struct {                                                 \
		__uint(type, BPF_MAP_TYPE_##kind);                          \
		__uint(max_entries, entries);                               \
		__uint(map_flags, flags);                                   \
		__type(key, key_type);                                      \
		__type(value, value_type);                                  \
	} name SEC(".maps");
DP_TABLES(DP_TABLE)
#undef DP_TABLE

DP_LINKAGE struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DP_EVENTS_BYTES);
} events SEC(".maps");

extern const volatile struct dp_config dp_config;
extern struct dp_node_config dp_this_node;
extern struct dp_env dp_env;

/* Every packet's map helpers go through these two, so that a simulation can count them: what a
 * packet costs, on any machine.
 */
static __always_inline void table_count(void)
{
	if (dp_config.simulated)
		dp_env.map_ops++;
}

static __always_inline void *table_find(const void *table, const void *key)
{
	table_count();
	return bpf_map_lookup_elem((void *)table, key);
}

static __always_inline long table_put(const void *table, const void *key, const void *value)
{
	table_count();
	return bpf_map_update_elem((void *)table, key, value, BPF_ANY);
}

#endif
