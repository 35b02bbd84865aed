/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A packet in its originator's direction: policy and conntrack together, for both sides. */
#ifndef WAGGLE_BPF_FLOW_H
#define WAGGLE_BPF_FLOW_H

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/verdict.h>

#include "lib/conntrack.h"
#include "lib/identity.h"
#include "lib/pass.h"
#include "lib/policy.h"
#include "lib/subprogram.h"
#include "lib/tables.h"

/* flow_judge - may the packet pass, by the flow's standing verdict or by a new one.
 *
 * @peer: the other end's identity is left here, also when the packet is denied.
 */
static __always_inline int flow_judge(struct pass *pass, struct dp_ct *flow,
				      enum dp_direction direction, __u32 subject,
				      const struct dp_addr *remote, __u32 *peer)
{
	int err;

	if (policy_is_cached(flow)) {
		*peer = flow->peer_identity;
		pass->verdict.rule = flow->rule;
		if (dp_config.policy)
			pass->verdict.flags |= DP_FLAG_CACHED;
		return 0;
	}
	err = identity_find(remote, peer);
	if (err)
		return err;
	return policy_admit(pass, flow, subject, *peer, direction);
}

/* flow_open - remember a new flow: what the record says about it.
 *
 * Returns 0 and its deadline, or -DP_DROP_CONNTRACK_FULL.
 */
DP_SUBPROGRAM int flow_open(const struct pass *pass, enum dp_ct_direction direction,
			    __u64 *deadline_ns)
{
	const struct dp_verdict *verdict = &pass->verdict;
	struct dp_ct state = {
		.frontend = pass->frontend,
		.backend = verdict->backend,
		.policy_generation = pass->policy_generation,
		.rule = verdict->rule,
		.peer_identity = direction == DP_CT_EGRESS ? verdict->destination_identity
							   : verdict->source_identity,
		.flags = verdict->flags & DP_FLAG_HAIRPIN ? DP_CT_HAIRPIN : 0,
	};
	struct dp_ct_key key;
	int err;

	ct_key_of(&key, &pass->packet.tuple, direction);
	err = ct_create(&key, &state, &pass->packet, pass->now_ns);
	*deadline_ns = state.expires_ns;
	return err;
}

/* flow_carry - remember an admitted packet: refresh its flow, or open it.
 *
 * @flow: its open flow, or NULL.
 * Returns 0 and the flow's deadline, or -DP_DROP_CONNTRACK_FULL. Packets that can have no reply are
 * not remembered.
 */
static __always_inline int flow_carry(const struct pass *pass, struct dp_ct *flow,
				      enum dp_ct_direction direction, __u64 *deadline_ns)
{
	*deadline_ns = 0;
	if (flow) {
		ct_refresh(flow, &pass->packet, false, pass->now_ns);
		*deadline_ns = flow->expires_ns;
		return 0;
	}
	if (pass->packet.kind != PACKET_FLOW)
		return 0;
	return flow_open(pass, direction, deadline_ns);
}

#endif
