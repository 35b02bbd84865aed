// Why a policy refuses, from the objects: for words only, the tables have decided already.

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "explain_names.h"
#include "waggle/simulator/packet.h"

namespace waggle::simulator {

namespace {

struct Case {
  const Names& names;
  dp_direction direction;
  const kube::Pod& subject;
  Address peer;
  const kube::Pod* peer_pod;
  std::uint8_t protocol;
  std::uint16_t port;
};

bool covers(const kube::NetworkPolicy::IpBlock& block, const Address& address) {
  return block.cidr.contains(address) &&
         std::ranges::none_of(block.except,
                              [&](const Cidr& except) { return except.contains(address); });
}

bool peer_fits(const Case& one, const kube::NetworkPolicy::Rule& rule, const std::string& home) {
  if (rule.peers.empty()) return true;
  return std::ranges::any_of(rule.peers, [&](const kube::NetworkPolicy::Peer& peer) {
    if (peer.ip_block) return covers(*peer.ip_block, one.peer);
    if (one.peer_pod == nullptr) return false;
    const auto& meta = one.peer_pod->meta;
    const bool in_namespace = peer.namespace_selector
                                  ? peer.namespace_selector->matches(
                                        one.names.cluster.namespace_labels(meta.namespace_name))
                                  : meta.namespace_name == home;
    return in_namespace && (!peer.pod_selector || peer.pod_selector->matches(meta.labels));
  });
}

/// A port's name means what the pod that is connected to calls it.
bool name_fits(const Case& one, const std::string& name) {
  const auto* target = one.direction == DP_INGRESS ? &one.subject : one.peer_pod;
  if (target == nullptr) return false;
  return std::ranges::any_of(target->ports, [&](const kube::ContainerPort& port) {
    return port.name == name && port.port == one.port &&
           static_cast<std::uint8_t>(port.protocol) == one.protocol;
  });
}

bool port_fits(const Case& one, const kube::NetworkPolicy::Rule& rule) {
  if (rule.ports.empty()) return true;
  return std::ranges::any_of(rule.ports, [&](const kube::NetworkPolicy::Port& port) {
    if (static_cast<std::uint8_t>(port.protocol) != one.protocol) return false;
    if (!port.port) return true;
    if (const auto* name = std::get_if<std::string>(&*port.port)) return name_fits(one, *name);
    const auto first = std::get<std::uint16_t>(*port.port);
    return one.port >= first && one.port <= port.end_port.value_or(first);
  });
}

std::string rule_words(const Case& one, const kube::ObjectKey& policy, std::size_t index) {
  for (const auto& [number, rule] : one.names.provenance.rules)
    if (rule.policy == policy && rule.direction == one.direction && rule.rule_index == index)
      return rule.text;
  return fmt::format("rule {}", index + 1);
}

void tell_rules(const Case& one, const kube::NetworkPolicy& policy, Refusal& refusal) {
  const auto& rules = one.direction == DP_INGRESS ? policy.ingress : policy.egress;
  const auto key = key_of(policy.meta);
  refusal.reasons.push_back(fmt::format("isolated by {} ({}){}", key.to_string(),
                                        policy.meta.source.to_string(),
                                        rules.empty() ? ", which has no rules" : ""));
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const bool peer = peer_fits(one, rules[i], policy.meta.namespace_name);
    const bool port = port_fits(one, rules[i]);
    refusal.reasons.push_back(fmt::format("  {} ({}): {}", rule_words(one, key, i),
                                          rules[i].source.to_string(),
                                          peer   ? "the peer fits, the port does not"
                                          : port ? "the port fits, the peer does not"
                                                 : "neither peer nor port fits"));
  }
}

/// Labels that a person would write: not those that controllers add to tell replicas apart.
std::string labels_text(const kube::Labels& labels) {
  static const std::set<std::string> made = {
      "pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name",
      "apps.kubernetes.io/pod-index", "pod-template-generation"};
  std::string text;
  for (const auto& [key, value] : labels)
    if (!made.contains(key))
      text +=
          fmt::format("{}{}: {}", text.empty() ? "" : ", ", key, value.empty() ? "\"\"" : value);
  return "{" + text + "}";
}

std::vector<std::string> needed_rule(const Case& one) {
  const bool in = one.direction == DP_INGRESS;
  std::vector<std::string> yaml = {in ? "ingress:" : "egress:", in ? "- from:" : "- to:"};
  if (one.peer_pod == nullptr) {
    yaml.push_back(fmt::format("  - ipBlock: {{cidr: {}/{}}}", one.peer.to_string(),
                               one.peer.family() == Family::v4 ? 32 : 128));
  } else {
    const auto& meta = one.peer_pod->meta;
    yaml.push_back(fmt::format("  - podSelector: {{matchLabels: {}}}", labels_text(meta.labels)));
    if (meta.namespace_name != one.subject.meta.namespace_name)
      yaml.push_back(
          fmt::format("    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}",
                      meta.namespace_name));
  }
  const bool has_port = one.protocol == 6 || one.protocol == 17 || one.protocol == 132;
  yaml.push_back(has_port ? fmt::format("  ports: [{{protocol: {}, port: {}}}]",
                                        protocol_name(one.protocol), one.port)
                          : "  # NetworkPolicy names no ICMP: only a rule without ports admits it");
  return yaml;
}

}  // namespace

Refusal why_denied(const Names& names, dp_direction direction, const kube::Pod& subject,
                   const Address& peer, const dp_tuple& tuple) {
  const Case one{names,
                 direction,
                 subject,
                 peer,
                 names.pod_at(peer),
                 tuple.protocol,
                 ntohs(tuple.destination_port)};
  Refusal refusal;
  std::string where;
  for (const auto& [key, policy] : names.cluster.network_policies) {
    const bool isolates =
        direction == DP_INGRESS ? policy.isolates_ingress : policy.isolates_egress;
    if (!isolates || key.namespace_name != subject.meta.namespace_name ||
        !policy.pod_selector.matches(subject.meta.labels))
      continue;
    tell_rules(one, policy, refusal);
    if (where.empty()) where = key.to_string();
  }
  if (where.empty()) {
    refusal.reasons.emplace_back(
        "no policy object isolates the pod: the table is at odds with them");
    return refusal;
  }
  refusal.advice.push_back(fmt::format(
      "To allow it, a policy that selects {} (podSelector {{matchLabels: {}}}) needs this rule:",
      key_of(subject.meta).to_string(), labels_text(subject.meta.labels)));
  for (const auto& line : needed_rule(one)) refusal.advice.push_back("  " + line);
  return refusal;
}

}  // namespace waggle::simulator
