#include "workloads.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace waggle::kube {
namespace {

constexpr std::size_t pods_max = 200'000;  // Kubernetes itself is built for 150,000

/// Knows which workloads already have pods.
class PodOwners {
 public:
  explicit PodOwners(const Cluster& cluster);
  [[nodiscard]] bool represented(const Workload& workload) const;

 private:
  const Cluster& cluster_;
  std::set<std::pair<std::string, std::string>> controllers_;  ///< namespace, "Kind/name"
  std::map<std::string, std::vector<const Pod*>> orphans_;     ///< by namespace
};

std::string controller_name(Workload::Kind kind, const std::string& name) {
  return to_string(kind) + "/" + name;
}

/// The Deployment's name in the name of one of its ReplicaSets: all but the hash at the end.
std::string without_hash(const std::string& name) { return name.substr(0, name.rfind('-')); }

void add_identifying_labels(const Workload& workload, const std::string& suffix, Pod& pod) {
  auto& labels = pod.meta.labels;
  if (workload.kind == Workload::Kind::stateful_set) {
    labels["statefulset.kubernetes.io/pod-name"] = pod.meta.name;
    labels["apps.kubernetes.io/pod-index"] = suffix;
  }
  if (workload.kind == Workload::Kind::job) {
    labels["job-name"] = workload.meta.name;
    labels["batch.kubernetes.io/job-name"] = workload.meta.name;
  }
}

Pod make_pod(const Workload& workload, const std::string& suffix) {
  Pod pod = workload.pod;
  pod.meta.name = workload.meta.name + "-" + suffix;
  pod.meta.namespace_name = workload.meta.namespace_name;
  pod.meta.source = workload.meta.source;
  pod.meta.controller = controller_name(workload.kind, workload.meta.name);
  add_identifying_labels(workload, suffix, pod);
  return pod;
}

PodOwners::PodOwners(const Cluster& cluster) : cluster_(cluster) {
  if (cluster.workloads.empty()) return;
  for (const auto& [key, pod] : cluster.pods) {
    const auto& controller = pod.meta.controller;
    if (controller.empty()) {
      orphans_[key.namespace_name].push_back(&pod);
      continue;
    }
    controllers_.emplace(key.namespace_name, controller);
    if (controller.starts_with("ReplicaSet/"))
      controllers_.emplace(
          key.namespace_name,
          "Deployment/" + without_hash(controller.substr(controller.find('/') + 1)));
  }
}

bool PodOwners::represented(const Workload& workload) const {
  const auto key = key_of(workload.meta);
  if (!workload.meta.controller.empty())
    for (const auto& [id, other] : cluster_.workloads)
      if (id.second.namespace_name == key.namespace_name &&
          controller_name(id.first, id.second.name) == workload.meta.controller)
        return true;
  if (controllers_.contains({key.namespace_name, controller_name(workload.kind, key.name)}))
    return true;
  const auto orphans = orphans_.find(key.namespace_name);
  return orphans != orphans_.end() && std::ranges::any_of(orphans->second, [&](const Pod* pod) {
           return workload.selector.matches(pod->meta.labels);
         });
}

}  // namespace

Checked<std::vector<Pod>> missing_pods(const Cluster& cluster, const NodesOf& nodes_of) {
  std::vector<Pod> pods;
  const PodOwners owners(cluster);
  for (const auto& [id, workload] : cluster.workloads) {
    if (owners.represented(workload)) continue;
    const bool on_each_node = workload.kind == Workload::Kind::daemon_set;
    const auto nodes = on_each_node ? nodes_of(workload) : std::vector<std::string>();
    const std::size_t count = on_each_node ? nodes.size() : workload.replicas;
    if (count > pods_max - pods.size())
      return std::unexpected(
          Errors{{.kind = Error::Kind::bad_input,
                  .what = fmt::format("the workloads up to {} {} ask for more than {} pods",
                                      to_string(workload.kind), id.second.to_string(), pods_max),
                  .where = workload.meta.source.to_string(),
                  .advice = {}}});
    for (std::size_t i = 0; i < count; ++i) {
      pods.push_back(make_pod(workload, on_each_node ? nodes[i] : fmt::to_string(i)));
      if (on_each_node) pods.back().node_name = nodes[i];
    }
  }
  return pods;
}

}  // namespace waggle::kube
