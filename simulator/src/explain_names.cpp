#include "explain_names.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "waggle/abi/identities.h"
#include "waggle/simulator/packet.h"

namespace waggle::simulator {

std::string End::to_string(std::uint8_t protocol) const {
  if (protocol == protocol_icmp || protocol == protocol_icmp6) return address.to_string();
  const bool v4 = address.family() == Family::v4;
  return fmt::format("{}{}{}:{}", v4 ? "" : "[", address.to_string(), v4 ? "" : "]", port);
}

End source_of(const dp_tuple& tuple) {
  return {agent::from_abi(tuple.source), ntohs(tuple.source_port)};
}

End destination_of(const dp_tuple& tuple) {
  return {agent::from_abi(tuple.destination), ntohs(tuple.destination_port)};
}

const kube::Pod* Names::pod_at(const Address& address) const {
  const auto found = std::ranges::find_if(cluster.pods, [&](const auto& entry) {
    const kube::Pod& pod = entry.second;
    return !pod.host_network && std::ranges::count(pod.addresses, address) > 0;
  });
  return found == cluster.pods.end() ? nullptr : &found->second;
}

std::string Names::who_is(const Address& address) const {
  if (const auto* pod = pod_at(address)) return "pod " + key_of(pod->meta).to_string();
  for (const auto& [key, node] : cluster.nodes)
    if (std::ranges::count(node.addresses, address) > 0) return "node " + key.name;
  for (const auto& [key, service] : cluster.services)
    if (std::ranges::count(service.cluster_ips, address) > 0) return "service " + key.to_string();
  return "outside the cluster";
}

std::string Names::identity(std::uint32_t number) const {
  if (number == DP_IDENTITY_HOST) return "1 host (this node)";
  if (number == DP_IDENTITY_WORLD) return "2 world";
  if (number == DP_IDENTITY_REMOTE_NODE) return "6 remote-node";
  const auto found = provenance.identities.find(number);
  const bool known = found != provenance.identities.end();
  return fmt::format("{}{}{}", number, known ? " " : "", known ? found->second.text : "");
}

std::string Names::node(std::uint32_t id) const {
  const auto found = provenance.nodes.find(id);
  return found == provenance.nodes.end() ? fmt::format("node number {}", id) : found->second;
}

const kube::Pod* Names::pod_behind(const std::string& node, std::uint32_t ifindex) const {
  for (const auto& [key, endpoint] : tables.endpoints) {
    if (endpoint.ifindex != ifindex) continue;
    const auto* pod = pod_at(agent::from_abi(key.address));
    if (pod != nullptr && pod->node_name == node) return pod;
  }
  return nullptr;
}

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case protocol_icmp:
      return "ICMP";
    case protocol_icmp6:
      return "ICMPv6";
    case 6:
      return "TCP";
    case 17:
      return "UDP";
    case 132:
      return "SCTP";
    default:
      return fmt::format("protocol {}", protocol);
  }
}

std::string port_text(const dp_tuple& tuple) {
  if (tuple.protocol == protocol_icmp || tuple.protocol == protocol_icmp6)
    return fmt::format("{} type {} code {}", protocol_name(tuple.protocol), tuple.icmp_type,
                       tuple.icmp_code);
  return fmt::format("{}/{}", ntohs(tuple.destination_port), protocol_name(tuple.protocol));
}

}  // namespace waggle::simulator
