#include "regress_parts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "judging.h"
#include "lookup.h"
#include "session.h"
#include "waggle/kernel/datapath.h"
#include "waggle/kube/reader.h"
#include "waggle/simulator/cost.h"
#include "waggle/simulator/live_engine.h"
#include "waggle/verifier/tables.h"

namespace waggle::cli {

namespace {

using simulator::Engine;

/// What the engine's tables hold against the scenario's own invariants, after every step.
std::vector<std::string> check_invariants(Engine& engine, const std::vector<std::string>& ids) {
  std::vector<std::string> broken;
  const auto& compiler = engine.compiler();
  const verifier::Snapshot snapshot{compiler.tables(),
                                    &engine.cluster(),
                                    &compiler.provenance(),
                                    {},
                                    static_cast<std::uint64_t>(engine.now().count())};
  for (const auto& answer : verifier::check_tables(snapshot)) {
    if (std::ranges::find(ids, answer.property) == ids.end()) continue;
    const auto why = answer.counterexample ? answer.counterexample->to_text() : answer.detail;
    broken.push_back(fmt::format("{}: {} {}", answer.property, answer.subject, why));
  }
  return broken;
}

Checked<std::unique_ptr<Engine>> make_live(kube::Cluster cluster,
                                           const simulator::EngineOptions& options) {
  static int count = 0;
  const auto name = fmt::format("regress-{}-{}", getpid(), ++count);
  return TRY(simulator::LiveEngine::create(name, std::move(cluster), options));
}

std::set<std::filesystem::path> clusters_under(const std::vector<std::filesystem::path>& paths) {
  std::set<std::filesystem::path> clusters;
  for (const auto& path : paths) {
    const auto folder = path / "clusters";
    if (!std::filesystem::is_directory(folder)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) clusters.insert(entry);
  }
  return clusters;
}

}  // namespace

Result<std::vector<std::string>> parse_engines(const std::string& text) {
  std::vector<std::string> engines;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    engines.push_back(text.substr(at, end - at));
    if (engines.back() != "test-run" && engines.back() != "live")
      return std::unexpected(Error{Error::Kind::bad_input,
                                   fmt::format("there is no engine {}", engines.back()), "--engine",
                                   "use test-run, live, or test-run,live"});
    at = end + 1;
  }
  return engines;
}

Result<std::map<std::string, std::uint32_t>> parse_knobs(const std::vector<std::string>& texts) {
  std::map<std::string, std::uint32_t> knobs;
  auto config = kernel::default_config();
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    std::uint32_t value = 0;
    const auto* end = text.data() + text.size();
    const auto read = equals == std::string::npos
                          ? std::from_chars_result{end, std::errc::invalid_argument}
                          : std::from_chars(text.data() + equals + 1, end, value);
    if (read.ec != std::errc() || read.ptr != end)
      return std::unexpected(Error{Error::Kind::bad_input, text + " is not KEY=VALUE", "--set",
                                   "such as --set policy=0"});
    const auto key = text.substr(0, equals);
    TRY(simulator::set_knob(config, key, value));
    knobs[key] = value;
  }
  return knobs;
}

Checked<std::vector<simulator::Scenario>> read_scenarios(
    const std::vector<std::filesystem::path>& paths) {
  const auto files = simulator::find_scenarios(paths);
  if (!files) return std::unexpected(Errors{files.error()});
  std::vector<simulator::Scenario> scenarios;
  Errors errors;
  for (const auto& file : *files) {
    auto scenario = simulator::read_scenario(file);
    if (scenario)
      scenarios.push_back(std::move(*scenario));
    else
      errors.insert(errors.end(), scenario.error().begin(), scenario.error().end());
  }
  if (!errors.empty()) return std::unexpected(errors);
  return scenarios;
}

reports::ScenarioResult run_one(const simulator::Scenario& scenario, const RunChoice& choice) {
  simulator::RunOptions options;
  options.engine = choice.engine;
  if (choice.engine == "live") options.make = make_live;
  options.check_invariants = check_invariants;
  options.set = choice.set;
  options.what_if = choice.set.empty();
  if (choice.seed != 0) options.seed = choice.seed;
  const auto started = now_seconds();
  auto run = simulator::run_scenario(scenario, options);
  reports::ScenarioResult result{run.path,
                                 run.name,
                                 run.why,
                                 run.engine,
                                 simulator::to_string(run.state),
                                 run.message,
                                 now_seconds() - started,
                                 {},
                                 run.repeat};
  for (auto& check : run.checks)
    result.checks.push_back({check.at, std::move(check.what), std::move(check.expected),
                             std::move(check.got), check.ok, std::move(check.detail)});
  return result;
}

Checked<> prove_clusters(const std::vector<std::filesystem::path>& paths,
                         reports::RunResult& result) {
  for (const auto& path : clusters_under(paths)) {
    ClusterOptions cluster;
    cluster.paths = {path.string()};
    const auto subject = TRY(read_subject(cluster, ""));
    const auto name = path.filename().string();
    for (const auto what : {Question::policy, Question::tables})
      for (auto one : judge(*subject, what, {})) {
        one.id = name + ": " + one.id;
        result.obligations.push_back(std::move(one));
      }
  }
  return {};
}

Checked<> measure_programs(reports::RunResult& result) {
  const auto report =
      TRY(simulator::measure_costs({.flows = {1000}, .packets_a_round = 2000, .rounds = 3}));
  for (const auto& cost : report.paths) {
    const auto program =
        std::ranges::find(report.programs, cost.program, &simulator::ProgramCost::program);
    const bool known = program != report.programs.end();
    result.costs.push_back({cost.program, cost.path, cost.floor_ns, cost.ns,
                            known ? program->instructions_verified : 0, cost.map_ops,
                            known ? program->stack_bytes : 0});
  }
  result.facts["map memory"] = fmt::format("{} KiB", report.map_bytes / 1024);
  return {};
}

}  // namespace waggle::cli
