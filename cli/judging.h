#pragma once
// Judging a cluster's tables: shared by `prove` and `regress`.

#include <memory>
#include <string>
#include <vector>

#include "session.h"
#include "waggle/agent/compile.h"
#include "waggle/reports/results.h"
#include "waggle/verifier/dump.h"

namespace waggle::cli {

/// What is judged: the objects, and tables compiled from them or read from a dump.
struct Subject {
  kube::Cluster cluster;
  bool has_cluster = false;
  std::vector<agent::NodeContext> nodes;
  agent::Provenance provenance;
  verifier::Dump dump;
  bool compiled = false;
};

/// `tables`: a dump; empty: what the agent compiles from the cluster.
[[nodiscard]] Checked<std::unique_ptr<Subject>> read_subject(const ClusterOptions& cluster,
                                                             const std::string& tables);

enum class Question { policy, tables };  ///< P1; L1, L2, L4, L6, L7

struct JudgeChoice {
  unsigned timeout_ms = 30000;
  bool replay = true;  ///< send violations through the real programs
};
/// Every obligation of the question, judged; violations replayed.
[[nodiscard]] std::vector<reports::ObligationResult> judge(const Subject& subject,
                                                           Question question,
                                                           const JudgeChoice& choice);

}  // namespace waggle::cli
