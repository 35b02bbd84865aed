#pragma once
// Numbers and addresses as people call them. Shared by the parts of explain.

#include <string>

#include "waggle/abi/events.h"
#include "waggle/agent/compile.h"
#include "waggle/kube/cluster.h"

namespace waggle::simulator {

/// One end of a packet.
struct End {
  Address address;
  std::uint16_t port = 0;
  std::string to_string(std::uint8_t protocol) const;  ///< "10.0.0.1:80", "[fd00::1]:80"
  bool operator==(const End&) const = default;
};
[[nodiscard]] End source_of(const dp_tuple& tuple);
[[nodiscard]] End destination_of(const dp_tuple& tuple);

/// Where things are looked up. The parts must outlive it.
struct Names {
  const kube::Cluster& cluster;
  const agent::Tables& tables;
  const agent::Provenance& provenance;

  [[nodiscard]] const kube::Pod* pod_at(const Address& address) const;  ///< not host-network ones
  /// "pod shop/web-0", "node node-1", "service shop/cart", "outside the cluster"
  [[nodiscard]] std::string who_is(const Address& address) const;
  /// "301 shop/{app=web}", "2 world"
  [[nodiscard]] std::string identity(std::uint32_t number) const;
  [[nodiscard]] std::string node(std::uint32_t id) const;
  /// The pod of the node whose veth has this host device; null when none has.
  [[nodiscard]] const kube::Pod* pod_behind(const std::string& node, std::uint32_t ifindex) const;
};

[[nodiscard]] std::string protocol_name(std::uint8_t protocol);
/// "8080/TCP"; ICMP: "ICMP type 3 code 1".
[[nodiscard]] std::string port_text(const dp_tuple& tuple);

/// Why no entry allows it: which policies isolate the pod, and where each of their rules ends.
struct Refusal {
  std::vector<std::string> reasons;
  std::vector<std::string> advice;
};
[[nodiscard]] Refusal why_denied(const Names& names, dp_direction direction,
                                 const kube::Pod& subject, const Address& peer,
                                 const dp_tuple& tuple);

}  // namespace waggle::simulator
