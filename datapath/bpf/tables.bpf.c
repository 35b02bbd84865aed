/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Defines every map and global once; see lib/tables.h. */
#define DP_LINKAGE
#include "lib/tables.h"

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile struct dp_config dp_config = {
#define DP_CONFIG_INITIAL(type, name, initial, min, max, help) .name = initial,
	DP_CONFIG(DP_CONFIG_INITIAL)
#undef DP_CONFIG_INITIAL
};

struct dp_node_config dp_this_node SEC(".data.node") = {};
struct dp_env dp_env SEC(".data.env") = {};
