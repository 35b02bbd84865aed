/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The only reader of time and chance. */
#ifndef WAGGLE_BPF_ENV_H
#define WAGGLE_BPF_ENV_H

#include "lib/tables.h"

#define DP_NS_PER_S 1000000000ull

/* dp_now_ns - the instant at which this packet is judged.
 *
 * Monotonic, does not count suspended time. Hooks read it once a packet, so that one packet is
 * judged at one instant.
 */
static __always_inline __u64 dp_now_ns(void)
{
	return dp_config.simulated ? dp_env.now_ns : bpf_ktime_get_ns();
}

/* dp_random - 32 random bits.
 *
 * Simulated: the n-th draw is a pure function of (seed, n), SplitMix64's output function.
 * Race: simulated draws are not atomic; a simulation runs one packet at a time.
 */
static __always_inline __u32 dp_random(void)
{
	__u64 z;

	if (!dp_config.simulated)
		return bpf_get_prandom_u32();

	z = dp_env.seed + ++dp_env.draws * 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) >> 32;
}

#endif
