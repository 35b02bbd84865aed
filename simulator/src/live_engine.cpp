#include "waggle/simulator/live_engine.h"

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "lab_probe.h"
#include "lab_wiring.h"
#include "netns.h"

namespace waggle::simulator {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// A walk is over in well under a millisecond; this is for a machine that is busy with other
/// things.
constexpr milliseconds walk_limit{1000};
constexpr microseconds look_interval{50};

int action_of(const dp_event& event) {
  switch (event.verdict.kind) {
    case DP_VERDICT_DROP:
      return TC_ACT_SHOT;
    case DP_VERDICT_LOCAL:
    case DP_VERDICT_NODE:
    case DP_VERDICT_ANSWER:
      return TC_ACT_REDIRECT;
    case DP_VERDICT_DELIVER:
      return event.hook == DP_HOOK_from_container ? TC_ACT_REDIRECT : TC_ACT_OK;
    default:
      return TC_ACT_OK;
  }
}

/// What one node can see: its stack and its uplink, and who hangs on which device.
struct NodeWatch {
  std::vector<PacketSocket> stack;  ///< a socket a family
  PacketSocket uplink;              ///< also sends
  Packet to_stack, from_wire;       ///< last seen in this walk
  std::map<std::uint32_t, kube::ObjectKey> pods;
};

bool owns(const LabNode& node, const Address& address) {
  return std::ranges::count(node.addresses, address) != 0;
}

void set_if_unset(Mac& field, const Mac& value) {
  if (field == Mac{}) field = value;
}

}  // namespace

struct LiveEngine::State {
  std::unique_ptr<Lab> lab;
  std::map<kube::ObjectKey, std::pair<std::uint32_t, PacketSocket>> pods;  ///< by the pod's number
  std::map<std::string, NodeWatch> nodes;
  std::optional<PacketSocket> world;

  std::vector<Hop> hops;
  std::map<kube::ObjectKey, Packet> arrived;
  std::optional<Packet> left;  ///< seen by the world

  Result<> watch();
  Result<> look();
  Result<> forget();
  [[nodiscard]] const LabNode& owner_of(const Address& destination) const;
  Result<> inject(const Origin& from, PacketFields& fields);
  Result<> inject_from_node(const LabNode& node, PacketFields& fields);
  void note_wire();
  std::optional<Walk> judge();
  std::optional<Walk> arrival(const Hop& last);
  Walk ended(Walk::Fate fate, std::string where, Packet packet);
  Walk lost();
};

/// Sockets at every pod, node and the world, as the layout now is.
Result<> LiveEngine::State::watch() {
  const auto& layout = lab->layout();
  std::erase_if(pods, [&](const auto& entry) {
    const auto now = layout.pods.find(entry.first);
    return now == layout.pods.end() || now->second.number != entry.second.first;
  });
  std::erase_if(nodes, [&](const auto& entry) { return !layout.nodes.contains(entry.first); });
  if (!world) {
    const auto inside = TRY(InNamespace::enter(layout.world));
    world = TRY(PacketSocket::open("eth0"));
  }
  for (const auto& [name, node] : layout.nodes) {
    if (nodes.contains(name)) continue;
    const auto inside = TRY(InNamespace::enter(node.netns));
    NodeWatch made{.stack = {},
                   .uplink = TRY(PacketSocket::open("eth0")),
                   .to_stack = {},
                   .from_wire = {},
                   .pods = {}};
    for (const auto ethertype : {ETH_P_IP, ETH_P_IPV6})
      made.stack.push_back(TRY(PacketSocket::open("", static_cast<std::uint16_t>(ethertype))));
    nodes.emplace(name, std::move(made));
  }
  for (auto& [name, node] : nodes) node.pods.clear();
  for (const auto& [key, pod] : layout.pods) {
    if (pod.host_network) continue;
    const auto attachment = TRY(attachment_of(layout, pod));
    nodes.at(pod.node).pods.emplace(attachment.ifindex, key);
    if (pods.contains(key)) continue;
    const auto inside = TRY(InNamespace::enter(pod.netns));
    pods.emplace(key, std::pair{pod.number, TRY(PacketSocket::open("eth0"))});
  }
  return {};
}

/// Takes in what has happened since the last look.
Result<> LiveEngine::State::look() {
  for (auto& [name, node] : nodes) {
    auto* datapath = TRY(lab->datapath(name));
    for (const auto& event : TRY(datapath->read_events()))
      hops.push_back({.node = name,
                      .hook = static_cast<dp_hook>(event.hook),
                      .action = action_of(event),
                      .verdict = event.verdict,
                      .event = event,
                      .in = {},
                      .out = {}});
    for (auto& socket : node.stack)
      while (auto packet = socket.receive()) node.to_stack = std::move(*packet);
    while (auto packet = node.uplink.receive()) node.from_wire = std::move(*packet);
  }
  for (auto& [key, pod] : pods)
    while (auto packet = pod.second.receive()) arrived[key] = std::move(*packet);
  while (auto packet = world->receive()) left = std::move(*packet);
  std::ranges::sort(hops, {},
                    [](const Hop& hop) { return std::pair(hop.event->time_ns, hop.hook); });
  return {};
}

Result<> LiveEngine::State::forget() {
  TRY(look());
  hops.clear();
  arrived.clear();
  left.reset();
  for (auto& [name, node] : nodes) {
    node.to_stack.clear();
    node.from_wire.clear();
  }
  return {};
}

/// The node that a router outside would send it to; the first one when it is nobody's.
const LabNode& LiveEngine::State::owner_of(const Address& destination) const {
  const auto& layout = lab->layout();
  for (const auto& [key, pod] : layout.pods)
    if (std::ranges::count(pod.addresses, destination) != 0) return layout.nodes.at(pod.node);
  for (const auto& [name, node] : layout.nodes)
    if (owns(node, destination) || std::ranges::any_of(node.pod_cidrs, [&](const Cidr& cidr) {
          return cidr.contains(destination);
        }))
      return node;
  return layout.nodes.begin()->second;
}

Result<> LiveEngine::State::inject_from_node(const LabNode& node, PacketFields& fields) {
  const auto& layout = lab->layout();
  for (const auto& [key, pod] : layout.pods) {
    if (pod.node != node.name || pod.host_network ||
        std::ranges::count(pod.addresses, fields.destination) == 0)
      continue;
    set_if_unset(fields.source_mac, host_mac(pod.number));
    set_if_unset(fields.destination_mac, pod_mac(pod.number));
    const auto inside = TRY(InNamespace::enter(node.netns));
    auto socket = TRY(PacketSocket::open(pod.host_device));
    return socket.send(build(fields));
  }
  const auto& next = owner_of(fields.destination);
  const bool inside_cluster =
      owns(next, fields.destination) || std::ranges::any_of(next.pod_cidrs, [&](const Cidr& c) {
        return c.contains(fields.destination);
      });
  set_if_unset(fields.source_mac, uplink_mac(node.number));
  set_if_unset(fields.destination_mac, inside_cluster ? uplink_mac(next.number) : world_mac());
  return nodes.at(node.name).uplink.send(build(fields));
}

Result<> LiveEngine::State::inject(const Origin& from, PacketFields& fields) {
  const auto& layout = lab->layout();
  TRY(namespace_of(layout, from));  // it exists
  if (from.kind == Origin::Kind::world) {
    set_if_unset(fields.source_mac, world_mac());
    set_if_unset(fields.destination_mac, uplink_mac(owner_of(fields.destination).number));
    return world->send(build(fields));
  }
  if (from.kind == Origin::Kind::node) return inject_from_node(layout.nodes.at(from.node), fields);
  const auto& pod = layout.pods.at(from.pod);
  if (pod.host_network) return inject_from_node(layout.nodes.at(pod.node), fields);
  set_if_unset(fields.source_mac, pod_mac(pod.number));
  set_if_unset(fields.destination_mac, host_mac(pod.number));
  return pods.at(from.pod).second.send(build(fields));
}

Walk LiveEngine::State::ended(Walk::Fate fate, std::string where, Packet packet) {
  Walk walk;
  walk.fate = fate;
  walk.where = std::move(where);
  if (fate != Walk::Fate::dropped && !hops.empty()) hops.back().out = packet;
  walk.hops = std::move(hops);
  walk.packet = std::move(packet);
  return walk;
}

/// The wire between two nodes is where both can be seen to say the same.
void LiveEngine::State::note_wire() {
  for (std::size_t i = 1; i < hops.size(); ++i)
    if (hops[i].hook == DP_HOOK_from_netdev && hops[i - 1].hook == DP_HOOK_to_netdev &&
        hops[i].in.empty())
      hops[i].in = hops[i - 1].out = nodes.at(hops[i].node).from_wire;
}

/// The pod that a program said it gave the packet to has got it.
std::optional<Walk> LiveEngine::State::arrival(const Hop& last) {
  const bool by_target = last.hook == DP_HOOK_from_container;
  const auto& devices = nodes.at(last.node).pods;
  const auto pod = devices.find(by_target ? last.verdict.target : last.event->ifindex);
  if (pod == devices.end()) return std::nullopt;
  const auto packet = arrived.find(pod->second);
  if (packet == arrived.end()) return std::nullopt;
  const auto fate =
      last.verdict.kind == DP_VERDICT_ANSWER ? Walk::Fate::answered : Walk::Fate::delivered;
  return ended(fate, pod->second.to_string(), packet->second);
}

/// The walk, once its end is known.
std::optional<Walk> LiveEngine::State::judge() {
  if (hops.empty()) return std::nullopt;
  note_wire();
  const auto& last = hops.back();
  const auto& node = lab->layout().nodes.at(last.node);
  switch (last.verdict.kind) {
    case DP_VERDICT_DROP: {
      const auto seen =
          std::find_if(hops.rbegin(), hops.rend(), [](const Hop& hop) { return !hop.in.empty(); });
      return ended(Walk::Fate::dropped, last.node + "/" + kernel::hook_name(last.hook),
                   seen == hops.rend() ? Packet{} : seen->in);
    }
    case DP_VERDICT_DELIVER:
    case DP_VERDICT_ANSWER:
      return arrival(last);
    case DP_VERDICT_STACK: {
      const auto& seen = nodes.at(last.node).to_stack;
      if (seen.empty() || !owns(node, agent::from_abi(last.event->after.destination)))
        return std::nullopt;  // the stack passes it on: to_netdev is next
      return ended(Walk::Fate::stack, last.node, seen);
    }
    case DP_VERDICT_WIRE:
      if (!left) return std::nullopt;
      return ended(Walk::Fate::world, last.node, *left);
    default:
      return std::nullopt;
  }
}

Walk LiveEngine::State::lost() {
  auto where = hops.empty() ? std::string("no program has reported it")
                            : "nothing saw it behind " + hops.back().node + "/" +
                                  kernel::hook_name(hops.back().hook);
  return ended(Walk::Fate::lost, std::move(where), {});
}

LiveEngine::LiveEngine(std::unique_ptr<State> state) : state_(std::move(state)) {}
LiveEngine::~LiveEngine() = default;

Checked<std::unique_ptr<LiveEngine>> LiveEngine::create(const std::string& name,
                                                        kube::Cluster cluster,
                                                        const EngineOptions& options) {
  LabOptions lab;
  lab.config = options.config;
  lab.config.events = 1;
  lab.config.event_interval_s = 0;
  lab.agent = options.agent;
  // Every node then numbers rules alike, so that one compiler's provenance explains all.
  lab.agent.policy_for_all_identities = true;
  lab.entries_max = options.entries_max;
  lab.serve = false;
  lab.mute = true;
  auto state = std::make_unique<State>();
  state->lab = TRY(Lab::up(name, std::move(cluster), lab));
  if (auto watching = state->watch(); !watching)
    return std::unexpected(Errors{std::move(watching).error()});
  return std::unique_ptr<LiveEngine>(new LiveEngine(std::move(state)));
}

Checked<std::size_t> LiveEngine::apply(std::span<const kube::Change> changes) {
  const auto count = TRY(state_->lab->apply(changes));
  if (auto watching = state_->watch(); !watching)
    return std::unexpected(Errors{std::move(watching).error()});
  return count;
}

Result<> LiveEngine::advance(Nanoseconds by) {
  if (by == Nanoseconds::zero()) return {};
  return std::unexpected(Error{.kind = Error::Kind::unsupported,
                               .what = "the kernel's clock cannot be moved",
                               .where = "live engine",
                               .advice = "use the test-run engine"});
}

Nanoseconds LiveEngine::now() const { return monotonic_now(); }

Result<std::uint32_t> LiveEngine::collect_garbage() {
  std::uint32_t count = 0;
  for (const auto& [name, node] : state_->lab->layout().nodes) {
    auto* datapath = TRY(state_->lab->datapath(name));
    count += TRY(datapath->collect_garbage());
  }
  return count;
}

Result<Walk> LiveEngine::send(const Origin& from, PacketFields fields) {
  auto& state = *state_;
  TRY(state.forget());
  const auto deadline = monotonic_now() + walk_limit;
  TRY(state.inject(from, fields));
  const auto frame = build(fields);
  while (monotonic_now() < deadline) {
    TRY(state.look());
    if (!state.hops.empty()) state.hops.front().in = frame;
    if (auto walk = state.judge()) return *std::move(walk);
    std::this_thread::sleep_for(look_interval);
  }
  return state.lost();
}

const agent::Compiler& LiveEngine::compiler() const {
  return state_->lab->compiler(state_->lab->layout().nodes.begin()->first);
}
const kube::Cluster& LiveEngine::cluster() const { return state_->lab->cluster(); }
Lab& LiveEngine::lab() { return *state_->lab; }

}  // namespace waggle::simulator
