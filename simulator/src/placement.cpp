#include "placement.h"

namespace waggle::simulator {
namespace {

/// Locally administered; `kind` tells pods, hosts' ends and uplinks apart.
Mac mac_of(std::uint8_t kind, std::uint16_t zone, std::uint32_t slot) {
  const auto byte = [](std::uint32_t value, unsigned shift) {
    return static_cast<std::uint8_t>(value >> shift & 255);
  };
  return {static_cast<std::uint8_t>(kind << 4 | 2),
          0,
          byte(zone, 8),
          byte(zone, 0),
          byte(slot, 8),
          byte(slot, 0)};
}

std::optional<SimulatedPod> wanted(const kube::Cluster& cluster, const kube::ObjectKey& key) {
  const auto found = cluster.pods.find(key);
  if (found == cluster.pods.end()) return std::nullopt;
  const auto& pod = found->second;
  if (pod.host_network || pod.finished() || pod.node_name.empty() || pod.addresses.empty())
    return std::nullopt;
  return SimulatedPod{key, pod.node_name, pod.addresses, 0};
}

}  // namespace

Mac pod_mac(const SimulatedNode& node, std::uint32_t slot) { return mac_of(0, node.zone, slot); }
Mac host_mac(const SimulatedNode& node, std::uint32_t slot) { return mac_of(1, node.zone, slot); }

void Placement::set_nodes(const kube::Cluster& cluster) {
  node_addresses_.clear();
  for (const auto& [key, node] : cluster.nodes) {
    auto& simulated = nodes_[key.name];
    if (simulated.zone == 0) {
      simulated.name = key.name;
      simulated.zone = ++zones_;
      simulated.uplink_mac = mac_of(2, simulated.zone, 0);
    }
    for (const auto& address : node.addresses) node_addresses_.emplace(address, key.name);
  }
}

Placement::Move Placement::place(const kube::Cluster& cluster, const kube::ObjectKey& key) {
  Move move;
  move.after = wanted(cluster, key);
  if (const auto held = pods_.find(key); held != pods_.end()) {
    move.before = held->second;
    for (const auto& address : held->second.addresses) pod_addresses_.erase(address);
    nodes_.at(held->second.node).slots.erase(held->second.slot);
    pods_.erase(held);
  }
  if (!move.after) return move;
  auto& slots = nodes_.at(move.after->node).slots;
  if (move.before && move.before->node == move.after->node) {
    move.after->slot = move.before->slot;
  } else {
    while (slots.contains(move.after->slot)) ++move.after->slot;
  }
  slots.emplace(move.after->slot, key);
  slots_max_ = std::max(slots_max_, move.after->slot + 1);
  for (const auto& address : move.after->addresses) pod_addresses_.emplace(address, key);
  pods_.emplace(key, *move.after);
  return move;
}

const SimulatedNode* Placement::node(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : &found->second;
}
const SimulatedPod* Placement::pod(const kube::ObjectKey& key) const {
  const auto found = pods_.find(key);
  return found == pods_.end() ? nullptr : &found->second;
}
const SimulatedPod* Placement::pod_with(const Address& address) const {
  const auto found = pod_addresses_.find(address);
  return found == pod_addresses_.end() ? nullptr : pod(found->second);
}
const SimulatedPod* Placement::pod_in_slot(const std::string& name, std::uint32_t slot) const {
  const auto* at = node(name);
  if (at == nullptr) return nullptr;
  const auto found = at->slots.find(slot);
  return found == at->slots.end() ? nullptr : pod(found->second);
}
const std::string* Placement::node_with(const Address& address) const {
  const auto found = node_addresses_.find(address);
  return found == node_addresses_.end() ? nullptr : &found->second;
}

}  // namespace waggle::simulator
