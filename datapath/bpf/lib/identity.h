/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Who an address is. */
#ifndef WAGGLE_BPF_IDENTITY_H
#define WAGGLE_BPF_IDENTITY_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/identities.h>

#include "lib/address.h"
#include "lib/tables.h"

#define DP_IDENTITY_MAX 0xffffffu /* the record has 24 bits */

/* The pod of this node that has @address; NULL: none. */
static __always_inline const struct dp_endpoint *endpoint_find(const struct dp_addr *address)
{
	const struct dp_endpoint_key key = {.address = *address, .zone = dp_this_node.zone};

	return table_find(&endpoints, &key);
}

/* An address of this node itself. */
static __always_inline bool identity_is_host(const struct dp_addr *address)
{
	if (addr_is_zero(address))
		return false;
	return addr_equal(address, &dp_this_node.address4) ||
	       addr_equal(address, &dp_this_node.address6);
}

/* The exact entry of @address; NULL: none. Pods always have one. */
static __always_inline const struct dp_ipcache *ipcache_find(const struct dp_addr *address)
{
	const struct dp_ipcache_key key = {.space = dp_this_node.space, .address = *address};

	return table_find(&ipcache, &key);
}

/* identity_find - the security identity of a remote address.
 *
 * HOST for this node's own, whatever the tables say; then the exact entry; then the longest prefix;
 * WORLD for everything else.
 * Returns 0 and @identity, or -DP_DROP_INVALID_IDENTITY.
 */
static __always_inline int identity_find(const struct dp_addr *address, __u32 *identity)
{
	const struct dp_ipcache *entry;

	*identity = DP_IDENTITY_HOST;
	if (identity_is_host(address))
		return 0;

	*identity = DP_IDENTITY_WORLD;
	entry = ipcache_find(address);
	if (!entry) {
		const struct dp_ipcache_prefix_key key = {
			.prefix_bits = DP_IPCACHE_STATIC_BITS + 8 * sizeof(struct dp_addr),
			.space = dp_this_node.space,
			.address = *address,
		};

		entry = table_find(&ipcache_prefix, &key);
	}
	if (entry)
		*identity = entry->identity;
	return *identity > DP_IDENTITY_MAX ? -DP_DROP_INVALID_IDENTITY : 0;
}

#endif
