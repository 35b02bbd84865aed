// NetworkPolicy v1 from the objects.

#include <fmt/format.h>

#include <algorithm>

#include "number.h"
#include "waggle/verifier/policy.h"

namespace waggle::verifier {

namespace {

using kube::LabelSelector;
using kube::NetworkPolicy;

// Written out here, not taken from kube, so that P1 is a second opinion on selectors as well.
bool matches(const LabelSelector::Requirement& requirement, const kube::Labels& labels) {
  const auto label = labels.find(requirement.key);
  const bool present = label != labels.end();
  const bool listed = present && std::ranges::count(requirement.values, label->second) > 0;
  switch (requirement.op) {
    case LabelSelector::Operator::in:
      return listed;
    case LabelSelector::Operator::not_in:
      return !listed;
    case LabelSelector::Operator::exists:
      return present;
    case LabelSelector::Operator::does_not_exist:
      return !present;
  }
  return false;
}

bool matches(const LabelSelector& selector, const kube::Labels& labels) {
  for (const auto& [key, value] : selector.match_labels) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  return std::ranges::all_of(selector.match_expressions,
                             [&](const auto& requirement) { return matches(requirement, labels); });
}

bool covers(const NetworkPolicy::IpBlock& block, const Address& address) {
  const auto inside = [&](const Cidr& cidr) {
    return cidr.family() == address.family() && Block::of(cidr).contains(number_of(address));
  };
  return inside(block.cidr) && std::ranges::none_of(block.except, inside);
}

// Host-network pods are their node; finished pods have given their address back.
bool has_network(const kube::Pod& pod) { return !pod.host_network && !pod.finished(); }

const std::vector<NetworkPolicy::Rule>& rules_of(const NetworkPolicy& policy,
                                                 dp_direction direction) {
  return direction == DP_INGRESS ? policy.ingress : policy.egress;
}

bool isolates(const NetworkPolicy& policy, dp_direction direction) {
  return direction == DP_INGRESS ? policy.isolates_ingress : policy.isolates_egress;
}

// A port by name is looked up at the destination pod; towards a block it has no meaning.
void grant_port(const NetworkPolicy& policy, unsigned rule_index, const NetworkPolicy::Port& port,
                const kube::Pod* destination, std::vector<Specification::Grant>& out) {
  const auto protocol = static_cast<std::uint8_t>(port.protocol);
  if (!port.port) {
    out.push_back({&policy, rule_index, protocol, 0, 65535});
  } else if (const auto* number = std::get_if<std::uint16_t>(&*port.port)) {
    out.push_back({&policy, rule_index, protocol, *number, port.end_port.value_or(*number)});
  } else if (destination) {
    const std::string& name = std::get<std::string>(*port.port);
    for (const auto& own : destination->ports) {
      if (own.name == name && own.protocol == port.protocol)
        out.push_back({&policy, rule_index, protocol, own.port, own.port});
    }
  }
}

const char* name_of(dp_direction direction) {
  return direction == DP_INGRESS ? "ingress" : "egress";
}

}  // namespace

Specification::Specification(const kube::Cluster& cluster, Modes modes)
    : cluster_(cluster), modes_(modes) {
  for (const auto& [key, pod] : cluster.pods) {
    namespaces_.try_emplace(key.namespace_name, cluster.namespace_labels(key.namespace_name));
    if (!has_network(pod)) continue;
    for (const Address& address : pod.addresses) {
      // A pod that goes away and its successor may share an address for a moment.
      const auto [owner, is_new] = pods_.emplace(address, &pod);
      if (!is_new && owner->second->terminating && !pod.terminating) owner->second = &pod;
    }
    auto& selecting = selected_by_[key];
    for (const auto& [policy_key, policy] : cluster.network_policies) {
      if (policy_key.namespace_name == key.namespace_name &&
          matches(policy.pod_selector, pod.meta.labels))
        selecting.push_back(&policy);
    }
  }
}

const kube::Pod* Specification::pod_at(const Address& address) const {
  const auto found = pods_.find(address);
  return found == pods_.end() ? nullptr : found->second;
}

bool Specification::is_own_node(const kube::Pod& subject, const Address& peer) const {
  const auto node = cluster_.nodes.find({"", subject.node_name});
  return node != cluster_.nodes.end() && std::ranges::count(node->second.addresses, peer) > 0;
}

std::vector<const NetworkPolicy*> Specification::policies_of(const kube::Pod& pod) const {
  const auto found = selected_by_.find(key_of(pod.meta));
  return found == selected_by_.end() ? std::vector<const NetworkPolicy*>{} : found->second;
}

bool Specification::isolated(dp_direction direction, const kube::Pod& subject) const {
  const auto found = selected_by_.find(key_of(subject.meta));
  return found != selected_by_.end() && std::ranges::any_of(found->second, [&](const auto* policy) {
           return isolates(*policy, direction);
         });
}

Specification::Selected Specification::selects(const NetworkPolicy::Rule& rule,
                                               const std::string& home, const Address& peer) const {
  const kube::Pod* pod = pod_at(peer);
  if (rule.peers.empty()) return {true, true};
  Selected out;
  for (const NetworkPolicy::Peer& item : rule.peers) {
    if (item.ip_block) {
      out.at_all |= (!pod || modes_.cidr_selects_pods) && covers(*item.ip_block, peer);
      continue;
    }
    if (!pod || (!item.pod_selector && !item.namespace_selector)) continue;
    const std::string& there = pod->meta.namespace_name;
    const bool space = item.namespace_selector
                           ? matches(*item.namespace_selector, namespaces_.at(there))
                           : there == home;
    if (space && (!item.pod_selector || matches(*item.pod_selector, pod->meta.labels)))
      out = {true, true};
  }
  return out;
}

std::vector<Specification::Grant> Specification::grants(dp_direction direction,
                                                        const kube::Pod& subject,
                                                        const Address& peer) const {
  std::vector<Grant> out;
  const auto found = selected_by_.find(key_of(subject.meta));
  if (found == selected_by_.end()) return out;
  for (const NetworkPolicy* policy : found->second) {
    if (!isolates(*policy, direction)) continue;
    const auto& rules = rules_of(*policy, direction);
    for (unsigned i = 0; i < rules.size(); ++i) {
      const Selected selected = selects(rules[i], policy->meta.namespace_name, peer);
      if (!selected.at_all) continue;
      const kube::Pod* destination = &subject;
      if (direction == DP_EGRESS) destination = selected.as_pod ? pod_at(peer) : nullptr;
      if (rules[i].ports.empty()) out.push_back({policy, i, std::nullopt, 0, 65535});
      for (const auto& port : rules[i].ports) grant_port(*policy, i, port, destination, out);
    }
  }
  return out;
}

Decision Specification::judge(dp_direction direction, const kube::Pod& subject, const Address& peer,
                              std::uint8_t protocol, std::uint16_t port) const {
  using Why = Decision::Why;
  if (std::ranges::count(subject.addresses, peer) > 0)
    return {true, Why::self, {}, 0, {}, "a pod reaches itself"};
  if (is_own_node(subject, peer))
    return {true, Why::own_node, {}, 0, {}, "a node and its own pods reach each other"};
  if (!isolated(direction, subject))
    return {true,
            Why::not_isolated,
            {},
            0,
            {},
            fmt::format("no policy isolates {} for {}", key_of(subject.meta).to_string(),
                        name_of(direction))};
  for (const Grant& grant : grants(direction, subject, peer)) {
    if (grant.protocol && (*grant.protocol != protocol || port < grant.first || port > grant.last))
      continue;
    const auto& rule = rules_of(*grant.policy, direction)[grant.rule_index];
    const auto key = key_of(grant.policy->meta);
    return {true,
            Why::rule,
            key,
            grant.rule_index,
            rule.source,
            fmt::format("{} {} rule {} ({})", key.to_string(), name_of(direction),
                        grant.rule_index + 1, rule.source.to_string())};
  }
  std::string isolating;
  for (const NetworkPolicy* policy : selected_by_.at(key_of(subject.meta))) {
    if (!isolates(*policy, direction)) continue;
    isolating += fmt::format("{}{} ({})", isolating.empty() ? "" : ", ",
                             key_of(policy->meta).to_string(), policy->meta.source.to_string());
  }
  return {false,
          Why::no_rule,
          {},
          0,
          {},
          fmt::format("{} is isolated for {} by {}, and no rule admits it",
                      key_of(subject.meta).to_string(), name_of(direction), isolating)};
}

Verdict Specification::judge(const Address& source, const Address& destination,
                             std::uint8_t protocol, std::uint16_t port) const {
  const Decision unmanaged{true, Decision::Why::unmanaged,           {}, 0,
                           {},   "policies do not apply to this end"};
  const kube::Pod* from = pod_at(source);
  const kube::Pod* to = pod_at(destination);
  return {from ? judge(DP_EGRESS, *from, destination, protocol, port) : unmanaged,
          to ? judge(DP_INGRESS, *to, source, protocol, port) : unmanaged};
}

}  // namespace waggle::verifier
