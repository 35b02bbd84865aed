/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* endpoints: the pods on a node. Asked for the source of every packet a pod sends (anti-spoofing:
 * ifindex and MAC must match) and for the destination of every packet that may be local.
 */
#ifndef WAGGLE_ABI_ENDPOINTS_H
#define WAGGLE_ABI_ENDPOINTS_H

#include <waggle/abi/types.h>

struct dp_endpoint_key {
	struct dp_addr address;
	__u16 zone;
	__u16 pad;
};
DP_STATIC_ASSERT(sizeof(struct dp_endpoint_key) == 20);

struct dp_endpoint {
	__u32 ifindex;   /* the host's end of the pod's veth */
	__u32 identity;
	__u8 pod_mac[6];
	__u8 host_mac[6];
};
DP_STATIC_ASSERT(sizeof(struct dp_endpoint) == 20);

#endif
