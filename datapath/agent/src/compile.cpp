// The full form. It is the specification of the incremental one, so it is written to be read.

#include "waggle/agent/compile.h"

#include <fmt/format.h>

#include "identities.h"
#include "nodes.h"
#include "policy.h"
#include "services.h"

namespace waggle::agent {

namespace {

struct Full {
  const kube::Cluster& cluster;
  std::map<std::string, const NodeContext*> contexts;
  const Config& config;
  Ids& ids;
  Provenance& provenance;
  Tables tables;
  Classes peers, subjects;
  std::set<std::string> identities, blocks, sets, frontends, backends, rules;

  Result<> add_nodes(const Blocks& policy_blocks) {
    for (const auto& [key, node] : cluster.nodes) {
      const auto number = TRY(ids.nodes.get(key.name));
      tables.nodes[{.id = number}] = node_entry(node);
      provenance.nodes[number] = key.name;
      for (const auto& address : node.addresses) {
        tables.ipcache[exact_key(address)] = {
            .identity = TRY(node_identity(address, policy_blocks, ids)), .node = 0};
      }
    }
    return {};
  }

  Result<> add_blocks(const Blocks& policy_blocks) {
    tables.ipcache_prefix = TRY(block_entries(policy_blocks, ids));
    for (const auto& block : policy_blocks.all()) {
      auto identity = std::make_shared<const IdentityClass>(class_of(block));
      blocks.insert(identity->content());
      TRY(add_class(identity));
    }
    return {};
  }

  Result<std::uint32_t> add_class(const std::shared_ptr<const IdentityClass>& identity) {
    const auto number = TRY(number_of(*identity, ids));
    peers.try_emplace(number, identity);
    provenance.identities[number].text = identity->text();
    return number;
  }

  Result<> add_address(const kube::Pod& pod, const Address& address, const Blocks& policy_blocks) {
    auto identity = std::make_shared<const IdentityClass>(
        class_of(cluster, pod, address, policy_blocks, config));
    const auto number = TRY(add_class(identity));
    identities.insert(identity->content());
    auto& pods = provenance.identities[number].pods;
    const auto key = kube::key_of(pod.meta);
    if (pods.empty() || pods.back() != key) pods.push_back(key);

    const auto node = pod.node_name.empty() ? 0U : TRY(ids.nodes.get(pod.node_name));
    tables.ipcache.try_emplace(exact_key(address), dp_ipcache{.identity = number, .node = node});
    const auto context = contexts.find(pod.node_name);
    if (context != contexts.end() || config.policy_for_all_identities) {
      subjects.try_emplace(number, identity);
    }
    if (context == contexts.end()) return {};
    const auto attachment = context->second->attachments.find(key);
    if (attachment == context->second->attachments.end()) return {};
    tables.endpoints[endpoint_key(address, context->second->zone)] =
        endpoint_entry(attachment->second, number);
    return {};
  }

  Result<> add_pods(const Blocks& policy_blocks) {
    const auto owners = owners_of(cluster);
    for (const auto& [key, pod] : cluster.pods) {
      for (const auto& address : pod.addresses) {
        const auto owner = owners.find(address);
        if (owner == owners.end() || owner->second != &pod) continue;
        TRY(add_address(pod, address, policy_blocks));
      }
    }
    return {};
  }

  Result<> add_policy() {
    for (const auto& [key, policy] : cluster.network_policies) {
      TRY(number_rules(policy, ids, provenance));
      for (std::size_t i = 0; i < policy.ingress.size(); ++i) {
        rules.insert(rule_content(key, DP_INGRESS, i));
      }
      for (std::size_t i = 0; i < policy.egress.size(); ++i) {
        rules.insert(rule_content(key, DP_EGRESS, i));
      }
    }
    add_policy_entries(cluster.network_policies, subjects, peers, true, ids, tables.policy);
    return {};
  }

  Result<> add_services() {
    std::map<kube::ObjectKey, std::vector<const kube::EndpointSlice*>> slices;
    for (const auto& [key, slice] : cluster.endpoint_slices) {
      slices[{key.namespace_name, slice.service_name}].push_back(&slice);
    }
    for (const auto& [key, service] : cluster.services) {
      auto part = TRY(compile_service(service, slices[key], config, ids));
      for (const auto& [frontend, entry] : part.tables.services) {
        if (tables.services.emplace(frontend, entry).second) continue;
        return frontend_taken(service, frontend);
      }
      tables.backends.merge(part.tables.backends);
      tables.reverse_nat.merge(part.tables.reverse_nat);
      tables.maglev.merge(part.tables.maglev);
      provenance.frontends.merge(part.frontend_provenance);
      provenance.backends.merge(part.backend_provenance);
      sets.merge(part.sets);
      frontends.merge(part.frontends);
      backends.merge(part.backends);
    }
    return {};
  }

  Result<> compile() {
    Blocks policy_blocks;
    for (const auto& [key, policy] : cluster.network_policies) policy_blocks.add(policy);
    TRY(add_nodes(policy_blocks));
    TRY(add_blocks(policy_blocks));
    TRY(add_pods(policy_blocks));
    TRY(add_policy());
    TRY(add_services());
    tables.policy_generation = ids.policy_generation;
    return {};
  }

  // Node numbers stay: a pod may outlive its Node object.
  void release_unused() {
    ids.identities.keep_only(identities);
    ids.cidr_identities.keep_only(blocks);
    ids.rules.keep_only(rules);
    ids.services.keep_only(sets);
    ids.frontends.keep_only(frontends);
    ids.backends.keep_only(backends);
    ids.placements.keep_only(sets);
    ids.commit();
  }
};

}  // namespace

Checked<Tables> compile(const kube::Cluster& cluster, std::span<const NodeContext> nodes,
                        const Config& config, Ids& ids, Provenance* provenance) {
  Ids work = ids;
  work.begin();
  Provenance told;
  Full full{cluster, {}, config, work, told, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  for (const auto& node : nodes) full.contexts.emplace(node.node_name, &node);
  tell_reserved(told);
  if (auto compiled = full.compile(); !compiled) {
    return std::unexpected(Errors{std::move(compiled).error()});
  }
  if (auto room = check_room(full.tables, config); !room) {
    return std::unexpected(std::move(room).error());
  }
  full.release_unused();
  ids = std::move(work);
  if (provenance != nullptr) *provenance = std::move(told);
  return std::move(full.tables);
}

}  // namespace waggle::agent
