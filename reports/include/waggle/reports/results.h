#pragma once
// What a run found, as plain data: the only thing report writers know. Filled by the verbs.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace waggle::reports {

/// A scenario on an engine.
struct ScenarioResult {
  struct Check {           ///< one expectation
    std::string at;        ///< "1s"
    std::string what;      ///< "shop/web:40000 > shop/api:80/tcp [S]"
    std::string expected;  ///< "delivered shop/api-0"
    std::string got;
    bool ok = false;
    std::vector<std::string> detail;  ///< hops or packet differences, in words
  };
  std::string path;  ///< "scenarios/policy/revoked-mid-flow.yaml"
  std::string name;
  std::string why;
  std::string engine;   ///< "test-run", "live"
  std::string state;    ///< "passed" "failed" "skipped" "error"
  std::string message;  ///< why skipped or in error
  double seconds = 0;
  std::vector<Check> checks;
  std::string repeat;  ///< the command that repeats it
};

/// An obligation that was judged.
struct ObligationResult {
  std::string id;        ///< "P1/shop/web-0/ingress/TCP"
  std::string property;  ///< "P1"
  std::string subject;   ///< what it is about, in words
  std::string state;     ///< "proved" "violated" "undecided"
  double seconds = 0;
  std::string counterexample;  ///< packet and entries in words; empty unless violated
  std::string replay;          ///< what the real object did with it; empty unless violated
};

/// One program on one path.
struct CostResult {
  std::string program;             ///< "from_container"
  std::string path;                ///< "pod to pod, established, IPv4"
  double floor_ns = 0;             ///< the empty program in the same run
  double ns = 0;                   ///< above the floor
  std::uint64_t instructions = 0;  ///< processed by the kernel's verifier
  std::uint64_t map_ops = 0;
  std::uint64_t stack_bytes = 0;
};

struct RunResult {
  std::string verb;     ///< "regress", "prove"
  std::string command;  ///< as typed
  std::string verdict;  ///< one sentence
  int exit_code = 0;
  std::uint64_t seed = 0;
  std::string version;
  std::string kernel;
  std::string started;  ///< ISO 8601, UTC
  double wall_seconds = 0;
  std::vector<ScenarioResult> scenarios;
  std::vector<ObligationResult> obligations;
  std::vector<CostResult> costs;
  std::map<std::string, std::string> facts;  ///< anything else worth a row: "nodes" -> "3"
};

}  // namespace waggle::reports
