#pragma once
// Costs then and now.

#include <string>
#include <vector>

#include "waggle/kube/result.h"
#include "waggle/reports/results.h"

namespace waggle::cli {

/// The costs of an earlier `regress --json`. Error: not such a file.
[[nodiscard]] Result<reports::RunResult> read_baseline(const std::string& file);

/// What has grown, one sentence each. Counts may not grow at all but for the kernel verifier's
/// instructions, which may by a twentieth; times are noisy and count from three times the baseline.
[[nodiscard]] std::vector<std::string> compare_costs(const reports::RunResult& before,
                                                     const reports::RunResult& now);

}  // namespace waggle::cli
