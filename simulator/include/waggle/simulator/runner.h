#pragma once
// Runs a scenario on an engine and says, expectation by expectation, what was wanted and what came.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "waggle/simulator/engine.h"
#include "waggle/simulator/scenario.h"

namespace waggle::simulator {

/// One expectation.
struct ScenarioCheck {
  std::string at;    ///< virtual time since the start, "1s"; in a what_if "what_if 1, 1s"
  int line = 0;      ///< of the step, in the scenario file
  std::string what;  ///< "app/client-0:40000 > app/web:80/tcp [S]"
  std::string expected;
  std::string got;
  bool ok = false;
  std::vector<std::string> detail;  ///< hops, then packet differences, in words
};

struct ScenarioRun {
  enum class State : std::uint8_t {
    passed,
    failed,
    skipped,  ///< the scenario leaves this engine out; `message` says why
    error,    ///< it could not be run to its end; `message` says why
  };
  std::string path, name, why, engine;
  State state = State::passed;
  std::string message;
  std::uint64_t seed = 0;
  std::vector<ScenarioCheck> checks;
  std::string repeat;              ///< the command that repeats it
  std::vector<std::string> trace;  ///< every hop with its packets; equal for equal runs on test-run
};
[[nodiscard]] const char* to_string(ScenarioRun::State state);

/// What a failed run prints: the expectations that did not hold, and how to repeat. No times.
[[nodiscard]] std::string to_text(const ScenarioRun& run);

struct RunOptions {
  std::string engine = "test-run";
  /// Makes the engine; default: TestRunEngine::create.
  std::function<Checked<std::unique_ptr<Engine>>(kube::Cluster, const EngineOptions&)> make;
  /// Asked after every step; returns what is violated, in words. `ids` are the scenario's.
  std::function<std::vector<std::string>(Engine& engine, const std::vector<std::string>& ids)>
      check_invariants;
  std::map<std::string, std::uint32_t> set;  ///< knobs over the scenario's own
  std::optional<std::uint64_t> seed;
  bool what_if = true;  ///< also runs the what_if blocks; not together with `set`
};

[[nodiscard]] ScenarioRun run_scenario(const Scenario& scenario, const RunOptions& options);

/// Edits to a cluster, as a transaction that the controllers have followed: what they would have
/// filled in is, and EndpointSlices that no manifest gave follow their pods and services.
[[nodiscard]] Checked<std::vector<kube::Change>> follow(const kube::Cluster& before,
                                                        std::vector<kube::Change> edits);

}  // namespace waggle::simulator
