// Cluster edits as the API server and the controllers would see them through.

#include <algorithm>
#include <ranges>

#include "waggle/simulator/runner.h"

namespace waggle::simulator {
namespace {

using kube::Change;
using kube::EndpointSlice;

bool is_generated(const EndpointSlice& slice) { return slice.meta.source.file == nullptr; }

bool same(const EndpointSlice& a, const EndpointSlice& b) {
  const auto same_endpoint = [](const auto& x, const auto& y) {
    return x.addresses == y.addresses && x.ready == y.ready && x.serving == y.serving &&
           x.terminating == y.terminating && x.node_name == y.node_name &&
           x.target_pod == y.target_pod;
  };
  const auto same_port = [](const auto& x, const auto& y) {
    return x.name == y.name && x.protocol == y.protocol && x.port == y.port;
  };
  return a.service_name == b.service_name && a.family == b.family &&
         std::ranges::equal(a.endpoints, b.endpoints, same_endpoint) &&
         std::ranges::equal(a.ports, b.ports, same_port);
}

/// What the API server keeps when a manifest that is applied again does not say it.
void keep_assigned(const kube::Cluster& before, kube::Object& object) {
  if (auto* pod = std::get_if<kube::Pod>(&object)) {
    const auto old = before.pods.find(key_of(pod->meta));
    if (old == before.pods.end()) return;
    if (pod->node_name.empty()) pod->node_name = old->second.node_name;
    if (pod->addresses.empty()) pod->addresses = old->second.addresses;
  } else if (auto* service = std::get_if<kube::Service>(&object)) {
    const auto old = before.services.find(key_of(service->meta));
    if (old != before.services.end() && service->cluster_ips.empty() && !service->headless)
      service->cluster_ips = old->second.cluster_ips;
  }
}

/// The object as it stands in the completed cluster.
kube::Object completed(const kube::Cluster& cluster, const kube::Object& object) {
  const auto key = std::visit([](const auto& o) { return key_of(o.meta); }, object);
  if (std::holds_alternative<kube::Pod>(object)) return cluster.pods.at(key);
  if (std::holds_alternative<kube::Service>(object)) return cluster.services.at(key);
  if (std::holds_alternative<kube::Node>(object)) return cluster.nodes.at(key);
  return object;
}

}  // namespace

Checked<std::vector<Change>> follow(const kube::Cluster& before, std::vector<Change> edits) {
  kube::Cluster after = before;
  after.workloads.clear();  // their pods are there already, and a deleted one stays away
  for (auto& edit : edits) {
    if (edit.kind == Change::Kind::upserted) keep_assigned(before, edit.object);
    after.apply(edit);
  }
  std::erase_if(after.endpoint_slices, [](const auto& item) { return is_generated(item.second); });
  TRY(kube::complete(after));
  for (auto& edit : edits)
    if (edit.kind == Change::Kind::upserted) edit.object = completed(after, edit.object);
  for (const auto& [key, slice] : after.endpoint_slices) {
    const auto old = before.endpoint_slices.find(key);
    if (is_generated(slice) && (old == before.endpoint_slices.end() || !same(old->second, slice)))
      edits.push_back({Change::Kind::upserted, slice});
  }
  for (const auto& [key, slice] : before.endpoint_slices)
    if (is_generated(slice) && !after.endpoint_slices.contains(key))
      edits.push_back({Change::Kind::deleted, slice});
  return edits;
}

}  // namespace waggle::simulator
