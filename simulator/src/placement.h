#pragma once
// Where simulated nodes and pods are: zones, devices, MACs, who owns an address.

#include <map>
#include <optional>
#include <string>

#include "waggle/agent/compile.h"
#include "waggle/simulator/packet.h"

namespace waggle::simulator {

struct SimulatedPod {
  kube::ObjectKey key;
  std::string node;
  std::vector<Address> addresses;
  std::uint32_t slot = 0;  ///< of the node; the device pool's index is slot + 1
};

struct SimulatedNode {
  std::string name;
  std::uint16_t zone = 0;
  Mac uplink_mac{};
  std::map<std::uint32_t, kube::ObjectKey> slots;
};

/// Invariant: two pods of one node never share a slot; pods of different nodes may.
class Placement {
 public:
  /// Nodes keep their zone; new ones get the next.
  void set_nodes(const kube::Cluster& cluster);
  /// The pod as the cluster has it now: put, moved or taken out. Returns what it was and what it
  /// is.
  struct Move {
    std::optional<SimulatedPod> before, after;
  };
  Move place(const kube::Cluster& cluster, const kube::ObjectKey& pod);

  [[nodiscard]] const SimulatedNode* node(const std::string& name) const;
  [[nodiscard]] const SimulatedPod* pod(const kube::ObjectKey& key) const;
  [[nodiscard]] const SimulatedPod* pod_with(const Address& address) const;
  [[nodiscard]] const SimulatedPod* pod_in_slot(const std::string& node, std::uint32_t slot) const;
  /// Whose own address it is; null: no node's.
  [[nodiscard]] const std::string* node_with(const Address& address) const;
  [[nodiscard]] const std::map<std::string, SimulatedNode>& nodes() const { return nodes_; }
  [[nodiscard]] const std::map<kube::ObjectKey, SimulatedPod>& pods() const { return pods_; }
  [[nodiscard]] std::uint32_t slots_max() const { return slots_max_; }

 private:
  std::map<std::string, SimulatedNode> nodes_;
  std::map<kube::ObjectKey, SimulatedPod> pods_;
  std::map<Address, kube::ObjectKey> pod_addresses_;
  std::map<Address, std::string> node_addresses_;
  std::uint16_t zones_ = 0;
  std::uint32_t slots_max_ = 0;
};

[[nodiscard]] Mac pod_mac(const SimulatedNode& node, std::uint32_t slot);
[[nodiscard]] Mac host_mac(const SimulatedNode& node, std::uint32_t slot);

}  // namespace waggle::simulator
