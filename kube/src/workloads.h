#pragma once
// Workloads stand for their pods.

#include <functional>
#include <string>
#include <vector>

#include "waggle/kube/cluster.h"

namespace waggle::kube {

/// The names of the nodes that a DaemonSet has a pod on.
using NodesOf = std::function<std::vector<std::string>(const Workload&)>;

/// The pods of those workloads that have none in the cluster: NAME-0, NAME-1, …; of a DaemonSet
/// NAME-NODE on each of its nodes. A workload has pods when one names it as its controller (a
/// Deployment: by way of a ReplicaSet), or has no controller and matches its selector. One that is
/// itself controlled by a given one makes none. Errors: more than a cluster can hold.
[[nodiscard]] Checked<std::vector<Pod>> missing_pods(const Cluster& cluster,
                                                     const NodesOf& nodes_of);

}  // namespace waggle::kube
