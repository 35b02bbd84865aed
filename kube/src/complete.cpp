// What the controllers of a cluster would do: nodes, pods, places, addresses, slices, in this
// order.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "ipam.h"
#include "slices.h"
#include "waggle/kube/cluster.h"
#include "workloads.h"

namespace waggle::kube {
namespace {

constexpr std::array both_families = {Family::v4, Family::v6};

const char* name_of(Family family) { return family == Family::v4 ? "IPv4" : "IPv6"; }

std::vector<Cidr> of_family(const std::vector<Cidr>& blocks, Family family) {
  std::vector<Cidr> found;
  std::ranges::copy_if(blocks, std::back_inserter(found),
                       [&](const Cidr& block) { return block.family() == family; });
  return found;
}

bool has_family(const auto& addresses_or_blocks, Family family) {
  return std::ranges::any_of(addresses_or_blocks,
                             [&](const auto& item) { return item.family() == family; });
}

bool matches(const Labels& selector, const Labels& labels) {
  return std::ranges::all_of(selector, [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

/// A pod that its own cluster has not placed yet, or that has finished, is not ours to place.
bool is_placeable(const Pod& pod) { return !pod.finished() && pod.phase != Pod::Phase::pending; }

/// The hosts of several blocks, the first with room first.
class HostPool {
 public:
  explicit HostPool(const std::vector<Cidr>& blocks) : hosts_(blocks.begin(), blocks.end()) {}
  [[nodiscard]] bool empty() const { return hosts_.empty(); }
  std::optional<Address> take(const AddressBook& book) {
    for (auto& host : hosts_)
      if (const auto address = host.take(book)) return address;
    return std::nullopt;
  }

 private:
  std::vector<HostAllocator> hosts_;
};

/// Finds the pods behind a service by its rarest label instead of by asking every pod.
class PodIndex {
 public:
  explicit PodIndex(const Cluster& cluster) {
    for (const auto& [key, pod] : cluster.pods)
      for (const auto& label : pod.meta.labels)
        pods_[key.namespace_name][label.first + "=" + label.second].push_back(&pod);
  }

  /// Requires a selector that is not empty. In the order of keys.
  [[nodiscard]] std::vector<const Pod*> find(const Service& service) const {
    const auto labels = pods_.find(service.meta.namespace_name);
    if (labels == pods_.end()) return {};
    const std::vector<const Pod*>* fewest = nullptr;
    for (const auto& [key, value] : *service.selector) {
      const auto found = labels->second.find(key + "=" + value);
      if (found == labels->second.end()) return {};
      if (fewest == nullptr || found->second.size() < fewest->size()) fewest = &found->second;
    }
    std::vector<const Pod*> pods;
    std::ranges::copy_if(*fewest, std::back_inserter(pods), [&](const Pod* pod) {
      return matches(*service.selector, pod->meta.labels);
    });
    return pods;
  }

 private:
  std::map<std::string, std::unordered_map<std::string, std::vector<const Pod*>>> pods_;
};

class Completion {
 public:
  Completion(Cluster& cluster, const Defaults& defaults) : cluster_(cluster), defaults_(defaults) {}

  Checked<> run() {
    if (cluster_.nodes.empty()) invent_nodes();
    for (const auto& [key, node] : cluster_.nodes)
      if (!node.addresses.empty()) has_own_addresses_.insert(key.name);
    make_pods();
    check_node_names();
    claim_all();
    if (!errors_.empty()) return std::unexpected(std::move(errors_));
    address_nodes();
    block_nodes();
    schedule();
    address_pods();
    address_services();
    make_slices();
    if (!errors_.empty()) return std::unexpected(std::move(errors_));
    return {};
  }

 private:
  void fail(const ObjectMeta& meta, std::string what, std::string advice = {}) {
    errors_.push_back({.kind = Error::Kind::bad_input,
                       .what = std::move(what),
                       .where = meta.source.to_string(),
                       .advice = std::move(advice)});
  }

  void invent_nodes();
  void make_pods();
  void check_node_names();
  void claim(const char* kind, const ObjectMeta& meta, const std::vector<Address>& addresses);
  void claim_all();
  void address_nodes();
  void block_nodes();
  void schedule();
  [[nodiscard]] std::string node_of_block(const Pod& pod) const;
  std::string place(const Pod& pod);
  void address_pods();
  void address_pod(Pod& pod, std::vector<HostPool>& pools);
  void address_services();
  void make_slices();

  Cluster& cluster_;
  const Defaults& defaults_;
  Errors errors_;
  AddressBook book_;
  bool invented_ = false;
  std::set<std::string> has_own_addresses_;
  std::set<std::pair<std::size_t, std::string>> nodes_by_load_;
  std::map<Address, std::pair<Cidr, std::string>> nodes_by_block_;
};

void Completion::invent_nodes() {
  invented_ = true;
  std::set<std::string> names;
  for (const auto& [key, pod] : cluster_.pods)
    if (!pod.node_name.empty()) names.insert(pod.node_name);
  if (names.empty())
    for (unsigned i = 1; i <= defaults_.invented_nodes; ++i)
      names.insert(fmt::format("node-{}", i));
  unsigned number = 0;
  for (const auto& name : names) {
    Node node;
    node.meta.name = name;
    node.region = "region-1";
    const unsigned zone = number++ % std::max(1U, defaults_.invented_zones);
    node.zone = zone < 26 ? fmt::format("zone-{}", static_cast<char>('a' + zone))
                          : fmt::format("zone-{}", zone + 1);
    node.meta.labels = {{"kubernetes.io/hostname", name},
                        {"topology.kubernetes.io/zone", node.zone},
                        {"topology.kubernetes.io/region", node.region}};
    cluster_.nodes.emplace(key_of(node.meta), std::move(node));
  }
}

void Completion::make_pods() {
  auto made = missing_pods(cluster_, [&](const Workload& workload) {
    std::vector<std::string> nodes;
    for (const auto& [key, node] : cluster_.nodes)
      if (invented_ || matches(workload.pod.node_selector, node.meta.labels))
        nodes.push_back(key.name);
    return nodes;
  });
  if (!made) {
    std::ranges::move(made.error(), std::back_inserter(errors_));
    return;
  }
  for (auto& pod : *made) {
    const auto key = key_of(pod.meta);
    const auto found = cluster_.pods.find(key);
    if (found != cluster_.pods.end())
      fail(pod.meta,
           fmt::format("{} makes pod {}, which {} is already", pod.meta.controller, key.to_string(),
                       found->second.meta.source.to_string()),
           "rename one of the two");
    else
      cluster_.pods.emplace(key, std::move(pod));
  }
}

void Completion::check_node_names() {
  for (const auto& [key, pod] : cluster_.pods)
    if (!pod.node_name.empty() && !cluster_.nodes.contains(ObjectKey{{}, pod.node_name}))
      fail(pod.meta, fmt::format("pod {} is on node {}, which does not exist", key.to_string(),
                                 pod.node_name));
}

void Completion::claim(const char* kind, const ObjectMeta& meta,
                       const std::vector<Address>& addresses) {
  for (const auto& address : addresses) {
    const auto* holder = book_.claim(address, {kind, &meta});
    if (holder == nullptr) continue;
    fail(meta, fmt::format("{} {} has address {}, which {} {} ({}) has too", kind,
                           key_of(meta).to_string(), address.to_string(), holder->kind,
                           key_of(*holder->meta).to_string(), holder->meta->source.to_string()));
  }
}

void Completion::claim_all() {
  for (const auto& [key, node] : cluster_.nodes) claim("node", node.meta, node.addresses);
  for (const auto& [key, pod] : cluster_.pods)
    if (!pod.host_network) claim("pod", pod.meta, pod.addresses);
  for (const auto& [key, service] : cluster_.services)
    claim("service", service.meta, service.cluster_ips);
}

void Completion::address_nodes() {
  for (const Family family : both_families) {
    HostPool pool(of_family(defaults_.node_cidrs, family));
    if (pool.empty()) continue;
    for (auto& [key, node] : cluster_.nodes) {
      if (has_own_addresses_.contains(key.name)) continue;
      if (!node.pod_cidrs.empty() && !has_family(node.pod_cidrs, family)) continue;
      const auto address = pool.take(book_);
      if (!address) {
        fail(node.meta, fmt::format("no {} address is left for node {}", name_of(family), key.name),
             "give Defaults::node_cidrs a larger block");
        return;
      }
      node.addresses.push_back(*address);
      book_.claim(*address, {"node", &node.meta});
    }
  }
}

/// A node for which no block is left stays without: that matters only when a pod there needs an
/// address.
void Completion::block_nodes() {
  std::set<Cidr> taken;
  std::set<std::string> silent;
  for (const auto& [key, node] : cluster_.nodes) {
    taken.insert(node.pod_cidrs.begin(), node.pod_cidrs.end());
    if (node.pod_cidrs.empty()) silent.insert(key.name);
  }
  for (const Family family : both_families) {
    const unsigned bits =
        family == Family::v4 ? defaults_.pods_per_node_v4_bits : defaults_.pods_per_node_v6_bits;
    BlockAllocator blocks(of_family(defaults_.pod_cidrs, family), bits, taken);
    for (const auto& name : silent) {
      Node& node = cluster_.nodes.at(ObjectKey{{}, name});
      if (!has_family(node.addresses, family)) continue;
      if (const auto block = blocks.take()) node.pod_cidrs.push_back(*block);
    }
  }
  for (const auto& [key, node] : cluster_.nodes)
    for (const auto& block : node.pod_cidrs)
      nodes_by_block_.emplace(block.base(), std::pair(block, key.name));
}

void Completion::schedule() {
  std::map<std::string, std::size_t> load;
  const bool some_ready =
      std::ranges::any_of(cluster_.nodes, [](const auto& item) { return item.second.ready; });
  for (const auto& [key, node] : cluster_.nodes)
    if (node.ready || !some_ready) load.emplace(key.name, 0);
  for (const auto& [key, pod] : cluster_.pods) {
    const auto found = load.find(pod.node_name);
    if (found != load.end() && !pod.finished()) ++found->second;
  }
  for (const auto& [name, pods] : load) nodes_by_load_.emplace(pods, name);
  for (auto& [key, pod] : cluster_.pods)
    if (pod.node_name.empty() && is_placeable(pod)) pod.node_name = place(pod);
}

std::string Completion::node_of_block(const Pod& pod) const {
  for (const auto& address : pod.addresses) {
    const auto after = nodes_by_block_.upper_bound(address);
    if (after == nodes_by_block_.begin()) continue;
    const auto& [block, name] = std::prev(after)->second;
    if (block.contains(address)) return name;
  }
  return {};
}

std::string Completion::place(const Pod& pod) {
  const std::string fixed = pod.host_network ? std::string() : node_of_block(pod);
  const auto fits = [&](const auto& candidate) {
    if (!fixed.empty()) return candidate.second == fixed;
    const auto& labels = cluster_.nodes.at(ObjectKey{{}, candidate.second}).meta.labels;
    return invented_ || matches(pod.node_selector, labels);
  };
  const auto found = std::ranges::find_if(nodes_by_load_, fits);
  if (found == nodes_by_load_.end()) {
    if (fixed.empty())
      fail(pod.meta,
           fmt::format("no ready node has the labels that pod {} asks for",
                       key_of(pod.meta).to_string()),
           "give the pod a nodeName, or a node these labels");
    return fixed;
  }
  const auto [load, name] = *found;
  nodes_by_load_.erase(found);
  nodes_by_load_.emplace(load + 1, name);
  return name;
}

void Completion::address_pods() {
  std::unordered_map<std::string, std::vector<HostPool>> pools;
  for (auto& [key, pod] : cluster_.pods) {
    if (pod.node_name.empty() || !pod.addresses.empty() || !is_placeable(pod)) continue;
    const Node& node = cluster_.nodes.at(ObjectKey{{}, pod.node_name});
    if (pod.host_network) {
      for (const auto& address : node.addresses)
        if (!has_family(pod.addresses, address.family())) pod.addresses.push_back(address);
      continue;
    }
    auto& node_pools = pools[pod.node_name];
    if (node_pools.empty())
      for (const Family family : both_families)
        node_pools.emplace_back(of_family(node.pod_cidrs, family));
    address_pod(pod, node_pools);
  }
}

void Completion::address_pod(Pod& pod, std::vector<HostPool>& pools) {
  for (auto& pool : pools) {
    if (pool.empty()) continue;
    const auto address = pool.take(book_);
    if (!address) continue;
    pod.addresses.push_back(*address);
    book_.claim(*address, {"pod", &pod.meta});
  }
  const auto wanted = std::ranges::count_if(pools, [](const auto& pool) { return !pool.empty(); });
  if (wanted == 0 || std::ssize(pod.addresses) < wanted)
    fail(pod.meta,
         fmt::format("node {} has no address left for pod {}", pod.node_name,
                     key_of(pod.meta).to_string()),
         "a larger pod CIDR, or more nodes");
}

void Completion::address_services() {
  std::map<Family, HostPool> pools;
  for (const Family family : both_families)
    pools.emplace(family, of_family(defaults_.service_cidrs, family));
  for (auto& [key, service] : cluster_.services) {
    if (service.type == Service::Type::external_name) continue;
    if (service.ip_families.empty()) {
      for (const auto& address : service.cluster_ips)
        service.ip_families.push_back(address.family());
      if (service.ip_families.empty() && !defaults_.service_cidrs.empty())
        service.ip_families.push_back(defaults_.service_cidrs.front().family());
    }
    if (service.headless || !service.cluster_ips.empty()) continue;
    const auto has_no_block = [&](Family family) { return pools.at(family).empty(); };
    if (!std::ranges::all_of(service.ip_families, has_no_block))
      std::erase_if(service.ip_families, has_no_block);
    for (const Family family : service.ip_families) {
      const auto address = pools.at(family).take(book_);
      if (!address) {
        fail(service.meta,
             fmt::format("no {} address is left for service {}", name_of(family), key.to_string()),
             "give Defaults::service_cidrs a larger block");
        continue;
      }
      service.cluster_ips.push_back(*address);
      book_.claim(*address, {"service", &service.meta});
    }
  }
}

void Completion::make_slices() {
  std::set<ObjectKey> have;
  for (const auto& [key, slice] : cluster_.endpoint_slices)
    have.insert({key.namespace_name, slice.service_name});
  const PodIndex index(cluster_);
  for (const auto& [key, service] : cluster_.services) {
    if (!service.selector || service.type == Service::Type::external_name || have.contains(key))
      continue;
    for (auto& slice : slices_of(cluster_, service, index.find(service))) {
      const auto slice_key = key_of(slice.meta);
      const auto found = cluster_.endpoint_slices.find(slice_key);
      if (found != cluster_.endpoint_slices.end())
        fail(service.meta,
             fmt::format("service {} needs EndpointSlice {}, which {} is already", key.to_string(),
                         slice_key.to_string(), found->second.meta.source.to_string()));
      else
        cluster_.endpoint_slices.emplace(slice_key, std::move(slice));
    }
  }
}

Cidr block(const char* text) {
  auto parsed = Cidr::parse(text);
  WAGGLE_ASSERT(parsed.has_value());
  return *parsed;
}

}  // namespace

Defaults Defaults::standard() {
  Defaults defaults;
  defaults.pod_cidrs = {block("10.244.0.0/16"), block("fd00:10:244::/56")};
  defaults.node_cidrs = {block("172.18.0.0/16"), block("fd00:172:18::/64")};
  defaults.service_cidrs = {block("10.96.0.0/16"), block("fd00:10:96::/112")};
  return defaults;
}

Checked<> complete(Cluster& cluster, const Defaults& defaults) {
  return Completion(cluster, defaults).run();
}

}  // namespace waggle::kube
