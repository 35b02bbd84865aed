#pragma once
// Counterexamples meet the real object before anyone hears of them.

#include "waggle/agent/tables.h"
#include "waggle/kube/cluster.h"
#include "waggle/verifier/obligation.h"

namespace waggle::cli {

/// Sends packets through the test-run engine, which is made at the first call. `tables`: those to
/// be judged, where they are not what the agent compiles; null otherwise. Both must outlive the
/// result.
[[nodiscard]] verifier::Replay replay_on_engine(const kube::Cluster& cluster,
                                                const agent::Tables* tables);

}  // namespace waggle::cli
