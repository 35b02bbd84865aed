/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_container: what a pod sends, at the ingress of its veth's host end. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "lib/conntrack.h"
#include "lib/forward.h"
#include "lib/identity.h"
#include "lib/pass.h"
#include "lib/policy.h"
#include "lib/record.h"

/* The pod that sent the packet: known here, on this device, with this MAC; NULL: an impostor. */
static __always_inline const struct dp_endpoint *sender(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_endpoint *endpoint = endpoint_find(&pass->packet.tuple.source);
	__u16 mac[3];

	if (!endpoint || endpoint->ifindex != skb->ifindex)
		return NULL;
	if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_source), mac, sizeof(mac)) ||
	    __builtin_memcmp(mac, endpoint->pod_mac, sizeof(mac)))
		return NULL;
	return endpoint;
}

/* A packet in its originator's direction: judge it, and open its flow if it is new. */
static __always_inline int admit(struct pass *pass, struct dp_ct *flow)
{
	const struct dp_tuple *tuple = &pass->packet.tuple;
	struct dp_ct_key key;
	struct dp_ct opened = {};
	__u32 peer;
	int err;

	if (policy_is_cached(flow)) {
		pass->verdict.destination_identity = flow->peer_identity;
		pass->verdict.rule = flow->rule;
		if (dp_config.policy)
			pass->verdict.flags |= DP_FLAG_CACHED;
	} else {
		err = identity_find(&tuple->destination, &peer);
		if (err)
			return err;
		pass->verdict.destination_identity = peer;
		err = policy_admit(pass, flow, pass->verdict.source_identity, peer, DP_EGRESS);
		if (err)
			return err;
	}
	if (flow) {
		ct_refresh(flow, &pass->packet, false, pass->now_ns);
		return 0;
	}
	if (pass->packet.kind != PACKET_FLOW)
		return 0;
	ct_key_of(&key, tuple, DP_CT_EGRESS);
	opened.rule = pass->verdict.rule;
	opened.peer_identity = pass->verdict.destination_identity;
	return ct_create(&key, &opened, &pass->packet, pass->now_ns);
}

static __always_inline int decide(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_endpoint *endpoint;
	struct dp_ct *flow;
	int err;

	err = pass_begin(skb, pass, DP_HOOK_from_container);
	if (err)
		return err;
	if (pass->packet.kind == PACKET_LINK)
		return record_pass(pass, DP_VERDICT_STACK, 0);

	endpoint = sender(skb, pass);
	if (!endpoint)
		return -DP_DROP_INVALID_SOURCE;
	if (endpoint->identity > DP_IDENTITY_MAX)
		return -DP_DROP_INVALID_IDENTITY;
	pass->verdict.source_identity = endpoint->identity;

	pass->verdict.ct_state = ct_lookup(&pass->packet, DP_CT_EGRESS, pass->now_ns, &flow);
	pass->flow = flow;
	if (pass->verdict.ct_state == DP_CT_REPLY) {
		pass->verdict.destination_identity = flow->peer_identity;
		ct_refresh(flow, &pass->packet, true, pass->now_ns);
	} else {
		err = admit(pass, flow);
		if (err)
			return err;
	}
	return forward(skb, pass);
}

SEC("tc")
int from_container(struct __sk_buff *skb)
{
	struct pass pass = {};

	record_begin(skb);
	return record_end(skb, &pass, decide(skb, &pass));
}

char _license[] SEC("license") = "Dual BSD/GPL";
