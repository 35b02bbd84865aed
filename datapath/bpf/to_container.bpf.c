/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_container: what is sent to a pod, at the egress of its veth's host end.
 *
 * Map helpers of an open flow, 3: endpoints, conntrack, metrics. A reply, 4: conntrack twice; of a
 * service, 5: reverse_nat.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "lib/conntrack.h"
#include "lib/flow.h"
#include "lib/icmp.h"
#include "lib/identity.h"
#include "lib/nat.h"
#include "lib/pass.h"
#include "lib/record.h"
#include "lib/services.h"

/* A reply to a flow that the pod opened. */
static __always_inline int accept_reply(struct __sk_buff *skb, struct pass *pass,
					struct dp_ct *flow)
{
	int err;

	pass->verdict.source_identity = flow->peer_identity;
	ct_refresh(flow, &pass->packet, true, pass->now_ns);
	if (!flow->frontend)
		return 0;
	err = service_reverse(pass, flow);
	if (err)
		return err;
	if (ct_is_closed(flow))
		service_close(&pass->packet.tuple, flow, pass->now_ns);
	return nat_apply(skb, &pass->packet, &pass->before, NAT_SOURCE);
}

/* A packet of a flow that somebody opened, or wants to open, to the pod. */
static __always_inline int accept(struct __sk_buff *skb, struct pass *pass)
{
	__u64 deadline_ns;
	struct dp_ct *flow;
	__u32 peer;
	int err;

	pass->verdict.ct_state = ct_lookup(&pass->packet, DP_CT_INGRESS, pass->now_ns, &flow);
	pass->flow = flow;
	if (pass->verdict.ct_state == DP_CT_REPLY)
		return accept_reply(skb, pass, flow);

	err = flow_judge(pass, flow, DP_INGRESS, pass->verdict.destination_identity,
			 &pass->packet.tuple.source, &peer);
	pass->verdict.source_identity = peer;
	if (err)
		return err;
	return flow_carry(pass, flow, DP_CT_INGRESS, &deadline_ns);
}

static __always_inline int decide(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_endpoint *endpoint;
	__u32 identity;
	int err;

	err = pass_begin(skb, pass);
	if (err)
		return err;
	if (pass->packet.kind == PACKET_LINK)
		return record_pass(pass, DP_VERDICT_DELIVER, pass->ifindex);

	endpoint = endpoint_find(&pass->packet.tuple.destination);
	if (!endpoint || endpoint->ifindex != pass->ifindex)
		return -DP_DROP_UNKNOWN_ENDPOINT;
	if (endpoint->identity > DP_IDENTITY_MAX)
		return -DP_DROP_INVALID_IDENTITY;
	pass->verdict.destination_identity = endpoint->identity;

	if (pass->packet.kind == PACKET_ICMP_ERROR) {
		err = identity_find(&pass->packet.tuple.source, &identity);
		if (err)
			return err;
		pass->verdict.source_identity = identity;
		err = icmp_to_pod(skb, pass);
	} else {
		err = accept(skb, pass);
	}
	return err ? err : record_pass(pass, DP_VERDICT_DELIVER, pass->ifindex);
}

SEC("tc")
int to_container(struct __sk_buff *skb)
{
	struct pass pass = {};

	record_begin(skb);
	return record_end(skb, &pass, DP_HOOK_to_container, decide(skb, &pass));
}

char _license[] SEC("license") = "Dual BSD/GPL";
