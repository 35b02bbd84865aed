/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef WAGGLE_BPF_SUBPROGRAM_H
#define WAGGLE_BPF_SUBPROGRAM_H

/* A function that the kernel sees as one: with a stack frame of its own, which is gone when it
 * returns, and verified at its call instead of in every path around it. For what is off the common
 * path. Not every unit that includes its header calls it.
 */
#define DP_SUBPROGRAM static __attribute__((noinline, unused))

#endif
