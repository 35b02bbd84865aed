#pragma once
// Workloads stand for their pods.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "waggle/kube/cluster.h"

namespace waggle::kube {

/// Knows which workloads already have pods.
class PodOwners {
 public:
  explicit PodOwners(const Cluster& cluster);
  /// A pod names it as its controller (a Deployment: by way of a ReplicaSet), or it has no
  /// controller and the selector matches; or the workload is itself controlled by one that is
  /// given.
  [[nodiscard]] bool represented(const Workload& workload) const;

 private:
  const Cluster& cluster_;
  std::set<std::pair<std::string, std::string>> controllers_;  ///< namespace, "Kind/name"
  std::map<std::string, std::vector<const Pod*>> orphans_;     ///< by namespace
};

/// The pods that the workload asks for: NAME-0, NAME-1, …; a DaemonSet: NAME-NODE on each of
/// `nodes`.
[[nodiscard]] std::vector<Pod> pods_of(const Workload& workload,
                                       const std::vector<std::string>& nodes);

}  // namespace waggle::kube
