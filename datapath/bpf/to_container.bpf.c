/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_container: what is sent to a pod, at the egress of its veth's host end. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "lib/conntrack.h"
#include "lib/identity.h"
#include "lib/pass.h"
#include "lib/policy.h"
#include "lib/record.h"

/* A packet in its originator's direction: judge it, and open its flow if it is new. */
static __always_inline int admit(struct pass *pass, struct dp_ct *flow)
{
	const struct dp_tuple *tuple = &pass->packet.tuple;
	struct dp_ct_key key;
	struct dp_ct opened = {};
	__u32 peer;
	int err;

	if (policy_is_cached(flow)) {
		pass->verdict.source_identity = flow->peer_identity;
		pass->verdict.rule = flow->rule;
		if (dp_config.policy)
			pass->verdict.flags |= DP_FLAG_CACHED;
	} else {
		err = identity_find(&tuple->source, &peer);
		if (err)
			return err;
		pass->verdict.source_identity = peer;
		err = policy_admit(pass, flow, pass->verdict.destination_identity, peer, DP_INGRESS);
		if (err)
			return err;
	}
	if (flow) {
		ct_refresh(flow, &pass->packet, false, pass->now_ns);
		return 0;
	}
	if (pass->packet.kind != PACKET_FLOW)
		return 0;
	ct_key_of(&key, tuple, DP_CT_INGRESS);
	opened.rule = pass->verdict.rule;
	opened.peer_identity = pass->verdict.source_identity;
	return ct_create(&key, &opened, &pass->packet, pass->now_ns);
}

static __always_inline int decide(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_endpoint *endpoint;
	struct dp_ct *flow;
	int err;

	err = pass_begin(skb, pass, DP_HOOK_to_container);
	if (err)
		return err;
	if (pass->packet.kind == PACKET_LINK)
		return record_pass(pass, DP_VERDICT_DELIVER, skb->ifindex);

	endpoint = endpoint_find(&pass->packet.tuple.destination);
	if (!endpoint || endpoint->ifindex != skb->ifindex)
		return -DP_DROP_UNKNOWN_ENDPOINT;
	if (endpoint->identity > DP_IDENTITY_MAX)
		return -DP_DROP_INVALID_IDENTITY;
	pass->verdict.destination_identity = endpoint->identity;

	pass->verdict.ct_state = ct_lookup(&pass->packet, DP_CT_INGRESS, pass->now_ns, &flow);
	pass->flow = flow;
	if (pass->verdict.ct_state == DP_CT_REPLY) {
		pass->verdict.source_identity = flow->peer_identity;
		ct_refresh(flow, &pass->packet, true, pass->now_ns);
	} else {
		err = admit(pass, flow);
		if (err)
			return err;
	}
	return record_pass(pass, DP_VERDICT_DELIVER, endpoint->ifindex);
}

SEC("tc")
int to_container(struct __sk_buff *skb)
{
	struct pass pass = {};

	record_begin(skb);
	return record_end(skb, &pass, decide(skb, &pass));
}

char _license[] SEC("license") = "Dual BSD/GPL";
