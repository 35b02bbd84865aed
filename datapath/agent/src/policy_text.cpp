#include "policy_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace waggle::agent {

namespace {

std::string text(const kube::LabelSelector& selector) {
  using Operator = kube::LabelSelector::Operator;
  std::vector<std::string> parts;
  for (const auto& [key, value] : selector.match_labels) {
    parts.push_back(fmt::format("{}={}", key, value));
  }
  for (const auto& requirement : selector.match_expressions) {
    const auto values = fmt::format("{}", fmt::join(requirement.values, ", "));
    switch (requirement.op) {
      case Operator::in:
        parts.push_back(fmt::format("{} in ({})", requirement.key, values));
        break;
      case Operator::not_in:
        parts.push_back(fmt::format("{} not in ({})", requirement.key, values));
        break;
      case Operator::exists:
        parts.push_back("has " + requirement.key);
        break;
      case Operator::does_not_exist:
        parts.push_back("without " + requirement.key);
        break;
    }
  }
  return parts.empty() ? "any" : fmt::format("{}", fmt::join(parts, ","));
}

std::string text(const kube::NetworkPolicy::Peer& peer) {
  if (peer.ip_block) {
    std::string block = peer.ip_block->cidr.to_string();
    const char* separator = " except ";
    for (const auto& except : peer.ip_block->except) {
      block += separator + except.to_string();
      separator = ", ";
    }
    return block;
  }
  std::string pods = "pods " + (peer.pod_selector ? text(*peer.pod_selector) : "any");
  if (peer.namespace_selector) pods += " in namespaces " + text(*peer.namespace_selector);
  return pods;
}

std::string text(const kube::NetworkPolicy::Port& port) {
  const auto protocol = kube::to_string(port.protocol);
  if (!port.port) return "every port/" + protocol;
  if (const auto* name = std::get_if<std::string>(&*port.port)) {
    return fmt::format("port {}/{}", *name, protocol);
  }
  const auto number = std::get<std::uint16_t>(*port.port);
  if (!port.end_port) return fmt::format("port {}/{}", number, protocol);
  return fmt::format("ports {}-{}/{}", number, *port.end_port, protocol);
}

template <class Parts>
std::string joined(const Parts& parts, const char* separator) {
  std::vector<std::string> texts;
  for (const auto& part : parts) texts.push_back(text(part));
  return fmt::format("{}", fmt::join(texts, separator));
}

}  // namespace

std::string rule_text(const kube::NetworkPolicy::Rule& rule, dp_direction direction,
                      std::size_t index) {
  const bool in = direction == DP_INGRESS;
  return fmt::format("{} rule {}: {} {}, {}", in ? "ingress" : "egress", index + 1,
                     in ? "from" : "to", rule.peers.empty() ? "anyone" : joined(rule.peers, " or "),
                     rule.ports.empty() ? "every port and protocol" : joined(rule.ports, ", "));
}

}  // namespace waggle::agent
