#include <functional>
#include <ranges>

#include <fmt/format.h>

#include "errors.h"
#include "plan.h"
#include "state.h"

namespace waggle::agent {

namespace {

using kube::Change;

// The objects of one kind before and after a change; null where there is none.
template <class T>
struct Turn {
  const T* before = nullptr;
  const T* after = nullptr;
};

template <class T>
Turn<T> turn_of(const std::map<kube::ObjectKey, T>& objects, const Change& change) {
  const auto& object = std::get<T>(change.object);
  const auto it = objects.find(kube::key_of(object.meta));
  return {.before = it == objects.end() ? nullptr : &it->second,
          .after = change.kind == Change::Kind::upserted ? &object : nullptr};
}

template <class T>
Change inverse_of(const std::map<kube::ObjectKey, T>& objects, const Change& change) {
  const auto turn = turn_of(objects, change);
  if (turn.before != nullptr) return {Change::Kind::upserted, *turn.before};
  return {Change::Kind::deleted, change.object};
}

struct Inverse {
  const kube::Cluster& cluster;
  const Change& change;
  Change operator()(const kube::Namespace&) { return inverse_of(cluster.namespaces, change); }
  Change operator()(const kube::Node&) { return inverse_of(cluster.nodes, change); }
  Change operator()(const kube::Pod&) { return inverse_of(cluster.pods, change); }
  Change operator()(const kube::Service&) { return inverse_of(cluster.services, change); }
  Change operator()(const kube::EndpointSlice&) {
    return inverse_of(cluster.endpoint_slices, change);
  }
  Change operator()(const kube::NetworkPolicy&) {
    return inverse_of(cluster.network_policies, change);
  }
};

// Notes what a change touches, and keeps the indices that follow from objects alone. The cluster is
// still without the change.
struct Indexer {
  CompilerState& state;
  const Change& change;
  Touched& touched;

  void operator()(const kube::Namespace& space) {
    const auto& name = space.meta.name;
    const auto labels = change.kind == Change::Kind::upserted
                            ? space.meta.labels
                            : kube::Cluster{}.namespace_labels(name);
    if (labels == state.cluster.namespace_labels(name)) return;
    for (auto pod = state.cluster.pods.lower_bound({.namespace_name = name, .name = ""});
         pod != state.cluster.pods.end() && pod->first.namespace_name == name; ++pod) {
      touched.addresses.insert(pod->second.addresses.begin(), pod->second.addresses.end());
    }
  }

  void operator()(const kube::Node& node) {
    const auto turn = turn_of(state.cluster.nodes, change);
    touched.nodes.insert(node.meta.name);
    if (turn.before != nullptr) {
      for (const auto& address : turn.before->addresses) {
        touched.addresses.insert(address);
        if (--state.node_claims[address] == 0) state.node_claims.erase(address);
      }
    }
    if (turn.after != nullptr) {
      for (const auto& address : turn.after->addresses) {
        touched.addresses.insert(address);
        ++state.node_claims[address];
      }
    }
  }

  void operator()(const kube::Pod& pod) {
    const auto turn = turn_of(state.cluster.pods, change);
    const auto key = kube::key_of(pod.meta);
    if (turn.before != nullptr && owns_addresses(*turn.before)) {
      for (const auto& address : turn.before->addresses) {
        touched.addresses.insert(address);
        auto& claims = state.claims[address];
        claims.erase(key);
        if (claims.empty()) state.claims.erase(address);
      }
    }
    if (turn.after != nullptr && owns_addresses(*turn.after)) {
      for (const auto& address : turn.after->addresses) {
        touched.addresses.insert(address);
        state.claims[address].insert(key);
      }
    }
  }

  void operator()(const kube::Service& service) {
    touched.services.insert(kube::key_of(service.meta));
  }

  void operator()(const kube::EndpointSlice& slice) {
    const auto turn = turn_of(state.cluster.endpoint_slices, change);
    const auto key = kube::key_of(slice.meta);
    if (turn.before != nullptr) {
      const kube::ObjectKey service{key.namespace_name, turn.before->service_name};
      touched.services.insert(service);
      auto& slices = state.slices_of[service];
      slices.erase(key);
      if (slices.empty()) state.slices_of.erase(service);
    }
    if (turn.after != nullptr) {
      const kube::ObjectKey service{key.namespace_name, turn.after->service_name};
      touched.services.insert(service);
      state.slices_of[service].insert(key);
    }
  }

  void operator()(const kube::NetworkPolicy&) {
    if (!touched.policies) touched.policies_before = state.cluster.network_policies;
    touched.policies = true;
  }
};

template <class T>
void index_all(CompilerState& state, const std::map<kube::ObjectKey, T>& objects,
               Touched& touched) {
  for (const auto& [key, object] : objects) {
    const Change change{Change::Kind::upserted, object};
    std::visit(Indexer{state, change, touched}, change.object);
  }
}

// Everything again from the objects, with the numbers there are.
Result<> rebuild(CompilerState& state, kube::Cluster cluster) {
  state.clear();
  Touched touched;
  index_all(state, cluster.namespaces, touched);
  index_all(state, cluster.nodes, touched);
  index_all(state, cluster.pods, touched);
  index_all(state, cluster.services, touched);
  index_all(state, cluster.endpoint_slices, touched);
  index_all(state, cluster.network_policies, touched);
  state.cluster = std::move(cluster);
  state.ids.begin();
  state.tables.policy_generation = state.ids.policy_generation;
  TRY(Transaction(state, std::move(touched), true).run());
  return {};
}

}  // namespace

CompilerState::CompilerState(Config the_config, std::vector<NodeContext> nodes)
    : config(std::move(the_config)), ids(config) {
  for (auto& node : nodes) contexts.emplace(node.node_name, std::move(node));
  tell_reserved(provenance);
}

void CompilerState::index(const kube::Change& change, Touched& touched) {
  std::visit(Indexer{*this, change, touched}, change.object);
  cluster.apply(change);
}

Touched CompilerState::touched_by(const kube::ObjectKey& pod) const {
  Touched touched;
  const auto it = cluster.pods.find(pod);
  if (it != cluster.pods.end()) {
    touched.addresses.insert(it->second.addresses.begin(), it->second.addresses.end());
  }
  return touched;
}

void CompilerState::clear() {
  auto kept_ids = std::move(ids);
  std::vector<NodeContext> nodes;
  for (auto& [name, context] : contexts) nodes.push_back(std::move(context));
  *this = CompilerState(std::move(config), std::move(nodes));
  ids = std::move(kept_ids);
}

struct Compiler::State {
  CompilerState value;

  // Runs a transaction; when that fails, puts everything back as `undo` and the Ids remember it.
  Checked<std::vector<TableOp>> run(Touched touched,
                                    const std::function<void(kube::Cluster&)>& undo) {
    value.work = {};
    value.ids.begin();
    const auto generation = value.ids.policy_generation;
    auto ops = Transaction(value, std::move(touched)).run();
    if (ops) return std::move(ops).value();
    value.ids.rollback();
    auto cluster = std::move(value.cluster);
    undo(cluster);
    WAGGLE_ASSERT(rebuild(value, std::move(cluster)));
    value.ids.policy_generation = value.tables.policy_generation = generation;
    return std::unexpected(Errors{std::move(ops).error()});
  }
};

Compiler::Compiler(Config config, std::vector<NodeContext> nodes)
    : state_(new State{CompilerState(std::move(config), std::move(nodes))}) {}
Compiler::~Compiler() = default;
Compiler::Compiler(Compiler&&) noexcept = default;
Compiler& Compiler::operator=(Compiler&&) noexcept = default;

Checked<std::vector<TableOp>> Compiler::reset(kube::Cluster cluster, const Tables& found) {
  auto& state = state_->value;
  state.clear();
  state.ids = Ids(state.config);
  const bool restarts = !(found == Tables{});
  if (auto adopted = restarts ? state.ids.adopt(found, cluster, state.config) : Result<>{};
      !adopted) {
    return std::unexpected(Errors{std::move(adopted).error()});
  }
  if (auto built = rebuild(state, std::move(cluster)); !built) {
    state.clear();
    return std::unexpected(Errors{std::move(built).error()});
  }
  return plan(found, state.tables);
}

Checked<std::vector<TableOp>> Compiler::apply(std::span<const Change> changes) {
  auto& state = state_->value;
  Touched touched;
  std::vector<Change> undo;
  for (const auto& change : changes) {
    undo.push_back(std::visit(Inverse{state.cluster, change}, change.object));
    state.index(change, touched);
  }
  return state_->run(std::move(touched), [&](kube::Cluster& cluster) {
    for (const auto& change : std::views::reverse(undo)) cluster.apply(change);
  });
}

Checked<std::vector<TableOp>> Compiler::attach(const kube::ObjectKey& pod,
                                               const std::string& node_name,
                                               const Attachment& attachment) {
  auto& state = state_->value;
  const auto context = state.contexts.find(node_name);
  if (context == state.contexts.end()) {
    return std::unexpected(Errors{
        error(Error::Kind::not_found, fmt::format("{} is not a node of ours", node_name)).error()});
  }
  auto& attachments = context->second.attachments;
  const auto held = attachments.find(pod);
  const auto before = held == attachments.end() ? std::nullopt : std::optional(held->second);
  attachments[pod] = attachment;
  return state_->run(state.touched_by(pod), [&](kube::Cluster&) {
    if (before) {
      attachments[pod] = *before;
    } else {
      attachments.erase(pod);
    }
  });
}

Checked<std::vector<TableOp>> Compiler::detach(const kube::ObjectKey& pod,
                                               const std::string& node_name) {
  auto& state = state_->value;
  const auto context = state.contexts.find(node_name);
  const bool attached =
      context != state.contexts.end() && context->second.attachments.contains(pod);
  if (!attached) {
    return std::unexpected(
        Errors{error(Error::Kind::not_found,
                     fmt::format("{} is not attached to {}", pod.to_string(), node_name))
                   .error()});
  }
  auto held = context->second.attachments.extract(pod);
  return state_->run(state.touched_by(pod),
                     [&](kube::Cluster&) { context->second.attachments.insert(std::move(held)); });
}

const Compiler::Work& Compiler::work() const { return state_->value.work; }
const Tables& Compiler::tables() const { return state_->value.tables; }
const kube::Cluster& Compiler::cluster() const { return state_->value.cluster; }
const Provenance& Compiler::provenance() const { return state_->value.provenance; }
const Ids& Compiler::ids() const { return state_->value.ids; }

}  // namespace waggle::agent
