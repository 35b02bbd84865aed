/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_container: what a pod sends, at the ingress of its veth's host end.
 *
 * Map helpers of an open flow to a pod of this node, 5: endpoints, services, conntrack, endpoints,
 * metrics. To another node, 7: ipcache and nodes more. Through a service, 2 more: its SERVICE entry
 * and the backend. A reply, 1 more: conntrack twice.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "lib/answer.h"
#include "lib/conntrack.h"
#include "lib/flow.h"
#include "lib/forward.h"
#include "lib/icmp.h"
#include "lib/identity.h"
#include "lib/nat.h"
#include "lib/pass.h"
#include "lib/record.h"
#include "lib/services.h"
#include "lib/subprogram.h"

/* The pod that sent the packet: known here, on this device, with this MAC; NULL: an impostor. */
static __always_inline const struct dp_endpoint *sender(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_endpoint *endpoint = endpoint_find(&pass->packet.tuple.source);
	__u16 mac[3];

	if (!endpoint || endpoint->ifindex != pass->ifindex)
		return NULL;
	if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_source), mac, sizeof(mac)) ||
	    __builtin_memcmp(mac, endpoint->pod_mac, sizeof(mac)))
		return NULL;
	return endpoint;
}

static __always_inline bool to_hairpin(const struct pass *pass)
{
	const struct dp_addr *destination = &pass->packet.tuple.destination;

	return dp_config.services && (addr_equal(destination, &dp_this_node.hairpin4) ||
				      addr_equal(destination, &dp_this_node.hairpin6));
}

/* No backend: tell the client at once, if that is wanted and has not been done too often. */
static __always_inline int refuse_service(struct __sk_buff *skb, struct pass *pass)
{
	int err;

	if (!dp_config.reject_no_backend)
		return -DP_DROP_SERVICE_NO_BACKEND;
	if (!answer_is_allowed(pass->now_ns)) {
		pass->verdict.flags |= DP_FLAG_RATE_LIMITED;
		return -DP_DROP_SERVICE_NO_BACKEND;
	}
	err = answer_unreachable(skb, &pass->packet);
	if (err)
		return err;
	pass->verdict.reason = DP_DROP_SERVICE_NO_BACKEND;
	return forward_back(pass, DP_VERDICT_ANSWER, pass->ifindex);
}

/* A pod's answer to itself: what its client half knows as the service. */
DP_SUBPROGRAM int answer_hairpin(struct __sk_buff *skb, struct pass *pass)
{
	struct dp_tuple *tuple = &pass->packet.tuple;
	struct dp_ct_key key;
	struct dp_ct *flow;
	int err;

	ct_key_reversed(&key, tuple, DP_CT_EGRESS);
	flow = ct_find(&key, pass->now_ns);
	if (!flow || packet_opens_tcp(&pass->packet))
		return -DP_DROP_REVERSE_NAT_NOT_FOUND;
	pass->flow = flow;
	pass->verdict.ct_state = DP_CT_REPLY;
	pass->verdict.flags |= DP_FLAG_HAIRPIN;
	pass->verdict.destination_identity = pass->verdict.source_identity;
	ct_refresh(flow, &pass->packet, true, pass->now_ns);

	tuple->destination = tuple->source;
	err = service_reverse(pass, flow);
	if (err)
		return err;
	if (ct_is_closed(flow))
		service_close(tuple, flow, pass->now_ns);
	err = nat_apply(skb, &pass->packet, &pass->before, NAT_SOURCE);
	if (!err)
		err = nat_apply(skb, &pass->packet, &pass->before, NAT_DESTINATION);
	return err ? err : forward_back(pass, DP_VERDICT_DELIVER, pass->ifindex);
}

/* A packet to a service: choose, judge what it becomes, remember, translate. */
static __always_inline int serve(struct __sk_buff *skb, struct pass *pass,
				 const struct dp_service *service, bool none)
{
	struct service_choice choice = {.service = service};
	struct dp_tuple *tuple = &pass->packet.tuple;
	__u64 deadline_ns;
	__u32 peer = pass->verdict.source_identity;
	int err;

	pass->frontend = service->frontend;
	err = service_choose(pass, &choice, none);
	if (err == -DP_DROP_SERVICE_NO_BACKEND)
		return refuse_service(skb, pass);
	pass->verdict.backend = choice.backend;
	if (err)
		return err;
	pass->packet.policy_port = bpf_ntohs(tuple->destination_port);
	pass->flow = choice.flow;
	pass->verdict.ct_state = choice.flow ? DP_CT_ESTABLISHED : DP_CT_NEW;
	pass->verdict.flags |= DP_FLAG_TRANSLATED;

	if (choice.hairpin)
		pass->verdict.flags |= DP_FLAG_HAIRPIN; /* with itself: nothing to judge */
	else
		err = flow_judge(pass, choice.flow, DP_EGRESS, pass->verdict.source_identity,
				 &tuple->destination, &peer);
	pass->verdict.destination_identity = peer;
	if (err)
		return err;

	err = flow_carry(pass, choice.flow, DP_CT_EGRESS, &deadline_ns);
	if (!err)
		err = service_remember(pass, &choice, deadline_ns);
	if (!err)
		err = nat_apply(skb, &pass->packet, &pass->before, NAT_DESTINATION);
	if (err || !choice.hairpin)
		return err ? err : forward(skb, pass);
	err = nat_apply(skb, &pass->packet, &pass->before, NAT_SOURCE);
	return err ? err : forward_back(pass, DP_VERDICT_DELIVER, pass->ifindex);
}

/* A packet to nobody's service: a reply, or one to judge. */
static __always_inline int route(struct __sk_buff *skb, struct pass *pass)
{
	__u64 deadline_ns;
	struct dp_ct *flow;
	__u32 peer;
	int err;

	pass->verdict.ct_state = ct_lookup(&pass->packet, DP_CT_EGRESS, pass->now_ns, &flow);
	pass->flow = flow;
	if (pass->verdict.ct_state == DP_CT_REPLY) {
		pass->verdict.destination_identity = flow->peer_identity;
		ct_refresh(flow, &pass->packet, true, pass->now_ns);
		return forward(skb, pass);
	}
	if (flow && flow->frontend) {
		/* A service's. Replies to this packet would be taken for its. */
		if (!ct_is_closed(flow))
			return -DP_DROP_CONNTRACK_TUPLE_IN_USE;
		flow = pass->flow = NULL;
		pass->verdict.ct_state = DP_CT_NEW;
	}

	err = flow_judge(pass, flow, DP_EGRESS, pass->verdict.source_identity,
			 &pass->packet.tuple.destination, &peer);
	pass->verdict.destination_identity = peer;
	if (err)
		return err;
	err = flow_carry(pass, flow, DP_CT_EGRESS, &deadline_ns);
	return err ? err : forward(skb, pass);
}

static __always_inline int decide(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_endpoint *endpoint;
	const struct dp_service *service;
	__u32 identity;
	bool none;
	int err;

	err = pass_begin(skb, pass);
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

	if (pass->packet.kind == PACKET_ICMP_ERROR) {
		err = icmp_from_pod(skb, pass);
		if (err < 0)
			return err;
		if (err)
			return forward_back(pass, DP_VERDICT_DELIVER, pass->ifindex);
		err = identity_find(&pass->packet.tuple.destination, &identity);
		if (err)
			return err;
		pass->verdict.destination_identity = identity;
		return forward(skb, pass);
	}
	if (to_hairpin(pass))
		return answer_hairpin(skb, pass);
	if (dp_config.services) {
		service = service_find(&pass->packet.tuple, &none);
		if (service)
			return serve(skb, pass, service, none);
	}
	return route(skb, pass);
}

SEC("tc")
int from_container(struct __sk_buff *skb)
{
	struct pass pass = {};

	record_begin(skb);
	return record_end(skb, &pass, DP_HOOK_from_container, decide(skb, &pass));
}

char _license[] SEC("license") = "Dual BSD/GPL";
