/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* gc: removes what has expired; run with BPF_PROG_TEST_RUN, returns how many. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "lib/env.h"
#include "lib/tables.h"

struct sweep {
	__u64 now_ns;
	__u32 removed;
};

/* Race: the deadline is read from the entry itself, so one that was refreshed after the sweep began
 * lies beyond now_ns and stays. What is left is a packet that refreshes a flow at or past its
 * deadline, which no packet does: ct_find() does not see it any more.
 */
static long sweep_one(void *map, const struct dp_ct_key *key, const struct dp_ct *flow,
		      struct sweep *sweep)
{
	if (sweep->now_ns < flow->expires_ns)
		return 0;
	if (!bpf_map_delete_elem(map, key))
		sweep->removed++;
	return 0;
}

SEC("syscall")
int gc(void *context)
{
	struct sweep sweep = {.now_ns = dp_now_ns()};

	(void)context;
	bpf_for_each_map_elem(&conntrack, sweep_one, &sweep, 0);
	return sweep.removed;
}

char _license[] SEC("license") = "Dual BSD/GPL";
