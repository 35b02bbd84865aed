/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* services: frontend -> where its backends are listed.
 *
 * A frontend owns `size` positions of the `maglev` array, from `base`. Every position names an
 * eligible backend of `service`; random picks any position, Maglev the one the flow hashes to. So
 * there are no slot entries, a pick is one array read, and every prefix of an update is a table.
 *
 * scope: 0 is the cluster-wide set. Flag DP_SERVICE_SCOPED sends traffic of pods to the entry with
 * scope = node_config.scope instead (internalTrafficPolicy, topology hints).
 */
#ifndef WAGGLE_ABI_SERVICES_H
#define WAGGLE_ABI_SERVICES_H

#include <waggle/abi/types.h>

struct dp_service_key {
	struct dp_addr address;
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, UDP, SCTP */
	__u8 pad;
	__u32 scope;
};
DP_STATIC_ASSERT(sizeof(struct dp_service_key) == 24);

enum dp_algorithm {
	DP_ALGORITHM_RANDOM = 0,
	DP_ALGORITHM_MAGLEV = 1,
};

enum dp_service_flags {
	DP_SERVICE_AFFINITY = 1,    /* ClientIP, affinity_timeout_s */
	DP_SERVICE_SCOPED = 2,      /* look again with this node's scope */
	DP_SERVICE_TERMINATING = 4, /* no backend is ready: the positions name terminating ones */
};

struct dp_service {
	__u32 frontend;           /* key of `reverse_nat`; one a (frontend, scope), never reused */
	__u32 service;            /* the backend set: dp_backend.service of all that are eligible */
	__u32 base;               /* first position in `maglev` */
	__u32 size;               /* positions; 0: no backend */
	__u32 affinity_timeout_s;
	__u8 algorithm;           /* enum dp_algorithm */
	__u8 flags;               /* enum dp_service_flags */
	__u16 pad;
};
DP_STATIC_ASSERT(sizeof(struct dp_service) == 24);

#endif
