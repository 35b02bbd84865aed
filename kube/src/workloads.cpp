#include "workloads.h"

#include <fmt/format.h>

#include <algorithm>

namespace waggle::kube {
namespace {

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

}  // namespace

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

std::vector<Pod> pods_of(const Workload& workload, const std::vector<std::string>& nodes) {
  std::vector<Pod> pods;
  if (workload.kind != Workload::Kind::daemon_set) {
    for (std::uint32_t i = 0; i < workload.replicas; ++i)
      pods.push_back(make_pod(workload, fmt::to_string(i)));
    return pods;
  }
  for (const auto& node : nodes) {
    pods.push_back(make_pod(workload, node));
    pods.back().node_name = node;
  }
  return pods;
}

}  // namespace waggle::kube
