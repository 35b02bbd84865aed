/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* May this identity talk to that one. */
#ifndef WAGGLE_BPF_POLICY_H
#define WAGGLE_BPF_POLICY_H

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/identities.h>

#include "lib/conntrack.h"
#include "lib/pass.h"
#include "lib/tables.h"

/* policy_wins - @named (an entry for this peer) against @any (for every peer). Higher precedence
 * wins; at equal precedence deny beats allow; then the named peer.
 */
static __always_inline bool policy_wins(const struct dp_policy *named, const struct dp_policy *any)
{
	if (!any || !named)
		return named;
	if (named->precedence != any->precedence)
		return named->precedence > any->precedence;
	return named->verdict == DP_POLICY_DENY || any->verdict != DP_POLICY_DENY;
}

/* policy_ask - what the table says about the packet in @pass.
 *
 * @subject: the local pod's identity, @peer: the other end's.
 * Returns 0 when allowed, -DP_DROP_POLICY_DENIED when no entry matches (isolation is the absence of
 * an allowing entry), -DP_DROP_POLICY_DENY_RULE when an entry denies. The record's rule and the
 * event's policy_peer say which entry it was.
 */
static __always_inline int policy_ask(struct pass *pass, __u32 subject, __u32 peer,
				      enum dp_direction direction)
{
	struct dp_policy_key key = {
		.prefix_bits = DP_POLICY_STATIC_BITS + DP_POLICY_PROTOCOL_BITS +
			       DP_POLICY_PORT_BITS,
		.subject = bpf_htonl(subject),
		.peer = bpf_htonl(peer),
		.direction = direction,
		.protocol = pass->packet.tuple.protocol,
		.port = bpf_htons(pass->packet.policy_port),
	};
	const struct dp_policy *named, *any, *entry;

	named = table_find(&policy, &key);
	key.peer = DP_IDENTITY_ANY;
	any = table_find(&policy, &key);

	pass->verdict.rule = 0;
	pass->policy_peer = DP_IDENTITY_ANY;
	entry = any;
	if (policy_wins(named, any)) {
		pass->policy_peer = peer;
		entry = named;
	}
	if (!entry)
		return -DP_DROP_POLICY_DENIED;
	pass->verdict.rule = entry->rule;
	return entry->verdict == DP_POLICY_ALLOW ? 0 : -DP_DROP_POLICY_DENY_RULE;
}

/* policy_admit - judge a packet in its originator's direction.
 *
 * @flow: its open flow, or NULL for a new one. While the policy generation stands, the verdict that
 * opened the flow stands too and costs one comparison. Under a new generation it is asked again:
 * a flow that is no longer allowed is cut here, one that is keeps the new answer.
 *
 * Race: the generation is stored last, so a CPU that sees it also sees the rule and the peer.
 */
static __always_inline int policy_admit(struct pass *pass, struct dp_ct *flow, __u32 subject,
					__u32 peer, enum dp_direction direction)
{
	int err;

	if (!dp_config.policy)
		return 0;
	err = policy_ask(pass, subject, peer, direction);
	if (err || !flow)
		return err;
	flow->rule = pass->verdict.rule;
	flow->peer_identity = peer;
	barrier();
	flow->policy_generation = pass->policy_generation;
	return 0;
}

/* policy_is_cached - whether @flow's verdict still stands. */
static __always_inline bool policy_is_cached(const struct dp_ct *flow)
{
	return flow && flow->policy_generation == dp_this_node.policy_generation;
}

#endif
