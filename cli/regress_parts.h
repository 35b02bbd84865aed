#pragma once
// The three things that `waggle regress` does, each filling in its part of the result.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "waggle/reports/results.h"
#include "waggle/simulator/runner.h"

namespace waggle::cli {

/// "test-run,live" -> both. Error: another name.
[[nodiscard]] Result<std::vector<std::string>> parse_engines(const std::string& text);
/// "KEY=VALUE" each. Error: not a knob, not a number, out of its range.
[[nodiscard]] Result<std::map<std::string, std::uint32_t>> parse_knobs(
    const std::vector<std::string>& texts);

/// Every scenario under the paths; all errors of all files at once.
[[nodiscard]] Checked<std::vector<simulator::Scenario>> read_scenarios(
    const std::vector<std::filesystem::path>& paths);

struct RunChoice {
  std::string engine;
  std::map<std::string, std::uint32_t> set;
  std::uint64_t seed = 0;  ///< 0: the scenario's own
};
[[nodiscard]] reports::ScenarioResult run_one(const simulator::Scenario& scenario,
                                              const RunChoice& choice);

/// P1 and the table invariants for every folder clusters/NAME under the paths.
[[nodiscard]] Checked<> prove_clusters(const std::vector<std::filesystem::path>& paths,
                                       reports::RunResult& result);

/// Costs in a few seconds: few flows, few packets. `waggle_benchmarks` take longer and say more.
[[nodiscard]] Checked<> measure_programs(reports::RunResult& result);

}  // namespace waggle::cli
