/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Services: which backend a packet to a frontend goes to. Nothing is written to the packet here and
 * nothing remembered before policy has admitted the translated packet.
 */
#ifndef WAGGLE_BPF_SERVICES_H
#define WAGGLE_BPF_SERVICES_H

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <waggle/abi/drop_reasons.h>
#include <waggle/abi/verdict.h>

#include "lib/address.h"
#include "lib/conntrack.h"
#include "lib/env.h"
#include "lib/pass.h"
#include "lib/subprogram.h"
#include "lib/tables.h"

#define DP_SERVICE_ATTEMPTS 4 /* positions tried when the translated tuple is taken */

/* What was chosen, until service_remember(). */
struct service_choice {
	const struct dp_service *service;
	struct dp_ct *remembered; /* live SERVICE entry of this flow, or NULL */
	struct dp_ct *flow;       /* live EGRESS entry of the translated tuple, or NULL */
	__u32 backend;
	bool attract;             /* the client's affinity is to follow this choice */
	bool hairpin;             /* the backend is the client itself */
};

/* service_find - the frontend that @tuple is addressed to; NULL: not a service.
 *
 * A SCOPED frontend's backends on this node are another entry. Where that is missing there are none
 * here; the cluster-wide ones must not stand in (@none says so).
 */
static __always_inline const struct dp_service *service_find(const struct dp_tuple *tuple,
							     bool *none)
{
	struct dp_service_key key = {
		.address = tuple->destination,
		.port = tuple->destination_port,
		.protocol = tuple->protocol,
	};
	const struct dp_service *service = table_find(&services, &key);
	const struct dp_service *scoped;

	*none = service && !service->size;
	if (!service || !(service->flags & DP_SERVICE_SCOPED))
		return service;
	key.scope = dp_this_node.scope;
	scoped = table_find(&services, &key);
	*none = !scoped || !scoped->size;
	return scoped ? scoped : service;
}

/* The backend @id if it is one of @service's, of the frontend's protocol and family. Ids are never
 * used again, so a remembered one can be stale but never somebody else's; the check also holds
 * against wrong tables.
 */
static __always_inline const struct dp_backend *service_backend(const struct dp_service *service,
								const struct dp_tuple *tuple,
								__u32 id)
{
	const struct dp_backend_key key = {.id = id};
	const struct dp_backend *backend = table_find(&backends, &key);

	if (!backend || backend->service != service->service ||
	    backend->protocol != tuple->protocol ||
	    addr_is_v4(&backend->address) != addr_is_v4(&tuple->destination))
		return NULL;
	return backend;
}

/* New connections: ready backends only; terminating ones when the service has no others. */
static __always_inline bool service_is_eligible(const struct dp_service *service,
						const struct dp_backend *backend)
{
	return backend->state == DP_BACKEND_ACTIVE || service->flags & DP_SERVICE_TERMINATING;
}

/* Jenkins' final mix (lookup3) of one word into a running hash. */
static __always_inline __u32 service_mix(__u32 hash, __be32 word)
{
	__u32 a = bpf_ntohl(word) + 0x9e3779b9, b = hash, c = hash ^ a;

	c ^= b; c -= b << 14 | b >> 18;
	a ^= c; a -= c << 11 | c >> 21;
	b ^= a; b -= a << 25 | a >> 7;
	c ^= b; c -= b << 16 | b >> 16;
	a ^= c; a -= c << 4 | c >> 28;
	b ^= a; b -= a << 14 | a >> 18;
	c ^= b; c -= b << 24 | b >> 8;
	return c;
}

/* service_hash - the flow's place in a Maglev table, equal on every node: no seed, no byte order,
 * and without the destination, so that all frontends of a service agree. With affinity the source
 * port is left out, so that all flows of a client agree.
 */
static __always_inline __u32 service_hash(const struct dp_tuple *tuple, bool by_client)
{
	const __be16 source_port = by_client ? 0 : tuple->source_port;
	const __u16 destination_port = bpf_ntohs(tuple->destination_port);
	const __u32 ports = (__u32)bpf_ntohs(source_port) << 16 | destination_port;
	__u32 hash = 0x57a661e5;

	hash = service_mix(hash, tuple->source.word[0]);
	hash = service_mix(hash, tuple->source.word[1]);
	hash = service_mix(hash, tuple->source.word[2]);
	hash = service_mix(hash, tuple->source.word[3]);
	hash = service_mix(hash, bpf_htonl(ports));
	return service_mix(hash, bpf_htonl(tuple->protocol));
}

static __always_inline bool service_has_affinity(const struct dp_service *service)
{
	return dp_config.session_affinity && service->flags & DP_SERVICE_AFFINITY;
}

static __always_inline void service_affinity_key(struct dp_affinity_key *key,
						 const struct dp_service *service,
						 const struct dp_addr *client)
{
	key->client = *client;
	key->service = service->service;
	key->zone = dp_this_node.zone;
	key->pad = 0;
}

/* The backend that the client was last sent to, while that holds, and its @id; NULL: none. */
static __always_inline const struct dp_backend *
service_affine(const struct dp_service *service, const struct dp_tuple *tuple, __u64 now_ns,
	       __u32 *id)
{
	const struct dp_backend *backend;
	const struct dp_affinity *entry;
	struct dp_affinity_key key;

	service_affinity_key(&key, service, &tuple->source);
	entry = table_find(&affinity, &key);
	if (!entry || now_ns >= entry->last_used_ns + service->affinity_timeout_s * DP_NS_PER_S)
		return NULL;
	*id = entry->backend;
	backend = service_backend(service, tuple, *id);
	return backend && service_is_eligible(service, backend) ? backend : NULL;
}

/* service_continue - the backend that this flow already has.
 *
 * An open TCP connection stays for as long as its backend exists. Everything else (a SYN, which
 * opens anew; UDP and SCTP, where no packet says so) leaves a terminating backend as soon as the
 * service has ready ones.
 * Returns 0 and @backend, which is NULL when the flow is free to choose; or
 * -DP_DROP_SERVICE_BACKEND_GONE for a connection that nobody else can take over.
 */
static __always_inline int service_continue(const struct pass *pass,
					    const struct service_choice *choice,
					    const struct dp_backend **backend)
{
	const bool open = packet_is_mid_tcp(&pass->packet);

	*backend = NULL;
	if (!choice->remembered)
		return 0;
	*backend = service_backend(choice->service, &pass->before, choice->remembered->backend);
	if (!*backend)
		return open ? -DP_DROP_SERVICE_BACKEND_GONE : 0;
	if (!open && !service_is_eligible(choice->service, *backend))
		*backend = NULL;
	return 0;
}

/* service_try - may this flow use @backend, whose id is @id.
 *
 * @backend: NULL when a position names one that is not there or is another service's.
 * Returns 0, with the packet's tuple translated and @choice complete;
 * -DP_DROP_CONNTRACK_TUPLE_IN_USE when, behind the translation, a live flow of another frontend (or
 * of none) has the same addresses and ports: replies could not be told apart; or a negated reason
 * that ends the search.
 */
static __always_inline int service_try(struct pass *pass, struct service_choice *choice,
				       const struct dp_backend *backend, __u32 id)
{
	struct dp_tuple *tuple = &pass->packet.tuple;
	struct dp_ct_key key;
	struct dp_ct *flow;

	if (!backend)
		return -DP_DROP_SERVICE_BACKEND_NOT_FOUND;
	if (tuple->protocol == IPPROTO_SCTP && backend->port != pass->before.destination_port)
		return -DP_DROP_SCTP_PORT_REWRITE;

	choice->backend = id;
	choice->hairpin = addr_equal(&backend->address, &pass->before.source);
	tuple->destination = backend->address;
	tuple->destination_port = backend->port;
	if (!choice->hairpin)
		tuple->source = pass->before.source;
	else if (pass->packet.ipv6)
		tuple->source = dp_this_node.hairpin6;
	else
		tuple->source = dp_this_node.hairpin4;

	ct_key_of(&key, tuple, DP_CT_EGRESS);
	flow = ct_find(&key, pass->now_ns);
	choice->flow = NULL;
	if (!flow || (packet_opens_tcp(&pass->packet) && ct_is_closing(flow)))
		return 0;
	if (flow->frontend == choice->service->frontend)
		choice->flow = flow;
	else if (!ct_is_closed(flow))
		return -DP_DROP_CONNTRACK_TUPLE_IN_USE;
	return 0;
}

/* service_pick - a backend for a flow that may choose: its client's (affinity), or the table's, at
 * a random position or the one that the flow hashes to, or while the tuple is taken at those after.
 */
static __always_inline int service_pick(struct pass *pass, struct service_choice *choice)
{
	const struct dp_service *service = choice->service;
	const struct dp_backend *backend;
	const struct dp_maglev *slot;
	__u32 id, position, index;
	int err, i;

	choice->attract = service_has_affinity(service);
	if (choice->attract) {
		backend = service_affine(service, &pass->before, pass->now_ns, &id);
		if (backend) {
			err = service_try(pass, choice, backend, id);
			if (!err)
				pass->verdict.flags |= DP_FLAG_AFFINITY;
			if (err != -DP_DROP_CONNTRACK_TUPLE_IN_USE)
				return err;
			choice->attract = false; /* one flow steps aside, the client stays */
		}
	}

	position = service->algorithm == DP_ALGORITHM_MAGLEV
			   ? service_hash(&pass->before, service_has_affinity(service))
			   : dp_random();
	for (i = 0; i < DP_SERVICE_ATTEMPTS; i++) {
		index = service->base + (position % service->size + i) % service->size;
		slot = table_find(&maglev, &index); /* checks the bound itself */
		if (!slot)
			return -DP_DROP_SERVICE_BACKEND_NOT_FOUND;
		pass->position = index;
		id = slot->backend;
		backend = service_backend(service, &pass->before, id);
		err = service_try(pass, choice, backend, id);
		if (err != -DP_DROP_CONNTRACK_TUPLE_IN_USE)
			return err;
	}
	return -DP_DROP_CONNTRACK_TUPLE_IN_USE;
}

/* service_choose - find the packet's backend: its flow's own, or a new one.
 *
 * An open connection cannot move, not even when its tuple is taken.
 *
 * Requires: choice->service. @none: the service has nothing to choose from.
 * Returns 0, with the packet's tuple translated and @choice complete; or a negated reason, with the
 * tuple as the packet came.
 */
DP_SUBPROGRAM int service_choose(struct pass *pass, struct service_choice *choice, bool none)
{
	const struct dp_backend *backend;
	struct dp_ct_key key;
	int err;

	ct_key_of(&key, &pass->before, DP_CT_SERVICE);
	choice->remembered = ct_find(&key, pass->now_ns);
	err = service_continue(pass, choice, &backend);
	if (!err && backend)
		err = service_try(pass, choice, backend, choice->remembered->backend);
	if ((!err && !backend) ||
	    (err == -DP_DROP_CONNTRACK_TUPLE_IN_USE && !packet_is_mid_tcp(&pass->packet)))
		err = none ? -DP_DROP_SERVICE_NO_BACKEND : service_pick(pass, choice);
	if (err)
		pass->packet.tuple = pass->before;
	return err;
}

/* service_remember - the choice stands: keep it for the flow's next packets.
 *
 * @deadline_ns: of the flow's EGRESS entry. The two live and die together, for only that one sees
 * the replies.
 * Returns 0 or -DP_DROP_CONNTRACK_FULL.
 */
DP_SUBPROGRAM int service_remember(const struct pass *pass,
				   const struct service_choice *choice, __u64 deadline_ns)
{
	struct dp_ct state = {
		.expires_ns = deadline_ns,
		.reported_ns = pass->now_ns,
		.frontend = choice->service->frontend,
		.backend = choice->backend,
	};
	struct dp_ct_key key;

	if (choice->attract) {
		const struct dp_affinity attraction = {
			.last_used_ns = pass->now_ns,
			.backend = choice->backend,
		};
		struct dp_affinity_key client;

		service_affinity_key(&client, choice->service, &pass->before.source);
		table_put(&affinity, &client, &attraction);
	}
	if (choice->remembered) {
		choice->remembered->backend = choice->backend;
		choice->remembered->frontend = choice->service->frontend;
		choice->remembered->expires_ns = deadline_ns;
		return 0;
	}
	ct_key_of(&key, &pass->before, DP_CT_SERVICE);
	return table_put(&conntrack, &key, &state) ? -DP_DROP_CONNTRACK_FULL : 0;
}

/* service_reverse - the address that the client believes it talks to, as the packet's source.
 *
 * Returns 0 or -DP_DROP_REVERSE_NAT_NOT_FOUND: an untranslated reply would reach the client from a
 * stranger.
 */
static __always_inline int service_reverse(struct pass *pass, const struct dp_ct *flow)
{
	const struct dp_reverse_nat_key key = {.frontend = flow->frontend};
	const struct dp_reverse_nat *original = table_find(&reverse_nat, &key);

	if (!original)
		return -DP_DROP_REVERSE_NAT_NOT_FOUND;
	pass->packet.tuple.source = original->address;
	pass->packet.tuple.source_port = original->port;
	pass->frontend = flow->frontend;
	pass->verdict.backend = flow->backend;
	pass->verdict.flags |= DP_FLAG_REVERSED;
	return 0;
}

/* service_close - a reply has closed the flow: its SERVICE entry ends with it.
 *
 * @tuple: the reply as the client sees it.
 */
static __always_inline void service_close(const struct dp_tuple *tuple, const struct dp_ct *flow,
					  __u64 now_ns)
{
	struct dp_ct *remembered;
	struct dp_ct_key key;

	ct_key_reversed(&key, tuple, DP_CT_SERVICE);
	remembered = ct_find(&key, now_ns);
	if (remembered && remembered->frontend == flow->frontend)
		remembered->expires_ns = flow->expires_ns;
}

#endif
