#include "walker.h"

#include <fmt/format.h>
#include <linux/pkt_cls.h>

#include <algorithm>

namespace waggle::simulator {
namespace {

constexpr Mac world_mac = {0x32, 0, 0xff, 0xff, 0xff, 0xff};
constexpr std::size_t hops_max = 16;
constexpr std::size_t ethernet_bytes = 14;

std::uint16_t ethertype_of(const Packet& packet) {
  return static_cast<std::uint16_t>(packet[12] << 8 | packet[13]);
}

std::optional<Address> destination_of(const Packet& packet) {
  if (ethertype_of(packet) == 0x0800 && packet.size() >= ethernet_bytes + 20) {
    std::uint32_t value = 0;
    for (std::size_t i = 30; i < 34; ++i) value = value << 8 | packet[i];
    return Address::v4(value);
  }
  if (ethertype_of(packet) == 0x86dd && packet.size() >= ethernet_bytes + 40) {
    std::array<std::uint8_t, 16> bytes{};
    std::copy_n(packet.begin() + 38, 16, bytes.begin());
    return Address::from_bytes(bytes);
  }
  return std::nullopt;
}

/// Link-local and multicast addresses mean the node that hears them.
bool stays_on_link(const Address& address) {
  const auto& bytes = address.bytes();
  if (address.family() == Family::v4)
    return bytes[12] >= 224 || (bytes[12] == 169 && bytes[13] == 254);
  return bytes[0] == 0xff || (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}

/// What a program returned has to be what its record says.
bool consistent(const Hop& hop) {
  switch (hop.verdict.kind) {
    case DP_VERDICT_DROP:
      return hop.action == TC_ACT_SHOT && hop.verdict.reason != 0;
    case DP_VERDICT_LOCAL:
    case DP_VERDICT_NODE:
    case DP_VERDICT_ANSWER:
      return hop.action == TC_ACT_REDIRECT;
    case DP_VERDICT_STACK:
    case DP_VERDICT_WIRE:
      return hop.action == TC_ACT_OK;
    case DP_VERDICT_DELIVER:
      return hop.action == (hop.hook == DP_HOOK_to_container ? TC_ACT_OK : TC_ACT_REDIRECT);
    default:
      return false;
  }
}

std::string place(const Hop& hop) {
  return fmt::format("{}/{}", hop.node, kernel::hook_name(hop.hook));
}

}  // namespace

void Walker::end(Walk::Fate fate, std::string where) {
  walk_.fate = fate;
  walk_.where = std::move(where);
  walk_.packet = packet_;
}

void Walker::set_macs(const Mac& destination, const Mac& source) {
  std::ranges::copy(destination, packet_.begin());
  std::ranges::copy(source, packet_.begin() + 6);
}

bool Walker::age() {
  const bool six = ethertype_of(packet_) == 0x86dd;
  auto& ttl = packet_[six ? 21 : 22];
  if (ttl <= 1) return false;
  --ttl;
  if (six) return true;
  // RFC 1624: the checksum's complement loses what the word lost.
  std::uint32_t sum = (std::uint32_t{packet_[24]} << 8 | packet_[25]) + 0x100U;
  sum = (sum & 0xffff) + (sum >> 16);
  packet_[24] = static_cast<std::uint8_t>(sum >> 8);
  packet_[25] = static_cast<std::uint8_t>(sum & 255);
  return true;
}

Result<const Hop*> Walker::step(const std::string& node, dp_hook hook, std::uint32_t ifindex) {
  if (walk_.hops.size() == hops_max) {
    end(Walk::Fate::lost, fmt::format("after {} programs it is still on its way", hops_max));
    return nullptr;
  }
  const auto generation = around_.datapath.node().policy_generation;
  around_.datapath.node() = around_.configs.at(node);
  around_.datapath.node().policy_generation = generation;
  auto output = TRY(around_.datapath.run({hook, ifindex, 0, packet_}));
  auto& hop = walk_.hops.emplace_back();
  hop.node = node;
  hop.hook = hook;
  hop.action = output.action;
  hop.verdict = output.verdict;
  hop.in = std::exchange(packet_, std::move(output.packet));
  hop.out = packet_;
  for (const auto& event : TRY(around_.datapath.read_events())) hop.event = event;
  if (!consistent(hop)) {
    end(Walk::Fate::lost, fmt::format("{} returned {} with a record of kind {}", place(hop),
                                      hop.action, unsigned{hop.verdict.kind}));
    return nullptr;
  }
  if (hop.verdict.kind == DP_VERDICT_DROP) {
    end(Walk::Fate::dropped, place(hop));
    return nullptr;
  }
  return &hop;
}

Result<> Walker::out_of_pod(const SimulatedPod& pod) {
  const auto device = around_.device(pod.slot);
  const Hop* hop = TRY(step(pod.node, DP_HOOK_from_container, device));
  if (hop == nullptr) return {};
  switch (hop->verdict.kind) {
    case DP_VERDICT_LOCAL:
      return into_pod(pod.node, hop->verdict.target);
    case DP_VERDICT_STACK:
      return in_stack(pod.node, false);
    case DP_VERDICT_NODE: {
      const auto name = around_.node_names.find(hop->verdict.target);
      if (name == around_.node_names.end())
        end(Walk::Fate::lost, fmt::format("{} names node {}, which is none", place(*hop),
                                          unsigned{hop->verdict.target}));
      else
        return over_wire(pod.node, name->second);
      return {};
    }
    case DP_VERDICT_ANSWER:
    case DP_VERDICT_DELIVER:
      if (hop->verdict.target != device)
        end(Walk::Fate::lost, fmt::format("{} sends it back through device {} instead of {}",
                                          place(*hop), unsigned{hop->verdict.target}, device));
      else
        end(hop->verdict.kind == DP_VERDICT_ANSWER ? Walk::Fate::answered : Walk::Fate::delivered,
            pod.key.to_string());
      return {};
    default:
      end(Walk::Fate::lost, place(*hop) + " made a verdict that is not its own");
      return {};
  }
}

Result<> Walker::into_pod(const std::string& node, std::uint32_t ifindex) {
  const auto& devices = around_.space.devices();
  const auto found = std::ranges::find(devices, ifindex);
  const auto slot = static_cast<std::uint32_t>(found - devices.begin()) - 1;
  const auto* pod = around_.placement.pod_in_slot(node, slot);
  if (pod == nullptr) {
    end(Walk::Fate::lost, fmt::format("no pod of {} is behind device {}", node, ifindex));
    return {};
  }
  const Hop* hop = TRY(step(node, DP_HOOK_to_container, ifindex));
  if (hop == nullptr) return {};
  if (hop->verdict.kind == DP_VERDICT_DELIVER)
    end(Walk::Fate::delivered, pod->key.to_string());
  else
    end(Walk::Fate::lost, place(*hop) + " made a verdict that is not its own");
  return {};
}

Result<> Walker::over_wire(const std::string& from, const std::string& to) {
  set_macs(around_.placement.node(to)->uplink_mac, around_.placement.node(from)->uplink_mac);
  const Hop* hop = TRY(step(from, DP_HOOK_to_netdev, around_.uplink()));
  if (hop == nullptr) return {};
  return at_uplink(to);
}

Result<> Walker::at_uplink(const std::string& node) {
  const Hop* hop = TRY(step(node, DP_HOOK_from_netdev, around_.uplink()));
  if (hop == nullptr) return {};
  if (hop->verdict.kind == DP_VERDICT_LOCAL) return into_pod(node, hop->verdict.target);
  return in_stack(node, false);
}

/// `own`: the stack made the packet itself and does not age it.
Result<> Walker::in_stack(const std::string& node, bool own) {
  const auto destination = destination_of(packet_);
  const auto* owner = destination ? around_.placement.node_with(*destination) : nullptr;
  const bool here = owner != nullptr && *owner == node;
  if (!destination || here || stays_on_link(*destination)) {
    end(Walk::Fate::stack, node);
    return {};
  }
  if (!own && !age()) {
    end(Walk::Fate::lost, fmt::format("the TTL ran out in the stack of {}", node));
    return {};
  }
  const auto* pod = around_.placement.pod_with(*destination);
  if (pod != nullptr && pod->node == node) {
    const auto& at = *around_.placement.node(node);
    set_macs(pod_mac(at, pod->slot), host_mac(at, pod->slot));
    return into_pod(node, around_.device(pod->slot));
  }
  if (pod != nullptr) return over_wire(node, pod->node);
  if (owner != nullptr) return over_wire(node, *owner);
  set_macs(world_mac, around_.placement.node(node)->uplink_mac);
  const Hop* hop = TRY(step(node, DP_HOOK_to_netdev, around_.uplink()));
  if (hop != nullptr) end(Walk::Fate::world, node);
  return {};
}

Result<Walk> Walker::from_pod(const SimulatedPod& pod, Packet packet) {
  packet_ = std::move(packet);
  TRY(out_of_pod(pod));
  return std::move(walk_);
}
Result<Walk> Walker::from_stack(const std::string& node, Packet packet) {
  packet_ = std::move(packet);
  TRY(in_stack(node, true));
  return std::move(walk_);
}
Result<Walk> Walker::from_world(const std::string& node, Packet packet) {
  packet_ = std::move(packet);
  TRY(at_uplink(node));
  return std::move(walk_);
}

}  // namespace waggle::simulator
