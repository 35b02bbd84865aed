/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Security identities. An identity is 24 bits (it has to fit the verdict record) and names a class
 * of addresses that no policy can tell apart. Numbers below 256 are Cilium's reserved ones
 * (cilium pkg/identity/numericidentity.go).
 */
#ifndef WAGGLE_ABI_IDENTITIES_H
#define WAGGLE_ABI_IDENTITIES_H

enum dp_identity {
	DP_IDENTITY_ANY = 0,         /* in a policy key: every peer */
	DP_IDENTITY_HOST = 1,        /* an address of this node: node_config says, not ipcache */
	DP_IDENTITY_WORLD = 2,       /* no more specific entry */
	DP_IDENTITY_REMOTE_NODE = 6, /* an address of another node */
	DP_IDENTITY_CLUSTER_MIN = 256,
	DP_IDENTITY_CLUSTER_MAX = 0x7fffff, /* pods */
	DP_IDENTITY_CIDR_MIN = 0x800000,    /* address blocks named by a policy */
	DP_IDENTITY_CIDR_MAX = 0xffffff,
};

#endif
