/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* maglev: one memory-mapped array of backend ids. A service owns the positions base .. base+size-1.
 * Key: the position. The kernel keeps array elements 8 bytes apart, also in the memory mapping.
 * The agent stores single aligned words; there is no system call and no half-written position.
 */
#ifndef WAGGLE_ABI_MAGLEV_H
#define WAGGLE_ABI_MAGLEV_H

#include <waggle/abi/types.h>

struct dp_maglev {
	__u32 backend; /* key of `backends`; 0 only outside every service's region */
};

/* Positions that random picks from, and table sizes that Maglev picks from: primes, because a
 * permutation's step must be coprime to the size (NSDI'16, 3.4).
 */
#define DP_MAGLEV_SIZES(X) X(251) X(509) X(1021) X(2039) X(4093) X(8191) X(16381) X(32749) X(65521)

#endif
