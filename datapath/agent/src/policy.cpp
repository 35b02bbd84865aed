#include "policy.h"

#include <algorithm>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "policy_text.h"
#include "ports.h"
#include "waggle/abi/identities.h"

namespace waggle::agent {

namespace {

using kube::NetworkPolicy;

// What a look-up compares beyond subject, peer and direction.
struct Traffic {
  std::uint32_t prefix_bits = DP_POLICY_STATIC_BITS;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
};

constexpr std::uint32_t any_port_bits = DP_POLICY_STATIC_BITS + DP_POLICY_PROTOCOL_BITS;

// A peer of one rule, and whether a container port's name means something there.
struct Peer {
  std::uint32_t identity;
  const IdentityClass* resolves_names;  // null: a block, or everyone
};

bool block_allows(const NetworkPolicy::IpBlock& block, const IdentityClass& identity) {
  if (!identity.block || !block.cidr.contains(*identity.block)) return false;
  return std::ranges::none_of(block.except,
                              [&](const Cidr& except) { return except.contains(*identity.block); });
}

bool selectors_match(const NetworkPolicy::Peer& peer, const std::string& policy_namespace,
                     const IdentityClass& identity) {
  if (!identity.is_pods()) return false;
  const bool in_namespace = peer.namespace_selector
                                ? peer.namespace_selector->matches(identity.namespace_labels)
                                : identity.namespace_name == policy_namespace;
  return in_namespace && (!peer.pod_selector || peer.pod_selector->matches(identity.labels));
}

void add_traffic(const NetworkPolicy::Port& port, const IdentityClass* resolves_names,
                 std::vector<Traffic>& traffic) {
  const auto protocol = static_cast<std::uint8_t>(port.protocol);
  if (!port.port) {
    traffic.push_back({.prefix_bits = any_port_bits, .protocol = protocol});
  } else if (const auto* number = std::get_if<std::uint16_t>(&*port.port)) {
    for (const auto& prefix : port_prefixes(*number, port.end_port.value_or(*number))) {
      traffic.push_back(
          {.prefix_bits = any_port_bits + prefix.bits, .protocol = protocol, .port = prefix.base});
    }
  } else if (resolves_names != nullptr) {
    for (const auto& named : resolves_names->ports) {
      if (named.name != std::get<std::string>(*port.port) || named.protocol != port.protocol) {
        continue;
      }
      traffic.push_back({.prefix_bits = any_port_bits + DP_POLICY_PORT_BITS,
                         .protocol = protocol,
                         .port = named.port});
    }
  }
}

std::vector<Traffic> traffic_of(const NetworkPolicy::Rule& rule,
                                const IdentityClass* resolves_names) {
  if (rule.ports.empty()) return {Traffic{}};
  std::vector<Traffic> traffic;
  for (const auto& port : rule.ports) add_traffic(port, resolves_names, traffic);
  return traffic;
}

bool names_a_port(const NetworkPolicy::Rule& rule) {
  return std::ranges::any_of(rule.ports, [](const auto& port) {
    return port.port && std::holds_alternative<std::string>(*port.port);
  });
}

// Whom a rule speaks of. A rule for everyone speaks of ANY; its egress port names have to be asked
// of each pod.
std::vector<Peer> peers_of(const NetworkPolicy& policy, const NetworkPolicy::Rule& rule,
                           dp_direction direction, const Classes& peers, bool every_peer) {
  std::vector<Peer> matching;
  if (rule.peers.empty()) {
    if (every_peer) matching.push_back({DP_IDENTITY_ANY, nullptr});
    if (direction == DP_INGRESS || !names_a_port(rule)) return matching;
  }
  for (const auto& [number, identity] : peers) {
    bool selected = rule.peers.empty() && identity->is_pods();
    bool in_block = false;
    for (const auto& peer : rule.peers) {
      if (peer.ip_block) {
        in_block |= block_allows(*peer.ip_block, *identity);
      } else {
        selected |= selectors_match(peer, policy.meta.namespace_name, *identity);
      }
    }
    if (selected || in_block) matching.push_back({number, selected ? identity.get() : nullptr});
  }
  return matching;
}

dp_policy_key key_of(std::uint32_t subject, std::uint32_t peer, dp_direction direction,
                     const Traffic& traffic) {
  dp_policy_key key{};
  key.prefix_bits = traffic.prefix_bits;
  key.subject = htonl(subject);
  key.peer = htonl(peer);
  key.direction = static_cast<std::uint8_t>(direction);
  key.protocol = traffic.protocol;
  key.port = htons(traffic.port);
  return key;
}

dp_policy allowed_by(std::uint32_t rule) {
  dp_policy policy{};
  policy.rule = rule;
  policy.verdict = DP_POLICY_ALLOW;
  return policy;
}

struct Writer {
  const Classes& subjects;
  const Classes& peers;
  bool every_peer;
  const Ids& ids;
  Table<dp_policy_key, dp_policy>& entries;

  void add_rule(const NetworkPolicy& policy, const std::vector<std::uint32_t>& selected,
                dp_direction direction, std::size_t index) {
    const auto& rule = (direction == DP_INGRESS ? policy.ingress : policy.egress)[index];
    const auto matching = peers_of(policy, rule, direction, peers, every_peer);
    if (matching.empty()) return;
    const auto value =
        allowed_by(ids.rules.find(rule_content(kube::key_of(policy.meta), direction, index)));
    for (const auto subject : selected) {
      const auto* own = direction == DP_INGRESS ? subjects.at(subject).get() : nullptr;
      for (const auto& peer : matching) {
        const auto* resolves_names = direction == DP_INGRESS ? own : peer.resolves_names;
        for (const auto& traffic : traffic_of(rule, resolves_names)) {
          entries.try_emplace(key_of(subject, peer.identity, direction, traffic), value);
        }
      }
    }
  }
};

std::vector<std::uint32_t> selected_by(const NetworkPolicy& policy, const Classes& subjects) {
  std::vector<std::uint32_t> selected;
  for (const auto& [number, identity] : subjects) {
    if (identity->namespace_name == policy.meta.namespace_name &&
        policy.pod_selector.matches(identity->labels)) {
      selected.push_back(number);
    }
  }
  return selected;
}

}  // namespace

std::string rule_content(const kube::ObjectKey& policy, dp_direction direction, std::size_t index) {
  return fmt::format("{}/{}/{}/{}", policy.namespace_name, policy.name,
                     direction == DP_INGRESS ? "ingress" : "egress", index);
}

Result<> number_rules(const kube::NetworkPolicy& policy, Ids& ids, Provenance& provenance) {
  const auto key = kube::key_of(policy.meta);
  for (const auto direction : {DP_INGRESS, DP_EGRESS}) {
    const auto& rules = direction == DP_INGRESS ? policy.ingress : policy.egress;
    for (std::size_t index = 0; index < rules.size(); ++index) {
      const auto number = TRY(ids.rules.get(rule_content(key, direction, index)));
      provenance.rules[number] = {.policy = key,
                                  .direction = direction,
                                  .rule_index = static_cast<unsigned>(index),
                                  .source = rules[index].source,
                                  .text = rule_text(rules[index], direction, index)};
    }
  }
  return {};
}

void add_policy_entries(const Policies& policies, const Classes& subjects, const Classes& peers,
                        bool every_peer, const Ids& ids, Table<dp_policy_key, dp_policy>& entries) {
  std::set<std::uint32_t> isolated[2];
  Writer writer{subjects, peers, every_peer, ids, entries};
  for (const auto& [key, policy] : policies) {
    const auto selected = selected_by(policy, subjects);
    if (selected.empty()) continue;
    for (const auto direction : {DP_INGRESS, DP_EGRESS}) {
      const bool isolates =
          direction == DP_INGRESS ? policy.isolates_ingress : policy.isolates_egress;
      if (!isolates) continue;
      isolated[direction].insert(selected.begin(), selected.end());
      const auto& rules = direction == DP_INGRESS ? policy.ingress : policy.egress;
      for (std::size_t index = 0; index < rules.size(); ++index) {
        writer.add_rule(policy, selected, direction, index);
      }
    }
  }
  if (!every_peer) return;
  for (const auto& [subject, identity] : subjects) {
    for (const auto direction : {DP_INGRESS, DP_EGRESS}) {
      entries.try_emplace(key_of(subject, DP_IDENTITY_HOST, direction, {}), allowed_by(rule_host));
      if (isolated[direction].contains(subject)) continue;
      entries.try_emplace(key_of(subject, DP_IDENTITY_ANY, direction, {}),
                          allowed_by(rule_not_isolated));
    }
  }
}

}  // namespace waggle::agent
