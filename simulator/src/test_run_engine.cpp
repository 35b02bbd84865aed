#include <fmt/format.h>

#include <set>

#include "checked.h"
#include "walker.h"

namespace waggle::simulator {
namespace {

constexpr std::uint32_t mtu_bytes = 1500;
constexpr Mac world_mac = {0x32, 0, 0xff, 0xff, 0xff, 0xff};

std::unexpected<Error> not_found(std::string what) {
  return std::unexpected(Error{Error::Kind::not_found, std::move(what), "", ""});
}

}  // namespace

struct TestRunEngine::State {
  EngineOptions options;
  PrivateNamespace space;
  std::unique_ptr<kernel::Datapath> datapath;
  Placement placement;
  std::optional<agent::Compiler> compiler;
  std::map<std::string, dp_node_config> configs;
  Nanoseconds now = std::chrono::seconds(1);

  agent::Attachment attachment(const SimulatedPod& pod) const;
  std::vector<agent::NodeContext> contexts() const;
  Checked<std::size_t> write(const Checked<std::vector<agent::TableOp>>& ops);
  Checked<> set_configs();
  Checked<std::size_t> start(kube::Cluster cluster);
  Checked<std::size_t> restart();
  Checked<std::size_t> move(const Placement::Move& move);
  Checked<std::size_t> apply(std::span<const kube::Change> changes);
  Result<Walk> send(const Origin& from, PacketFields fields);
};

agent::Attachment TestRunEngine::State::attachment(const SimulatedPod& pod) const {
  const auto& node = *placement.node(pod.node);
  return {space.devices()[pod.slot + 1], pod_mac(node, pod.slot), host_mac(node, pod.slot)};
}

std::vector<agent::NodeContext> TestRunEngine::State::contexts() const {
  std::map<std::string, agent::NodeContext> by_name;
  for (const auto& [name, node] : placement.nodes()) by_name[name] = {name, node.zone, {}};
  for (const auto& [key, pod] : placement.pods())
    by_name[pod.node].attachments.emplace(key, attachment(pod));
  std::vector<agent::NodeContext> all;
  for (auto& [name, context] : by_name) all.push_back(std::move(context));
  return all;
}

Checked<std::size_t> TestRunEngine::State::write(const Checked<std::vector<agent::TableOp>>& ops) {
  if (!ops) return std::unexpected(ops.error());
  if (auto done = datapath->sink().apply(*ops); !done)
    return std::unexpected(Errors{std::move(done).error()});
  return ops->size();
}

Checked<> TestRunEngine::State::set_configs() {
  for (const auto& [name, node] : placement.nodes()) {
    if (!compiler->cluster().nodes.contains({"", name})) {
      configs.erase(name);
      continue;
    }
    auto config = TRY(checked(agent::node_config_for(compiler->cluster(), {name, node.zone, {}},
                                                     compiler->ids(), compiler->tables())));
    config.uplink_ifindex = space.devices().front();
    config.mtu = mtu_bytes;
    std::ranges::copy(node.uplink_mac, config.uplink_mac);
    configs[name] = config;
  }
  return {};
}

Checked<std::size_t> TestRunEngine::State::start(kube::Cluster cluster) {
  placement.set_nodes(cluster);
  for (const auto& [key, pod] : cluster.pods) placement.place(cluster, key);
  TRY(checked(space.grow(placement.slots_max() + 1)));
  compiler.emplace(options.agent, contexts());
  const auto count = TRY(write(compiler->reset(std::move(cluster))));
  TRY(set_configs());
  return count;
}

/// Nodes came or went: a compiler for the new set takes over the tables, numbers and all.
Checked<std::size_t> TestRunEngine::State::restart() {
  const auto tables = compiler->tables();
  auto cluster = compiler->cluster();
  compiler.emplace(options.agent, contexts());
  return write(compiler->reset(std::move(cluster), tables));
}

Checked<std::size_t> TestRunEngine::State::move(const Placement::Move& move) {
  std::size_t count = 0;
  const auto& [before, after] = move;
  if (before && (!after || before->node != after->node))
    count += TRY(write(compiler->detach(before->key, before->node)));
  if (after && (!before || before->node != after->node)) {
    TRY(checked(space.grow(placement.slots_max() + 1)));
    count += TRY(write(compiler->attach(after->key, after->node, attachment(*after))));
  }
  return count;
}

Checked<std::size_t> TestRunEngine::State::apply(std::span<const kube::Change> changes) {
  auto count = TRY(write(compiler->apply(changes)));
  std::set<kube::ObjectKey> pods;
  bool nodes = false;
  for (const auto& change : changes) {
    if (const auto* pod = std::get_if<kube::Pod>(&change.object)) pods.insert(key_of(pod->meta));
    nodes = nodes || std::holds_alternative<kube::Node>(change.object);
  }
  if (nodes) {
    placement.set_nodes(compiler->cluster());
    count += TRY(restart());
  }
  for (const auto& key : pods) count += TRY(move(placement.place(compiler->cluster(), key)));
  TRY(set_configs());
  return count;
}

Result<Walk> TestRunEngine::State::send(const Origin& from, PacketFields fields) {
  const PrivateNamespace::Inside inside(space);
  const Surroundings around{*datapath, space, placement, configs, compiler->provenance().nodes};
  Walker walker(around);
  datapath->env().now_ns = static_cast<std::uint64_t>(now.count());
  if (from.kind == Origin::Kind::pod) {
    const auto* pod = placement.pod(from.pod);
    if (pod != nullptr) {
      const auto wiring = attachment(*pod);
      if (fields.source_mac == Mac{}) fields.source_mac = wiring.pod_mac;
      if (fields.destination_mac == Mac{}) fields.destination_mac = wiring.host_mac;
      return walker.from_pod(*pod, build(fields));
    }
    const auto object = compiler->cluster().pods.find(from.pod);
    if (object == compiler->cluster().pods.end() || !object->second.host_network)
      return not_found(fmt::format("no running pod {}", from.pod.to_string()));
    return walker.from_stack(object->second.node_name, build(fields));
  }
  if (from.kind == Origin::Kind::node) {
    if (!configs.contains(from.node)) return not_found(fmt::format("no node {}", from.node));
    return walker.from_stack(from.node, build(fields));
  }
  const auto* pod = placement.pod_with(fields.destination);
  const auto* owner = pod != nullptr ? &pod->node : placement.node_with(fields.destination);
  if (!from.node.empty()) owner = &from.node;
  if (owner == nullptr || !configs.contains(*owner))
    return not_found(fmt::format("no node owns {}", fields.destination.to_string()));
  if (fields.source_mac == Mac{}) fields.source_mac = world_mac;
  if (fields.destination_mac == Mac{}) fields.destination_mac = placement.node(*owner)->uplink_mac;
  return walker.from_world(*owner, build(fields));
}

TestRunEngine::TestRunEngine(std::unique_ptr<State> state) : state_(std::move(state)) {}
TestRunEngine::~TestRunEngine() = default;

Checked<std::unique_ptr<TestRunEngine>> TestRunEngine::create(kube::Cluster cluster,
                                                              const EngineOptions& options) {
  auto space = TRY(checked(PrivateNamespace::create()));
  std::unique_ptr<State> state(new State{options, std::move(space), nullptr, {}, {}, {}});
  kernel::LoadOptions load;
  load.config = options.config;
  load.config.simulated = 1;
  load.entries_max = options.entries_max;
  state->options.agent.entries_max.insert(options.entries_max.begin(), options.entries_max.end());
  state->datapath = TRY(checked(kernel::Datapath::load(load)));
  state->datapath->env() = {0, options.seed, 0, 0};
  TRY(state->start(std::move(cluster)));
  return std::unique_ptr<TestRunEngine>(new TestRunEngine(std::move(state)));
}

Checked<std::size_t> TestRunEngine::apply(std::span<const kube::Change> changes) {
  return state_->apply(changes);
}
Result<> TestRunEngine::advance(Nanoseconds by) {
  state_->now += by;
  return {};
}
Nanoseconds TestRunEngine::now() const { return state_->now; }
Result<std::uint32_t> TestRunEngine::collect_garbage() {
  state_->datapath->env().now_ns = static_cast<std::uint64_t>(state_->now.count());
  return state_->datapath->collect_garbage();
}
Result<Walk> TestRunEngine::send(const Origin& from, PacketFields fields) {
  return state_->send(from, std::move(fields));
}
const agent::Compiler& TestRunEngine::compiler() const { return *state_->compiler; }
const kube::Cluster& TestRunEngine::cluster() const { return state_->compiler->cluster(); }
std::uint16_t TestRunEngine::zone_of(const std::string& node) const {
  const auto* found = state_->placement.node(node);
  return found == nullptr ? std::uint16_t{0} : found->zone;
}
TestRunEngine::Access TestRunEngine::access() {
  return {*state_->datapath, state_->space.devices().front(),
          std::make_shared<PrivateNamespace::Inside>(state_->space)};
}
std::optional<agent::Attachment> TestRunEngine::attachment_of(const kube::ObjectKey& pod) const {
  const auto* found = state_->placement.pod(pod);
  if (found == nullptr) return std::nullopt;
  return state_->attachment(*found);
}
dp_node_config TestRunEngine::node_config(const std::string& node) const {
  return state_->configs.at(node);
}

}  // namespace waggle::simulator
