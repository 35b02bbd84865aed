#include "waggle/simulator/explain.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "explain_names.h"
#include "waggle/abi/drop_reasons.h"
#include "waggle/abi/identities.h"
#include "waggle/kernel/datapath.h"

namespace waggle::simulator {

namespace {

constexpr std::uint32_t none = ~0u;

std::string hook_words(dp_hook hook) {
  switch (hook) {
    case DP_HOOK_from_container:
      return "what a pod sends";
    case DP_HOOK_to_container:
      return "what a pod is about to get";
    case DP_HOOK_from_netdev:
      return "what the wire brings";
    case DP_HOOK_to_netdev:
      return "what leaves on the wire";
    default:
      return "";
  }
}

/// The tuple before and after the hop: from the event, or from the packets themselves.
struct Tuples {
  dp_tuple before{}, after{};
  bool known = false;
};

dp_tuple tuple_of(const PacketFields& fields) {
  dp_tuple tuple{};
  tuple.source = agent::to_abi(fields.source);
  tuple.destination = agent::to_abi(fields.destination);
  tuple.source_port = htons(fields.source_port);
  tuple.destination_port = htons(fields.destination_port);
  tuple.protocol = fields.protocol;
  tuple.tcp_flags = fields.tcp_flags;
  tuple.icmp_type = fields.icmp_type;
  tuple.icmp_code = fields.icmp_code;
  return tuple;
}

Tuples tuples_of(const Hop& hop) {
  if (hop.event && hop.event->before.protocol != 0)
    return {hop.event->before, hop.event->after, true};
  const auto in = parse(hop.in);
  const auto out = parse(hop.out.empty() ? hop.in : hop.out);
  if (!in || !out) return {};
  return {tuple_of(*in), tuple_of(*out), true};
}

/// What one hop's lines are told from.
struct Teller {
  const Names& names;
  const Hop& hop;
  Tuples tuples;
  ExplainedHop told;

  void line(std::string topic, std::string text, std::string entry = {}) {
    told.lines.push_back({std::move(topic), std::move(text), std::move(entry)});
  }
  [[nodiscard]] bool from_pod() const { return hop.hook == DP_HOOK_from_container; }
  [[nodiscard]] bool to_pod() const { return hop.hook == DP_HOOK_to_container; }
  [[nodiscard]] bool has(std::uint32_t flag) const { return (hop.verdict.flags & flag) != 0; }
};

std::string identity_entry(const Names& names, const Address& address, std::uint32_t identity) {
  if (identity == DP_IDENTITY_HOST) return "node_config: the node's own address";
  const dp_ipcache_key key{0, agent::to_abi(address)};
  const auto exact = names.tables.ipcache.find(key);
  if (exact != names.tables.ipcache.end() && exact->second.identity == identity)
    return fmt::format("ipcache[{}]", address.to_string());
  if (identity == DP_IDENTITY_WORLD)
    return fmt::format("no ipcache entry for {}", address.to_string());
  std::string entry;
  unsigned longest = 0;
  for (const auto& [prefix, value] : names.tables.ipcache_prefix) {
    const auto base = agent::from_abi(prefix.address);
    const unsigned skip =
        DP_IPCACHE_STATIC_BITS + (base.family() == Family::v4 ? DP_V4_PREFIX_BITS : 0);
    if (value.identity != identity || prefix.prefix_bits < skip ||
        base.family() != address.family())
      continue;
    const auto block = Cidr::of(base, prefix.prefix_bits - skip);
    if (block.contains(address) && prefix.prefix_bits > longest) {
      longest = prefix.prefix_bits;
      entry = fmt::format("ipcache_prefix[{}]", block.to_string());
    }
  }
  return entry;
}

void tell_end(Teller& teller, const char* topic, const Address& address, std::uint32_t identity) {
  if (identity == 0) return;
  const bool own = (teller.from_pod() && topic == std::string("source")) ||
                   (teller.to_pod() && topic == std::string("destination"));
  teller.line(topic,
              fmt::format("{} is {}, identity {}", address.to_string(),
                          teller.names.who_is(address), teller.names.identity(identity)),
              own ? fmt::format("endpoints[{}]", address.to_string())
                  : identity_entry(teller.names, address, identity));
}

const std::pair<const dp_service_key, dp_service>* service_with(const Names& names,
                                                                std::uint32_t frontend) {
  const auto found = std::ranges::find_if(
      names.tables.services, [&](const auto& entry) { return entry.second.frontend == frontend; });
  return found == names.tables.services.end() ? nullptr : &*found;
}

std::string backend_words(const Names& names, std::uint32_t backend) {
  const auto found = names.provenance.backends.find(backend);
  if (found == names.provenance.backends.end()) return fmt::format("backend {}", backend);
  const auto& pod = found->second.pod;
  return fmt::format("{}{}", pod.name.empty() ? "" : pod.to_string() + " at ",
                     found->second.address);
}

std::string pick_words(const Teller& teller, const dp_service& service) {
  if (teller.has(DP_FLAG_AFFINITY))
    return fmt::format("the client's last backend (ClientIP affinity, {} s)",
                       service.affinity_timeout_s);
  const auto position = teller.hop.event ? teller.hop.event->position : none;
  if (position == none) return "the backend that this connection already has";
  const auto region = teller.names.tables.maglev.find(service.base);
  std::set<std::uint32_t> distinct;
  if (region != teller.names.tables.maglev.end())
    distinct.insert(region->second.begin(),
                    region->second.begin() +
                        std::min<std::ptrdiff_t>(service.size, std::ssize(region->second)));
  const auto relative = position >= service.base ? position - service.base : position;
  return fmt::format(
      "{}: position {} of {}, {} {}{}",
      service.algorithm == DP_ALGORITHM_MAGLEV ? "Maglev hash of the flow" : "a random pick",
      relative + 1, service.size, distinct.size(), distinct.size() == 1 ? "backend" : "backends",
      (service.flags & DP_SERVICE_TERMINATING) != 0 ? ", all of them terminating: none is ready"
                                                    : "");
}

void tell_service(Teller& teller) {
  const auto frontend = teller.hop.event ? teller.hop.event->frontend : 0;
  if (frontend == 0) return;
  const auto& frontends = teller.names.provenance.frontends;
  const auto named = frontends.find(frontend);
  const auto* entry = service_with(teller.names, frontend);
  const auto at = teller.has(DP_FLAG_REVERSED) ? source_of(teller.tuples.after)
                                               : destination_of(teller.tuples.before);
  std::string who = named == frontends.end()
                        ? fmt::format("frontend {}", frontend)
                        : fmt::format("service {}{}{} ({})", named->second.service.to_string(),
                                      named->second.port_name.empty() ? "" : ", port ",
                                      named->second.port_name, named->second.source.to_string());
  if (teller.has(DP_FLAG_REVERSED)) {
    teller.line("service", "an answer of " + who + ": the client must see the service's address",
                fmt::format("reverse_nat[{}]", frontend));
    return;
  }
  teller.line("service", fmt::format("{} is {}", at.to_string(teller.tuples.before.protocol), who),
              fmt::format("services[{}/{}]", at.to_string(teller.tuples.before.protocol),
                          protocol_name(teller.tuples.before.protocol)));
  const auto backend = teller.hop.verdict.backend;
  if (entry != nullptr && entry->second.size == 0)
    teller.line("", "it has no eligible backend");
  else if (backend != 0 && entry != nullptr)
    teller.line("",
                pick_words(teller, entry->second) + " -> " + backend_words(teller.names, backend),
                fmt::format("backends[{}]", backend));
  if (teller.has(DP_FLAG_HAIRPIN))
    teller.line("",
                "the backend is the client itself: its source becomes the hairpin address, so "
                "that the answer comes back here");
}

void tell_rewrites(Teller& teller) {
  if (!teller.tuples.known) return;
  const dp_tuple& before = teller.tuples.before;
  const dp_tuple& after = teller.tuples.after;
  const auto tell = [&](const char* what, const End& was, const End& is) {
    if (was != is)
      teller.line("rewritten", fmt::format("{} {} -> {}", what, was.to_string(before.protocol),
                                           is.to_string(after.protocol)));
  };
  if (teller.hop.verdict.kind == DP_VERDICT_ANSWER) return;
  tell("source", source_of(before), source_of(after));
  tell("destination", destination_of(before), destination_of(after));
}

void tell_conntrack(Teller& teller) {
  switch (teller.hop.verdict.ct_state) {
    case DP_CT_NEW:
      return teller.line("conntrack", "a new connection");
    case DP_CT_ESTABLISHED:
      return teller.line("conntrack", "a known connection, in its originator's direction");
    case DP_CT_REPLY:
      return teller.line("conntrack", "the answer to a known connection");
    case DP_CT_RELATED:
      return teller.line("conntrack", "an ICMP error about a known connection");
    default:
      return;
  }
}

/// The entry of `policy` that carries the rule: the longest that fits.
std::string policy_entry(const Teller& teller, dp_direction direction, std::uint32_t subject,
                         std::uint32_t peer) {
  const auto& tuple = teller.tuples.after;
  const bool icmp = tuple.protocol == protocol_icmp || tuple.protocol == protocol_icmp6;
  const unsigned port =
      icmp ? tuple.icmp_type * 256u + tuple.icmp_code : ntohs(tuple.destination_port);
  const dp_policy_key* best = nullptr;
  for (const auto& [key, value] : teller.names.tables.policy) {
    if (value.rule != teller.hop.verdict.rule || ntohl(key.subject) != subject ||
        key.direction != direction || (ntohl(key.peer) != peer && ntohl(key.peer) != 0))
      continue;
    const auto bits = key.prefix_bits - DP_POLICY_STATIC_BITS;
    const auto port_bits = bits > 8 ? bits - 8 : 0;
    const bool fits = (bits == 0 || key.protocol == tuple.protocol) &&
                      ((port ^ ntohs(key.port)) >> (16 - port_bits)) == 0;
    if (fits && (best == nullptr || key.prefix_bits > best->prefix_bits)) best = &key;
  }
  if (best == nullptr) return {};
  const auto bits = best->prefix_bits - DP_POLICY_STATIC_BITS;
  return fmt::format(
      "policy[{} {} {} {} {}]", subject, direction == DP_EGRESS ? "->" : "<-",
      ntohl(best->peer) == 0 ? "any" : std::to_string(ntohl(best->peer)),
      bits == 0 ? "any protocol" : protocol_name(best->protocol),
      bits <= 8 ? std::string("any port") : fmt::format("{}/{}", ntohs(best->port), bits - 8));
}

std::string rule_words(const Names& names, std::uint32_t rule, const char* side) {
  if (rule == agent::rule_not_isolated) return fmt::format("no policy isolates it for {}", side);
  if (rule == agent::rule_host) return "a node always reaches its own pods, and they it";
  const auto found = names.provenance.rules.find(rule);
  if (found == names.provenance.rules.end()) return fmt::format("rule {}", rule);
  return fmt::format("{} ({}), {}", found->second.policy.to_string(),
                     found->second.source.to_string(), found->second.text);
}

void tell_denied(Teller& teller, dp_direction direction, Explanation& whole) {
  const auto& tuple = teller.tuples.after;
  const auto own = direction == DP_EGRESS ? source_of(tuple) : destination_of(tuple);
  const auto peer = direction == DP_EGRESS ? destination_of(tuple) : source_of(tuple);
  const auto* subject = teller.names.pod_at(own.address);
  if (subject == nullptr) return;
  auto refusal = why_denied(teller.names, direction, *subject, peer.address, tuple);
  for (auto& reason : refusal.reasons) teller.line("", std::move(reason));
  whole.advice = std::move(refusal.advice);
}

void tell_policy(Teller& teller, Explanation& whole) {
  if (!teller.from_pod() && !teller.to_pod()) return;
  const auto& verdict = teller.hop.verdict;
  const auto direction = teller.from_pod() ? DP_EGRESS : DP_INGRESS;
  const char* side = direction == DP_EGRESS ? "egress" : "ingress";
  const std::uint32_t source = verdict.source_identity, destination = verdict.destination_identity;
  const auto subject = direction == DP_EGRESS ? source : destination;
  const auto peer = direction == DP_EGRESS ? destination : source;
  const bool denied = verdict.reason == DP_DROP_POLICY_DENIED;
  if (verdict.ct_state == DP_CT_REPLY || verdict.ct_state == DP_CT_RELATED) {
    teller.line("policy", "not asked: the connection was allowed when it was opened");
  } else if (denied) {
    teller.line(
        "policy",
        fmt::format("{}: no entry allows {} for {} {} {}", side, port_text(teller.tuples.after),
                    teller.names.identity(subject), direction == DP_EGRESS ? "towards" : "from",
                    teller.names.identity(peer)));
    tell_denied(teller, direction, whole);
  } else if (teller.has(DP_FLAG_HAIRPIN)) {
    teller.line("policy", "not asked: a pod always reaches itself");
  } else if (verdict.rule != 0) {
    teller.line("policy",
                fmt::format("{} {}: {}{}", side,
                            verdict.reason == DP_DROP_POLICY_DENY_RULE ? "denied" : "allowed",
                            rule_words(teller.names, verdict.rule, side),
                            teller.has(DP_FLAG_CACHED) ? " (remembered by conntrack)" : ""),
                policy_entry(teller, direction, subject, peer));
  }
}

std::string pod_words(const Teller& teller, std::uint32_t ifindex) {
  const auto* pod = teller.names.pod_behind(teller.hop.node, ifindex);
  return pod == nullptr ? fmt::format("device {}", ifindex)
                        : "pod " + key_of(pod->meta).to_string();
}

std::string fate_words(const Teller& teller) {
  const auto& verdict = teller.hop.verdict;
  const std::uint32_t target = verdict.target, reason = verdict.reason;
  switch (verdict.kind) {
    case DP_VERDICT_DROP:
      return fmt::format("DROPPED {}: {}", kernel::drop_name(reason), kernel::drop_text(reason));
    case DP_VERDICT_LOCAL:
      return fmt::format("to {} on this node, through device {}", pod_words(teller, target),
                         target);
    case DP_VERDICT_NODE: {
      const auto node = teller.names.tables.nodes.find({target});
      const bool v4 = agent::from_abi(teller.tuples.after.destination).family() == Family::v4;
      const auto hop = node == teller.names.tables.nodes.end()
                           ? Address{}
                           : agent::from_abi(v4 ? node->second.address4 : node->second.address6);
      return fmt::format("to {}, next hop {}, out of the uplink", teller.names.node(target),
                         hop.to_string());
    }
    case DP_VERDICT_STACK:
      return "to the stack of this node, which owns or routes the destination";
    case DP_VERDICT_DELIVER:
      return teller.from_pod() ? "straight back into " + pod_words(teller, target) : "into the pod";
    case DP_VERDICT_ANSWER:
      return fmt::format("turned into an ICMP error back to {}: {}", pod_words(teller, target),
                         kernel::drop_text(reason));
    case DP_VERDICT_WIRE:
      return "onto the wire";
    default:
      return "no verdict: a defect of the datapath";
  }
}

ExplainedHop tell_hop(const Hop& hop, const Names& names, Explanation& whole) {
  Teller teller{names, hop, tuples_of(hop), {}};
  teller.told.node = hop.node;
  teller.told.hook = kernel::hook_name(hop.hook);
  teller.told.about = hook_words(hop.hook);
  if (!teller.tuples.known) {
    teller.line("packet", "it could not be parsed");
  } else {
    const auto& after = teller.tuples.after;
    tell_end(teller, "source", source_of(teller.tuples.before).address,
             hop.verdict.source_identity);
    tell_service(teller);
    tell_rewrites(teller);
    tell_end(teller, "destination", destination_of(after).address,
             hop.verdict.destination_identity);
    tell_conntrack(teller);
    tell_policy(teller, whole);
  }
  teller.told.fate = fate_words(teller);
  return teller.told;
}

std::string verdict_words(const Walk& walk) {
  const auto last = walk.hops.empty() ? std::string() : walk.hops.back().node;
  switch (walk.fate) {
    case Walk::Fate::delivered:
      return "DELIVERED to pod " + walk.where;
    case Walk::Fate::dropped:
      return fmt::format("DROPPED at {}: {}, {}", walk.where, kernel::drop_name(walk.drop_reason()),
                         kernel::drop_text(walk.drop_reason()));
    case Walk::Fate::stack:
      return "DELIVERED to the host stack of node " + walk.where;
    case Walk::Fate::world:
      return "LEFT the cluster through node " + walk.where;
    case Walk::Fate::answered:
      return "ANSWERED with an ICMP error by " + last;
    case Walk::Fate::lost:
      return "LOST, a defect: " + walk.where;
  }
  return {};
}

/// A service without backends is explained by the endpoints it has.
void advise_no_backend(const Walk& walk, const Names& names, Explanation& whole) {
  if (walk.hops.empty() || walk.hops.back().verdict.reason != DP_DROP_SERVICE_NO_BACKEND) return;
  const auto& event = walk.hops.back().event;
  const auto named = names.provenance.frontends.find(event ? event->frontend : 0);
  if (named == names.provenance.frontends.end()) return;
  const auto& service = named->second.service;
  whole.advice.push_back(
      fmt::format("The service needs a ready endpoint. The endpoints of {}:", service.to_string()));
  std::size_t count = 0;
  for (const auto& [key, slice] : names.cluster.endpoint_slices) {
    if (key.namespace_name != service.namespace_name || slice.service_name != service.name)
      continue;
    for (const auto& endpoint : slice.endpoints) {
      ++count;
      whole.advice.push_back(fmt::format(
          "  {} {}: {}", endpoint.addresses.empty() ? "?" : endpoint.addresses[0].to_string(),
          endpoint.target_pod ? endpoint.target_pod->to_string() : "",
          endpoint.ready ? "ready" : (endpoint.terminating ? "terminating" : "not ready")));
    }
  }
  if (count == 0) whole.advice.emplace_back("  none: its selector matches no pod with an address");
}

}  // namespace

Explanation explain(const Walk& walk, const kube::Cluster& cluster, const agent::Tables& tables,
                    const agent::Provenance& provenance) {
  const Names names{cluster, tables, provenance};
  Explanation whole;
  if (!walk.hops.empty()) {
    const auto sent = parse(walk.hops.front().in);
    if (sent) whole.packet = to_line(*sent);
  }
  for (const auto& hop : walk.hops) whole.hops.push_back(tell_hop(hop, names, whole));
  advise_no_backend(walk, names, whole);
  whole.fate = to_string(walk.fate);
  whole.verdict = verdict_words(walk);
  return whole;
}

}  // namespace waggle::simulator
