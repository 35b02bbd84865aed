// After a restart: which numbers the kernel's tables already use, and for what.

#include <algorithm>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "identities.h"
#include "nodes.h"
#include "services.h"
#include "waggle/abi/identities.h"
#include "waggle/abi/maglev.h"

namespace waggle::agent {

namespace {

constexpr std::uint32_t maglev_sizes[] = {
#define WAGGLE_SIZE(size) size,
    DP_MAGLEV_SIZES(WAGGLE_SIZE)
#undef WAGGLE_SIZE
};

// A number that tables use for two contents goes to the first; the other content gets a new one.
void take(IdSpace& space, const std::string& content, std::uint32_t number) {
  if (space.find(content) == 0) (void)space.adopt(content, number);
}

struct Adoption {
  Ids& ids;
  const Tables& found;
  const kube::Cluster& cluster;
  const Config& config;

  // What is found and belongs to nobody any more must not be handed out again.
  void spend_numbers() {
    const auto spend = [](IdSpace& space, std::uint32_t number) {
      if (number != 0xffffffff) space.raise_high_water(number + 1);
    };
    const auto spend_identity = [&](std::uint32_t number) {
      if (number >= DP_IDENTITY_CLUSTER_MIN && number <= DP_IDENTITY_CLUSTER_MAX) {
        spend(ids.identities, number);
      } else if (number >= DP_IDENTITY_CIDR_MIN && number <= DP_IDENTITY_CIDR_MAX) {
        spend(ids.cidr_identities, number);
      }
    };
    const auto& used = found.numbers_used;
    spend(ids.identities, used.identity);
    spend(ids.cidr_identities, used.cidr_identity);
    spend(ids.services, used.service);
    spend(ids.frontends, used.frontend);
    spend(ids.backends, used.backend);
    spend(ids.rules, used.rule);
    spend(ids.nodes, used.node);
    for (const auto& [key, node] : found.nodes) spend(ids.nodes, key.id);
    for (const auto& [key, backend] : found.backends) {
      spend(ids.backends, key.id);
      spend(ids.services, backend.service);
    }
    for (const auto& [key, service] : found.services) {
      spend(ids.frontends, service.frontend);
      spend(ids.services, service.service);
    }
    for (const auto& [key, reverse] : found.reverse_nat) spend(ids.frontends, key.frontend);
    for (const auto& [key, entry] : found.ipcache) spend_identity(entry.identity);
    for (const auto& [key, entry] : found.ipcache_prefix) spend_identity(entry.identity);
    for (const auto& [key, entry] : found.policy) {
      spend_identity(ntohl(key.subject));
      spend_identity(ntohl(key.peer));
      spend(ids.rules, entry.rule);
    }
  }

  void nodes() {
    for (const auto& [key, node] : cluster.nodes) {
      for (const auto& [number, entry] : found.nodes) {
        if (same_bytes(entry, node_entry(node))) take(ids.nodes, key.name, number.id);
      }
    }
  }

  void identities() {
    Blocks blocks;
    for (const auto& [key, policy] : cluster.network_policies) blocks.add(policy);
    for (const auto& block : blocks.all()) {
      const auto entry = found.ipcache_prefix.find(prefix_key(block));
      if (entry == found.ipcache_prefix.end()) continue;
      take(ids.cidr_identities, class_of(block).content(), entry->second.identity);
    }
    for (const auto& [address, pod] : owners_of(cluster)) {
      const auto entry = found.ipcache.find(exact_key(address));
      if (entry == found.ipcache.end()) continue;
      take(ids.identities, class_of(cluster, *pod, address, blocks, config).content(),
           entry->second.identity);
    }
  }

  void region(const std::string& set, const dp_service& entry) {
    const auto words = found.maglev.find(entry.base);
    if (entry.size == 0 || words == found.maglev.end() || words->second.size() != entry.size) {
      return;
    }
    Placement placement{.base = entry.base,
                        .capacity = entry.size,
                        .maglev = entry.algorithm == DP_ALGORITHM_MAGLEV,
                        .positions = {}};
    if (placement.maglev && std::ranges::count(maglev_sizes, entry.size) == 0) return;
    if (!placement.maglev) placement.positions = words->second;
    (void)ids.placements.adopt(set, placement);
  }

  void services() {
    std::map<std::uint32_t, std::string> sets;
    for (const auto& [key, service] : cluster.services) {
      for (const auto& port : service.ports) {
        for (const auto& address : service.cluster_ips) {
          const auto entry = found.services.find(frontend_key(port, address));
          if (entry == found.services.end()) continue;
          const auto set = set_content(service, port, address.family());
          take(ids.frontends, frontend_content(service, port, address), entry->second.frontend);
          take(ids.services, set, entry->second.service);
          if (ids.services.find(set) != entry->second.service) continue;
          sets.emplace(entry->second.service, set);
          region(set, entry->second);
        }
      }
    }
    for (const auto& [key, entry] : found.services) {
      if (entry.size == 0) continue;
      // Taken by the loop above, or kept off until the frontend that names it is gone.
      (void)ids.placements.adopt(
          fmt::format("found/{}", entry.base),
          {.base = entry.base, .capacity = entry.size, .maglev = false, .positions = {}});
    }
    for (const auto& [key, backend] : found.backends) {
      const auto set = sets.find(backend.service);
      if (set == sets.end()) continue;
      const auto name = endpoint_text(from_abi(backend.address), ntohs(backend.port),
                                      static_cast<kube::Protocol>(backend.protocol));
      take(ids.backends, set->second + "/" + name, key.id);
    }
  }

  // Which rule an entry came from shows in a compile with other rule numbers.
  Checked<> rules() {
    Ids trial = ids;
    auto everywhere = config;
    everywhere.policy_for_all_identities = true;
    const auto tables = compile(cluster, {}, everywhere, trial);
    if (!tables) return std::unexpected(tables.error());
    std::map<std::uint32_t, const std::string*> contents;
    for (const auto& [content, number] : trial.rules.live()) contents[number] = &content;
    for (const auto& [key, entry] : found.policy) {
      const auto same = tables->policy.find(key);
      if (same == tables->policy.end() || same->second.rule < rule_first) continue;
      if (entry.rule >= rule_first) take(ids.rules, *contents.at(same->second.rule), entry.rule);
    }
    return {};
  }
};

}  // namespace

Result<> Ids::adopt(const Tables& found, const kube::Cluster& cluster, const Config& config) {
  policy_generation = found.policy_generation;
  Adoption adoption{*this, found, cluster, config};
  adoption.spend_numbers();
  adoption.nodes();
  adoption.identities();
  adoption.services();
  if (auto rules_adopted = adoption.rules(); !rules_adopted) {
    return std::unexpected(rules_adopted.error().front());
  }
  // Numbers everything the cluster has, while what was found is still kept off, then lets that go.
  const auto tables = compile(cluster, {}, config, *this);
  if (!tables) return std::unexpected(tables.error().front());
  return {};
}

}  // namespace waggle::agent
