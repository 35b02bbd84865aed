#pragma once
// What the tests of kube/ share: read a text or fail, and a cluster as text to compare.

#include <string>
#include <string_view>

#include "waggle/kube/reader.h"

namespace waggle::kube {

/// The cluster that a text describes. Fails the test when it is refused.
Cluster cluster_of(std::string_view text);
/// The same, completed.
Cluster completed(std::string_view text);
/// The errors that reading the text gives, one a line; empty when it is read.
std::string refusal_of(std::string_view text);
/// The errors that completing the cluster gives.
std::string incompletion_of(Cluster cluster, const Defaults& defaults = Defaults::standard());
std::string lines_of(const Errors& errors);

/// All that matters of a cluster, one object a line. Sources are left out.
std::string describe(const Cluster& cluster);
std::string describe(const EndpointSlice& slice);

}  // namespace waggle::kube
