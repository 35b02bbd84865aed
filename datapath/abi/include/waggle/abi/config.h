/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Every knob of the datapath, once. Fixed when the object is loaded: `const volatile` in BPF, so
 * that the kernel's verifier prunes what is off. Each line is a field of dp_config, a `config:` key
 * in scenarios, a `--set` key and a row of help.
 *
 * X(type, name, initial, min, max, help)
 * Timeouts: Cilium's defaults (bpf/lib/conntrack.h, pkg/option).
 */
#ifndef WAGGLE_ABI_CONFIG_H
#define WAGGLE_ABI_CONFIG_H

#include <waggle/abi/types.h>

#define DP_CONFIG(X)                                                                               \
	X(__u32, ipv4, 1, 0, 1, "carry IPv4")                                                       \
	X(__u32, ipv6, 1, 0, 1, "carry IPv6")                                                       \
	X(__u32, policy, 1, 0, 1, "enforce policy; 0 forwards everything")                          \
	X(__u32, services, 1, 0, 1, "translate service addresses")                                  \
	X(__u32, session_affinity, 1, 0, 1, "honour ClientIP affinity")                             \
	X(__u32, reject_no_backend, 1, 0, 1, "answer with ICMP when a service has no backend")      \
	X(__u32, events, 1, 0, 1, "write flow events to the ring buffer")                           \
	X(__u32, simulated, 0, 0, 1, "read time and chance from dp_env instead of the kernel")      \
	X(__u32, conntrack_tcp_timeout_s, 8000, 1, 1000000, "forget an idle open TCP flow after")   \
	X(__u32, conntrack_syn_timeout_s, 60, 1, 3600, "forget a half-open TCP flow after")         \
	X(__u32, conntrack_close_timeout_s, 10, 1, 3600, "forget a closed TCP flow after")          \
	X(__u32, conntrack_any_timeout_s, 60, 1, 3600, "forget an idle non-TCP flow after")         \
	X(__u32, event_interval_s, 5, 0, 3600, "report an open flow at most this often; 0: each packet") \
	X(__u32, icmp_error_rate, 100, 0, 100000, "ICMP errors made a second and a node")           \
	X(__u32, icmp_error_burst, 1000, 1, 100000, "ICMP errors made at once after silence")

struct dp_config {
#define DP_CONFIG_FIELD(type, name, initial, min, max, help) type name;
	DP_CONFIG(DP_CONFIG_FIELD)
#undef DP_CONFIG_FIELD
};

#endif
