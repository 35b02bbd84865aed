/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_netdev: what leaves the node, at the egress of its uplink. It judges nothing: what pods send
 * was judged on their side, and the host's own traffic is not ours. It records who talks to whom.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "lib/identity.h"
#include "lib/pass.h"
#include "lib/record.h"

static __always_inline int decide(struct __sk_buff *skb, struct pass *pass)
{
	const struct dp_tuple *tuple = &pass->packet.tuple;
	__u32 source, destination;

	if (!pass_begin(skb, pass) && pass->packet.kind != PACKET_LINK &&
	    !identity_find(&tuple->source, &source) &&
	    !identity_find(&tuple->destination, &destination)) {
		pass->verdict.source_identity = source;
		pass->verdict.destination_identity = destination;
	}
	return record_pass(pass, DP_VERDICT_WIRE, 0);
}

SEC("tc")
int to_netdev(struct __sk_buff *skb)
{
	struct pass pass = {};

	record_begin(skb);
	return record_end(skb, &pass, DP_HOOK_to_netdev, decide(skb, &pass));
}

char _license[] SEC("license") = "Dual BSD/GPL";
