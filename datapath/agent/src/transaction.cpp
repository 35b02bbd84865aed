#include <algorithm>

#include "nodes.h"
#include "plan.h"
#include "state.h"

namespace waggle::agent {

namespace {

template <class Key, class Value>
void copy_entry(const Table<Key, Value>& from, const Key& key, Table<Key, Value>& to) {
  const auto it = from.find(key);
  if (it != from.end()) to.insert_or_assign(key, it->second);
}

// Into `before` and `after` only what differs: the rest would be copied to be compared again.
template <class Key, class Value>
void differing(const Table<Key, Value>& old, const Table<Key, Value>& now,
               Table<Key, Value>& before, Table<Key, Value>& after) {
  const auto add = [](const auto& from, const auto& other, auto& to) {
    for (const auto& [key, value] : from) {
      const auto it = other.find(key);
      if (it == other.end() || !same_bytes(it->second, value)) to.emplace(key, value);
    }
  };
  add(old, now, before);
  add(now, old, after);
}

template <class Told>
void replace(const Told& old, const Told& now, Told& told) {
  for (const auto& [number, entry] : old) {
    if (!now.contains(number)) told.erase(number);
  }
  for (const auto& [number, entry] : now) told.insert_or_assign(number, entry);
}

void absorb(Tables& tables, Tables& some) {
  tables.services.merge(some.services);
  tables.backends.merge(some.backends);
  tables.reverse_nat.merge(some.reverse_nat);
  tables.maglev.merge(some.maglev);
  tables.ipcache.merge(some.ipcache);
  tables.ipcache_prefix.merge(some.ipcache_prefix);
  tables.policy.merge(some.policy);
  tables.endpoints.merge(some.endpoints);
  tables.nodes.merge(some.nodes);
}

std::size_t entries_in(const Tables& tables, TableId table) {
  switch (table) {
    case TableId::services:
      return tables.services.size();
    case TableId::backends:
      return tables.backends.size();
    case TableId::reverse_nat:
      return tables.reverse_nat.size();
    case TableId::ipcache:
      return tables.ipcache.size();
    case TableId::ipcache_prefix:
      return tables.ipcache_prefix.size();
    case TableId::policy:
      return tables.policy.size();
    case TableId::endpoints:
      return tables.endpoints.size();
    case TableId::nodes:
      return tables.nodes.size();
    default:
      return 0;
  }
}

}  // namespace

Result<std::vector<TableOp>> Transaction::run() {
  Blocks later = state_.blocks;
  if (touched_.policies) {
    later = {};
    for (const auto& [key, policy] : state_.cluster.network_policies) {
      later.add(policy);
      TRY(number_rules(policy, state_.ids, state_.provenance));
    }
  }
  Blocks all = state_.blocks;
  all.add(later);
  if (!(all == state_.blocks)) TRY(split(all));
  if (touched_.policies) TRY(change_policies());
  TRY(change_objects(all));
  if (!(all == later)) TRY(merge(all, later));
  state_.blocks = later;
  TRY(sweep());
  if (verdicts_change_ || fresh_) {
    const auto generation = next_generation(state_.tables.policy_generation);
    ops_.push_back(generation_op(state_.tables.policy_generation, generation));
    state_.tables.policy_generation = state_.ids.policy_generation = generation;
  }
  release();
  return std::move(ops_);
}

// Under the policies as they were, so no verdict changes.
Result<> Transaction::split(const Blocks& all) {
  Partial stage;
  stage.before.ipcache_prefix = state_.tables.ipcache_prefix;
  stage.after.ipcache_prefix = TRY(block_entries(all, state_.ids));
  for (const auto& block : all.all()) {
    if (!state_.blocks.all().contains(block)) TRY(use_block(block, true));
  }
  TRY(reclassify_all(all, stage));
  admit_classes(touched_.policies_before, stage);
  return execute(stage);
}

Result<> Transaction::change_policies() {
  Partial stage;
  stage.before.policy = state_.tables.policy;
  entries(state_.cluster.network_policies, state_.subjects, state_.peers, true, stage.after.policy);
  return execute(stage);
}

Result<> Transaction::change_objects(const Blocks& all) {
  Partial stage;
  TRY(change_nodes(stage));
  for (const auto& address : touched_.addresses) {
    assign(address, TRY(assignment_for(address, all)), stage);
  }
  admit_classes(state_.cluster.network_policies, stage);
  TRY(change_services(stage));
  return execute(stage);
}

// Under the policies as they are, which do not tell the merged addresses apart.
Result<> Transaction::merge(const Blocks& all, const Blocks& later) {
  Partial stage;
  stage.before.ipcache_prefix = state_.tables.ipcache_prefix;
  stage.after.ipcache_prefix = TRY(block_entries(later, state_.ids));
  for (const auto& block : all.all()) {
    if (!later.all().contains(block)) TRY(use_block(block, false));
  }
  TRY(reclassify_all(later, stage));
  admit_classes(state_.cluster.network_policies, stage);
  return execute(stage);
}

// Entries of identities that nobody has any more, or nobody here.
Result<> Transaction::sweep() {
  Classes peers, subjects;
  for (const auto number : changed_classes_) {
    const auto& use = state_.uses.at(number);
    if (use.uses == 0) peers.emplace(number, use.identity);
    if (!is_subject(use) && state_.subjects.contains(number)) {
      subjects.emplace(number, use.identity);
    }
  }
  Table<dp_policy_key, dp_policy> dead;
  const auto& policies = state_.cluster.network_policies;
  entries(policies, subjects, state_.peers, true, dead);
  entries(policies, state_.subjects, peers, false, dead);
  Partial stage;
  for (const auto& [key, value] : dead) copy_entry(state_.tables.policy, key, stage.before.policy);
  for (const auto& [number, identity] : subjects) state_.subjects.erase(number);
  for (const auto& [number, identity] : peers) {
    releases_.emplace_back(
        identity->is_pods() ? &state_.ids.identities : &state_.ids.cidr_identities,
        identity->content());
    state_.peers.erase(number);
    state_.uses.erase(number);
    state_.provenance.identities.erase(number);
  }
  return execute(stage);
}

void Transaction::release() {
  for (const auto& [key, policy] : touched_.policies_before) {
    const auto it = state_.cluster.network_policies.find(key);
    const auto* now = it == state_.cluster.network_policies.end() ? nullptr : &it->second;
    for (const auto direction : {DP_INGRESS, DP_EGRESS}) {
      const auto kept =
          now == nullptr ? 0 : (direction == DP_INGRESS ? now->ingress : now->egress).size();
      const auto count = (direction == DP_INGRESS ? policy.ingress : policy.egress).size();
      for (auto index = kept; index < count; ++index) {
        const auto content = rule_content(key, direction, index);
        state_.provenance.rules.erase(state_.ids.rules.find(content));
        state_.ids.rules.release(content);
      }
    }
  }
  for (const auto& [space, content] : releases_) space->release(content);
  state_.ids.commit();
}

Result<> Transaction::change_nodes(Partial& stage) {
  for (const auto& name : touched_.nodes) {
    const auto node = state_.cluster.nodes.find({.namespace_name = "", .name = name});
    const bool exists = node != state_.cluster.nodes.end();
    const dp_node_key key{.id = exists ? TRY(state_.ids.nodes.get(name))
                                       : state_.ids.nodes.find(name)};
    copy_entry(state_.tables.nodes, key, stage.before.nodes);
    if (exists) {
      stage.after.nodes.emplace(key, node_entry(node->second));
      state_.provenance.nodes[key.id] = name;
    } else {
      state_.provenance.nodes.erase(key.id);
    }
  }
  return {};
}

Result<> Transaction::change_services(Partial& stage) {
  for (const auto& key : touched_.services) {
    for (const auto& [frontend, entry] : state_.parts[key].tables.services) {
      state_.frontend_owner.erase(frontend);
    }
  }
  for (const auto& key : touched_.services) TRY(change_service(key, stage));
  return {};
}

Result<> Transaction::change_service(const kube::ObjectKey& key, Partial& stage) {
  ServicePart old = std::move(state_.parts[key]);
  ServicePart part;
  const auto service = state_.cluster.services.find(key);
  if (service != state_.cluster.services.end()) {
    std::vector<const kube::EndpointSlice*> slices;
    for (const auto& slice : state_.slices_of[key]) {
      slices.push_back(&state_.cluster.endpoint_slices.at(slice));
    }
    part = TRY(compile_service(service->second, slices, state_.config, state_.ids));
    ++state_.work.services;
    for (const auto& [frontend, entry] : part.tables.services) {
      if (!state_.frontend_owner.emplace(frontend, key).second) {
        return frontend_taken(service->second, frontend);
      }
    }
  }
  const auto release_others = [&](IdSpace& space, const std::set<std::string>& before,
                                  const std::set<std::string>& now) {
    for (const auto& content : before) {
      if (!now.contains(content)) releases_.emplace_back(&space, content);
    }
  };
  release_others(state_.ids.services, old.sets, part.sets);
  release_others(state_.ids.frontends, old.frontends, part.frontends);
  release_others(state_.ids.backends, old.backends, part.backends);
  for (const auto& set : old.sets) {
    if (!part.sets.contains(set)) state_.ids.placements.remove(set);
  }
  replace(old.frontend_provenance, part.frontend_provenance, state_.provenance.frontends);
  replace(old.backend_provenance, part.backend_provenance, state_.provenance.backends);
  differing(old.tables.backends, part.tables.backends, stage.before.backends, stage.after.backends);
  differing(old.tables.reverse_nat, part.tables.reverse_nat, stage.before.reverse_nat,
            stage.after.reverse_nat);
  // All of these: a frontend that stays as it is says which positions are still read.
  stage.after.services.insert(part.tables.services.begin(), part.tables.services.end());
  stage.after.maglev.insert(part.tables.maglev.begin(), part.tables.maglev.end());
  stage.before.services.merge(old.tables.services);
  stage.before.maglev.merge(old.tables.maglev);
  if (service == state_.cluster.services.end()) {
    state_.parts.erase(key);
  } else {
    state_.parts[key] = std::move(part);
  }
  return {};
}

Result<> Transaction::reclassify_all(const Blocks& blocks, Partial& stage) {
  const auto held = state_.assignments;
  for (const auto& [address, assignment] : held) {
    auto next = assignment;
    if (assignment.pods == nullptr) {
      next.identity = TRY(node_identity(address, blocks, state_.ids));
    } else if (state_.config.cidr_selects_pods) {
      auto identity = *assignment.pods;
      identity.block = blocks.around(address);
      next.identity = TRY(number_of(identity, state_.ids));
      next.pods = std::make_shared<const IdentityClass>(std::move(identity));
    }
    ++state_.work.addresses;
    next.entry.identity = next.identity;
    if (next.endpoint) next.endpoint->second.identity = next.identity;
    if (next.identity != assignment.identity) assign(address, std::move(next), stage);
  }
  return {};
}

Result<std::optional<Assignment>> Transaction::assignment_for(const Address& address,
                                                              const Blocks& blocks) {
  ++state_.work.addresses;
  if (state_.node_claims.contains(address)) {
    Assignment assignment;
    assignment.identity = TRY(node_identity(address, blocks, state_.ids));
    assignment.entry = {.identity = assignment.identity, .node = 0};
    return assignment;
  }
  const auto claims = state_.claims.find(address);
  if (claims == state_.claims.end()) return std::nullopt;
  const kube::Pod* owner = nullptr;
  for (const auto& key : claims->second) {
    const auto& pod = state_.cluster.pods.at(key);
    if (owner == nullptr || has_precedence(pod, *owner)) owner = &pod;
  }
  return TRY(pod_assignment(*owner, address, blocks));
}

Result<Assignment> Transaction::pod_assignment(const kube::Pod& pod, const Address& address,
                                               const Blocks& blocks) {
  Assignment assignment;
  assignment.pods = std::make_shared<const IdentityClass>(
      class_of(state_.cluster, pod, address, blocks, state_.config));
  assignment.pod = kube::key_of(pod.meta);
  assignment.identity = TRY(number_of(*assignment.pods, state_.ids));
  assignment.entry.identity = assignment.identity;
  if (!pod.node_name.empty()) assignment.entry.node = TRY(state_.ids.nodes.get(pod.node_name));
  const auto context = state_.contexts.find(pod.node_name);
  assignment.local = context != state_.contexts.end();
  if (!assignment.local) return assignment;
  const auto attachment = context->second.attachments.find(assignment.pod);
  if (attachment != context->second.attachments.end()) {
    assignment.endpoint.emplace(endpoint_key(address, context->second.zone),
                                endpoint_entry(attachment->second, assignment.identity));
  }
  return assignment;
}

void Transaction::assign(const Address& address, std::optional<Assignment> assignment,
                         Partial& stage) {
  const auto held = state_.assignments.find(address);
  if (held != state_.assignments.end()) {
    stage.before.ipcache[exact_key(address)] = held->second.entry;
    if (held->second.endpoint) stage.before.endpoints.insert(*held->second.endpoint);
  }
  if (assignment) {
    stage.after.ipcache[exact_key(address)] = assignment->entry;
    if (assignment->endpoint) stage.after.endpoints.insert(*assignment->endpoint);
    count(*assignment, true);
  }
  if (held != state_.assignments.end()) count(held->second, false);
  if (assignment) {
    state_.assignments.insert_or_assign(address, std::move(*assignment));
  } else {
    state_.assignments.erase(address);
  }
}

void Transaction::count(const Assignment& assignment, bool more) {
  if (assignment.pods == nullptr) return;
  auto& use = state_.uses[assignment.identity];
  auto& told = state_.provenance.identities[assignment.identity];
  if (use.identity == nullptr) {
    use.identity = assignment.pods;
    told.text = assignment.pods->text();
  }
  changed_classes_.insert(assignment.identity);
  const auto place = std::ranges::lower_bound(told.pods, assignment.pod);
  if (more) {
    ++use.uses;
    use.local_uses += assignment.local ? 1 : 0;
    if (++use.pods[assignment.pod] == 1) told.pods.insert(place, assignment.pod);
  } else {
    --use.uses;
    use.local_uses -= assignment.local ? 1 : 0;
    if (--use.pods[assignment.pod] == 0) {
      use.pods.erase(assignment.pod);
      told.pods.erase(place);
    }
  }
}

Result<> Transaction::use_block(const Cidr& block, bool more) {
  const auto identity = std::make_shared<const IdentityClass>(class_of(block));
  const auto number = TRY(number_of(*identity, state_.ids));
  auto& use = state_.uses[number];
  use.identity = identity;
  use.uses = more ? 1 : 0;
  state_.provenance.identities[number].text = identity->text();
  changed_classes_.insert(number);
  return {};
}

bool Transaction::is_subject(const ClassUse& use) const {
  if (!use.identity->is_pods()) return false;
  return state_.config.policy_for_all_identities ? use.uses != 0 : use.local_uses != 0;
}

// Entries for identities that are new here, towards everyone who has entries and back.
void Transaction::admit_classes(const Policies& policies, Partial& stage) {
  Classes peers, subjects;
  for (const auto number : changed_classes_) {
    const auto& use = state_.uses.at(number);
    if (use.uses != 0 && !state_.peers.contains(number)) peers.emplace(number, use.identity);
    if (is_subject(use) && !state_.subjects.contains(number)) {
      subjects.emplace(number, use.identity);
    }
  }
  state_.peers.insert(peers.begin(), peers.end());
  entries(policies, state_.subjects, peers, false, stage.after.policy);
  entries(policies, subjects, state_.peers, true, stage.after.policy);
  state_.subjects.insert(subjects.begin(), subjects.end());
}

void Transaction::entries(const Policies& policies, const Classes& subjects, const Classes& peers,
                          bool every_peer, Table<dp_policy_key, dp_policy>& entries) {
  if (subjects.empty() || (peers.empty() && !every_peer)) return;
  const auto before = entries.size();
  add_policy_entries(policies, subjects, peers, every_peer, state_.ids, entries);
  state_.work.policy_entries += entries.size() - before;
}

Result<> Transaction::execute(Partial& stage) {
  if (fresh_) {
    absorb(state_.tables, stage.after);
    const auto room = check_room(state_.tables, state_.config);
    if (!room) return std::unexpected(room.error().front());
    return {};
  }
  const auto planned = ops_.size();
  verdicts_change_ |= plan_tables(stage.before, stage.after, ops_);
  const std::span<const TableOp> ops(ops_.begin() + static_cast<std::ptrdiff_t>(planned),
                                     ops_.end());
  MemorySink sink(state_.tables);
  for (const auto& op : ops) {
    WAGGLE_ASSERT(sink.apply({&op, 1}));
    if (op.kind != TableOp::Kind::upsert || !op.old_value.empty()) continue;
    TRY(check_room(op.table, entries_in(state_.tables, op.table), state_.config));
  }
  return {};
}

}  // namespace waggle::agent
