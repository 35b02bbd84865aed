#pragma once
// L1, L2, L4, L6, L7 over a snapshot of tables: live maps, a simulated node, a dump.

#include <span>
#include <utility>
#include <vector>

#include "waggle/agent/compile.h"
#include "waggle/verifier/obligation.h"

namespace waggle::verifier {

using ConntrackEntry = std::pair<dp_ct_key, dp_ct>;

/// The parts must outlive the obligations made from it.
struct Snapshot {
  const agent::Tables& tables;
  /// What the tables should stand for. Null: L2 asks only what the tables say of themselves, L6
  /// only for entries that nothing else in the tables refers to, L7 takes pods and nodes from the
  /// tables.
  const kube::Cluster* cluster = nullptr;
  const agent::Provenance* provenance = nullptr;  ///< for words only
  std::span<const ConntrackEntry> conntrack = {};
  std::uint64_t now_ns = 0;  ///< conntrack entries that expire later are open
};

/// The statements of DESIGN section 6, each split so that a question stays small. Affinity is not
/// read: the statements hold for whatever it contains.
[[nodiscard]] std::vector<Obligation> table_obligations(const Snapshot& snapshot);

/// The same statements, by evaluating the same formulas on every entry: what a running simulation
/// asks. Violated ones only; empty when all hold.
[[nodiscard]] std::vector<Answer> check_tables(const Snapshot& snapshot);

}  // namespace waggle::verifier
