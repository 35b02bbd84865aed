#pragma once
// The EndpointSlice controller over pods that somebody else has found.

#include <span>
#include <vector>

#include "waggle/kube/cluster.h"

namespace waggle::kube {

/// Requires: every pod is of the service's namespace and matches its selector, in the order of
/// keys.
[[nodiscard]] std::vector<EndpointSlice> slices_of(const Cluster& cluster, const Service& service,
                                                   std::span<const Pod* const> pods);

}  // namespace waggle::kube
