#include "waggle/simulator/lab.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lab_process.h"
#include "lab_servers.h"
#include "lab_state.h"
#include "lab_wiring.h"
#include "netns.h"

namespace waggle::simulator {
namespace {

constexpr std::size_t name_length_max = 40;
constexpr std::array hooks_of_pod = {DP_HOOK_from_container, DP_HOOK_to_container};
constexpr std::array hooks_of_uplink = {DP_HOOK_from_netdev, DP_HOOK_to_netdev};

Errors one(Error error) { return {std::move(error)}; }

/// TRY for functions that return Checked and call ones that return Result.
#define TRY_ONE(expression)                                                              \
  __extension__({                                                                        \
    auto&& waggle_result_ = (expression);                                                \
    if (!waggle_result_) return std::unexpected(one(std::move(waggle_result_).error())); \
    std::move(waggle_result_).value();                                                   \
  })

Result<> check_name(const std::string& name) {
  const bool fine =
      !name.empty() && name.size() <= name_length_max && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  if (fine) return {};
  return std::unexpected(
      Error{.kind = Error::Kind::bad_input,
            .what = "\"" + name + "\" is no name for a lab",
            .where = {},
            .advice = fmt::format("use at most {} of a-z, 0-9 and -", name_length_max)});
}

Result<> check_privileges() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0)
    return std::unexpected(system_error("capget"));
  constexpr std::array needed = {
      std::pair{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, std::pair{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
      std::pair{CAP_NET_RAW, "CAP_NET_RAW"}, std::pair{CAP_BPF, "CAP_BPF"}};
  std::string missing;
  for (const auto& [number, name] : needed)
    if ((data.at(number / 32U).effective >> (number % 32U) & 1) == 0)
      missing += (missing.empty() ? "" : ", ") + std::string(name);
  if (missing.empty()) return {};
  return std::unexpected(Error{.kind = Error::Kind::unsupported,
                               .what = "a lab needs the capabilities that lack here: " + missing,
                               .where = {},
                               .advice = "run it as root"});
}

/// Takes the name: only one process gets past.
Result<> claim(const std::string& name) {
  std::error_code error;
  std::filesystem::create_directories(lab_state_folder, error);
  const bool fresh = std::filesystem::create_directory(state_folder(name), error);
  if (error)
    return std::unexpected(Error{.kind = Error::Kind::kernel,
                                 .what = error.message(),
                                 .where = state_folder(name).string(),
                                 .advice = {}});
  const bool leftovers = !namespaces(namespace_prefix(name)).empty() ||
                         std::filesystem::exists(std::filesystem::path(lab_pin_folder) / name);
  if (fresh && !leftovers) return {};
  if (fresh) std::filesystem::remove(state_folder(name), error);
  return std::unexpected(Error{.kind = Error::Kind::bad_input,
                               .what = "a lab named " + name + " is there already",
                               .where = {},
                               .advice = "waggle lab down --name " + name});
}

std::map<agent::TableId, std::uint32_t> entries_of(const LabOptions& options) {
  using agent::TableId;
  std::map<TableId, std::uint32_t> entries = {{TableId::conntrack, 65536},
                                              {TableId::affinity, 16384},
                                              {TableId::maglev, 524288},
                                              {TableId::backends, 65536}};
  for (const auto* chosen : {&options.agent.entries_max, &options.entries_max})
    for (const auto& [table, count] : *chosen) entries[table] = count;
  return entries;
}

}  // namespace

struct Lab::State {
  struct Running {
    std::unique_ptr<kernel::Datapath> datapath;
    std::unique_ptr<agent::Compiler> compiler;  ///< the owner's only
  };
  bool owner = false, kept = false;
  LabOptions options;
  kube::Cluster cluster;
  LabLayout layout;
  std::map<std::string, Running> nodes;
  std::unique_ptr<Servers> servers;

  [[nodiscard]] kernel::LoadOptions load_options(const LabNode& node) const {
    return {.config = options.config,
            .entries_max = layout.entries_max,
            .pin_directory = node.pins,
            .object = options.object};
  }
  Result<agent::NodeContext> context_of(const LabNode& node, const LabLayout& where) const;
  Result<> attach_pod(Running& running, const LabPod& pod, const agent::Attachment& attachment);
  Checked<std::size_t> start_node(const LabNode& node);
  Checked<std::size_t> attach_fresh(const LabLayout& before);
  Checked<std::size_t> detach_gone(const LabLayout& now);
  Checked<> check(const kube::Cluster& next) const;
  Checked<> up();
};

Result<agent::NodeContext> Lab::State::context_of(const LabNode& node,
                                                  const LabLayout& where) const {
  agent::NodeContext context{
      .node_name = node.name, .zone = static_cast<std::uint16_t>(node.number), .attachments = {}};
  for (const auto& [key, pod] : where.pods)
    if (pod.node == node.name && !pod.host_network)
      context.attachments.emplace(key, TRY(attachment_of(where, pod)));
  return context;
}

/// Programs before the endpoint's entry: a pod without one can send nothing, the reverse is a hole.
Result<> Lab::State::attach_pod(Running& running, const LabPod& pod,
                                const agent::Attachment& attachment) {
  const auto inside = TRY(InNamespace::enter(layout.nodes.at(pod.node).netns));
  for (const auto hook : hooks_of_pod) TRY(running.datapath->attach(hook, attachment.ifindex));
  return {};
}

/// Also the way of an agent that comes back: what is pinned is adopted, what differs is planned.
Checked<std::size_t> Lab::State::start_node(const LabNode& node) {
  Running running;
  running.datapath = TRY_ONE(kernel::Datapath::load(load_options(node)));
  const auto context = TRY_ONE(context_of(node, layout));
  running.compiler = std::make_unique<agent::Compiler>(options.agent, std::vector{context});
  const auto found = TRY_ONE(running.datapath->agent_tables());
  const auto ops = TRY(running.compiler->reset(cluster, found));
  TRY_ONE(running.datapath->sink().apply(ops));
  const auto& compiler = *running.compiler;
  auto config =
      TRY_ONE(agent::node_config_for(cluster, context, compiler.ids(), compiler.tables()));
  const auto inside = TRY_ONE(InNamespace::enter(node.netns));
  config.uplink_ifindex = TRY_ONE(device_index("eth0"));
  std::ranges::copy(uplink_mac(node.number), config.uplink_mac);
  config.mtu = 1500;
  if (!agent::same_bytes(running.datapath->node(), config)) running.datapath->node() = config;
  for (const auto hook : hooks_of_uplink)
    TRY_ONE(running.datapath->attach(hook, config.uplink_ifindex));
  for (const auto& [key, attachment] : context.attachments)
    TRY_ONE(attach_pod(running, layout.pods.at(key), attachment));
  nodes[node.name] = std::move(running);
  return ops.size();
}

Checked<> Lab::State::up() {
  layout = TRY_ONE(layout_of(layout.name, cluster));
  layout.entries_max = entries_of(options);
  options.agent.entries_max = layout.entries_max;
  TRY_ONE(wire({}, layout, options));
  for (const auto& [name, node] : layout.nodes) TRY(start_node(node));
  if (options.serve) servers = TRY_ONE(Servers::start(layout));
  TRY_ONE(write_state(layout));
  return {};
}

/// Every node could follow: a change that does not fit is refused before anything has happened.
Checked<> Lab::State::check(const kube::Cluster& next) const {
  for (const auto& [name, running] : nodes) {
    if (!layout.nodes.contains(name)) continue;
    const std::vector contexts{TRY_ONE(context_of(layout.nodes.at(name), layout))};
    auto ids = running.compiler->ids();
    TRY(agent::compile(next, contexts, options.agent, ids));
  }
  return {};
}

Checked<std::size_t> Lab::State::detach_gone(const LabLayout& now) {
  std::size_t count = 0;
  for (const auto& [key, pod] : layout.pods) {
    const auto stays = now.pods.find(key);
    if (pod.host_network || (stays != now.pods.end() && stays->second.number == pod.number))
      continue;
    auto& running = nodes.at(pod.node);
    const auto ops = TRY(running.compiler->detach(key, pod.node));
    TRY_ONE(running.datapath->sink().apply(ops));
    count += ops.size();
    const auto attachment = TRY_ONE(attachment_of(layout, pod));
    const auto inside = TRY_ONE(InNamespace::enter(layout.nodes.at(pod.node).netns));
    for (const auto hook : hooks_of_pod)
      TRY_ONE(running.datapath->detach(hook, attachment.ifindex));
  }
  for (auto it = nodes.begin(); it != nodes.end();) {
    if (now.nodes.contains(it->first)) {
      ++it;
      continue;
    }
    TRY_ONE(it->second.datapath->remove());
    it = nodes.erase(it);
  }
  return count;
}

Checked<std::size_t> Lab::State::attach_fresh(const LabLayout& before) {
  std::size_t count = 0;
  for (const auto& [key, pod] : layout.pods) {
    const auto known = before.pods.find(key);
    if (pod.host_network || !before.nodes.contains(pod.node) ||
        (known != before.pods.end() && known->second.number == pod.number))
      continue;
    auto& running = nodes.at(pod.node);
    const auto attachment = TRY_ONE(attachment_of(layout, pod));
    TRY_ONE(attach_pod(running, pod, attachment));
    const auto ops = TRY(running.compiler->attach(key, pod.node, attachment));
    TRY_ONE(running.datapath->sink().apply(ops));
    count += ops.size();
  }
  for (const auto& [name, node] : layout.nodes)
    if (!before.nodes.contains(name)) count += TRY(start_node(node));
  return count;
}

Lab::Lab(std::unique_ptr<State> state) : state_(std::move(state)) {}

Checked<std::unique_ptr<Lab>> Lab::up(const std::string& name, kube::Cluster cluster,
                                      const LabOptions& options) {
  TRY_ONE(check_name(name));
  TRY_ONE(check_privileges());
  TRY_ONE(claim(name));
  auto state = std::make_unique<State>();
  state->owner = true;  // from here on the destructor takes everything down
  state->options = options;
  state->options.config.simulated = 0;
  state->cluster = std::move(cluster);
  state->layout.name = name;
  std::unique_ptr<Lab> lab(new Lab(std::move(state)));
  TRY(lab->state_->up());
  return lab;
}

Result<std::unique_ptr<Lab>> Lab::open(const std::string& name) {
  TRY(check_name(name));
  auto state = std::make_unique<State>();
  state->layout = TRY(read_state(name));
  return std::unique_ptr<Lab>(new Lab(std::move(state)));
}

Result<> Lab::down(const std::string& name) {
  TRY(check_name(name));
  const auto pins = std::filesystem::path(lab_pin_folder) / name;
  const auto found = namespaces(namespace_prefix(name));
  if (found.empty() && !std::filesystem::exists(pins) &&
      !std::filesystem::exists(state_folder(name)))
    return std::unexpected(Error{.kind = Error::Kind::not_found,
                                 .what = "there is no lab named " + name,
                                 .where = {},
                                 .advice = {}});
  TRY(end_server_process(name));
  std::string lines;
  for (const auto& netns : found) lines += "netns delete " + netns + '\n';
  if (!found.empty()) TRY(run_tool({"ip", "-force", "-batch", "-"}, lines));
  std::error_code error;
  std::filesystem::remove_all(pins, error);
  if (!error) std::filesystem::remove_all(state_folder(name), error);
  if (!error) return {};
  return std::unexpected(Error{.kind = Error::Kind::kernel,
                               .what = "cannot remove all of lab " + name + ": " + error.message(),
                               .where = {},
                               .advice = {}});
}

std::vector<std::string> Lab::list() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(lab_state_folder, ignored))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

Lab::~Lab() {
  state_->servers.reset();
  state_->nodes.clear();
  if (state_->owner && !state_->kept) (void)down(state_->layout.name);
}

void Lab::keep() { state_->kept = true; }

Checked<std::size_t> Lab::apply(std::span<const kube::Change> changes) {
  WAGGLE_ASSERT(state_->owner);
  auto& state = *state_;
  auto next = state.cluster;
  for (const auto& change : changes) next.apply(change);
  auto now = TRY_ONE(layout_of(state.layout.name, next, state.layout));
  now.entries_max = state.layout.entries_max;
  TRY(state.check(next));

  std::size_t count = TRY(state.detach_gone(now));
  const auto before = std::exchange(state.layout, std::move(now));
  state.cluster = std::move(next);
  TRY_ONE(wire(before, state.layout, state.options));
  for (auto& [name, running] : state.nodes) {
    const auto ops = TRY(running.compiler->apply(changes));
    TRY_ONE(running.datapath->sink().apply(ops));
    count += ops.size();
  }
  count += TRY(state.attach_fresh(before));
  if (state.servers) TRY_ONE(state.servers->follow(state.layout));
  TRY_ONE(write_state(state.layout));
  return count;
}

Checked<> Lab::restart_agent(const std::string& node) {
  WAGGLE_ASSERT(state_->owner);
  const auto at = state_->layout.nodes.find(node);
  if (at == state_->layout.nodes.end())
    return std::unexpected(one(Error{.kind = Error::Kind::not_found,
                                     .what = "the lab has no node " + node,
                                     .where = {},
                                     .advice = {}}));
  state_->nodes.erase(node);
  TRY(state_->start_node(at->second));
  return {};
}

const agent::Compiler& Lab::compiler(const std::string& node) const {
  return *state_->nodes.at(node).compiler;
}
const kube::Cluster& Lab::cluster() const { return state_->cluster; }
const LabLayout& Lab::layout() const { return state_->layout; }

Result<kernel::Datapath*> Lab::datapath(const std::string& node) {
  if (const auto at = state_->nodes.find(node); at != state_->nodes.end())
    return at->second.datapath.get();
  const auto at = state_->layout.nodes.find(node);
  if (at == state_->layout.nodes.end())
    return std::unexpected(Error{.kind = Error::Kind::not_found,
                                 .what = "the lab has no node " + node,
                                 .where = {},
                                 .advice = {}});
  auto& running = state_->nodes[node];
  running.datapath = TRY(kernel::Datapath::load(state_->load_options(at->second)));
  return running.datapath.get();
}

Result<std::map<std::uint32_t, std::uint64_t>> Lab::metrics() {
  std::map<std::uint32_t, std::uint64_t> sums;
  for (const auto& [name, node] : state_->layout.nodes) {
    const auto* datapath = TRY(this->datapath(name));
    for (const auto& [index, metric] : TRY(datapath->metrics())) sums[index] += metric.packets;
  }
  return sums;
}

Result<int> Lab::exec(const Origin& where, const std::vector<std::string>& command) const {
  const auto netns = TRY(namespace_of(state_->layout, where));
  const auto inside = TRY(InNamespace::enter(netns));
  return run_here(command);
}

}  // namespace waggle::simulator
