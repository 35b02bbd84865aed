#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "baseline.h"
#include "regress_parts.h"
#include "session.h"

namespace waggle::cli {

namespace {

struct Options {
  std::vector<std::string> paths;
  std::string engines = "test-run", baseline;
  std::vector<std::string> set;
  std::uint64_t seed = 0;
  bool no_proofs = false, no_costs = false, verbose = false;
  OutputOptions output;
};

std::vector<std::filesystem::path> paths_of(const Options& options) {
  if (!options.paths.empty()) return {options.paths.begin(), options.paths.end()};
  if (std::filesystem::exists("scenarios")) return {"scenarios"};
  return {WAGGLE_SCENARIOS};
}

/// Single files are being worked on: what they are asked for is their own verdict, soon.
bool only_files(const std::vector<std::filesystem::path>& paths) {
  return std::ranges::none_of(paths,
                              [](const auto& path) { return std::filesystem::is_directory(path); });
}

void print(const reports::ScenarioResult& one, bool verbose) {
  const bool quiet = one.state == "passed" || one.state == "skipped";
  if (quiet && !verbose) return;
  std::cout << fmt::format("{} {} ({})\n", paint_state(one.state), one.path, one.engine);
  if (!one.message.empty()) std::cout << "  " << one.message << "\n";
  for (const auto& check : one.checks) {
    if (check.ok) continue;
    std::cout << fmt::format("  at {}: {}\n    expected {}\n    got      {}\n", check.at,
                             check.what, check.expected, check.got);
    for (const auto& line : check.detail) std::cout << "      " << line << "\n";
  }
  if (!quiet) std::cout << "  repeat: " << one.repeat << "\n";
}

/// Counts by state: "60 passed, 2 skipped".
template <class Values>
std::string tally(const Values& values) {
  std::map<std::string, std::size_t> counts;
  for (const auto& one : values) ++counts[one.state];
  std::string text;
  for (const auto& [state, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, paint_state(state));
  return text;
}

void print(const reports::RunResult& result) {
  if (!result.scenarios.empty()) std::cout << "scenarios  " << tally(result.scenarios) << "\n";
  if (!result.obligations.empty()) {
    std::cout << "proofs     " << tally(result.obligations) << "\n";
    for (const auto& one : result.obligations)
      if (one.state != "proved")
        std::cout << fmt::format("  {} {}\n    {}\n    {}\n", paint_state(one.state), one.id,
                                 one.counterexample, one.replay);
  }
  if (!result.costs.empty()) {
    std::cout << "costs      ns a packet above an empty program, and map operations\n";
    std::map<std::string, std::string> rows;
    for (const auto& cost : result.costs)
      rows[cost.path] += fmt::format("  {} {:>5.0f} ns {:>3}", cost.program, cost.ns, cost.map_ops);
    for (const auto& [path, row] : rows) std::cout << fmt::format("  {:<30}{}\n", path, row);
  }
  for (const auto& [name, value] : result.facts)
    std::cout << fmt::format("{:<11}{}\n", name, value);
  const auto mood = result.exit_code == holds      ? Paint::good
                    : result.exit_code == violated ? Paint::bad
                                                   : Paint::odd;
  std::cout << paint(mood, result.verdict) << "\n";
}

/// One sentence and one exit code from everything that was found.
void conclude(reports::RunResult& result, const std::vector<std::string>& worse) {
  const auto count = [](const auto& values, const char* state) {
    return static_cast<std::size_t>(
        std::ranges::count_if(values, [&](const auto& one) { return one.state == state; }));
  };
  const auto failed = count(result.scenarios, "failed"), errors = count(result.scenarios, "error");
  const auto wrong = count(result.obligations, "violated");
  const auto open = count(result.obligations, "undecided");
  std::vector<std::string> parts;
  if (failed > 0) parts.push_back(fmt::format("{} scenarios failed", failed));
  if (errors > 0) parts.push_back(fmt::format("{} scenarios could not run", errors));
  if (wrong > 0) parts.push_back(fmt::format("{} obligations violated", wrong));
  if (!worse.empty()) parts.push_back(fmt::format("{} costs grew", worse.size()));
  if (open > 0) parts.push_back(fmt::format("{} obligations undecided", open));
  result.exit_code = failed + wrong + worse.size() > 0 ? violated
                     : errors > 0                      ? cannot
                     : open > 0                        ? undecided
                                                       : holds;
  result.verdict = parts.empty() ? "all holds" : "";
  for (const auto& part : parts) result.verdict += (result.verdict.empty() ? "" : ", ") + part;
}

int run(const Options& options, reports::RunResult result) {
  const auto started = now_seconds();
  const auto paths = paths_of(options);
  std::optional<reports::RunResult> baseline;
  if (!options.baseline.empty()) {
    auto read = read_baseline(options.baseline);
    if (!read) return report_error(read.error());
    baseline = std::move(*read);
  }
  auto scenarios = read_scenarios(paths);
  if (!scenarios) return report_errors(scenarios.error());
  const auto engines = parse_engines(options.engines);
  if (!engines) return report_error(engines.error());
  const auto knobs = parse_knobs(options.set);
  if (!knobs) return report_error(knobs.error());
  result.seed = options.seed;
  const bool quiet = options.output.data_on_stdout();
  Progress progress("scenarios", scenarios->size() * engines->size());
  for (const auto& engine : *engines)
    for (const auto& scenario : *scenarios) {
      progress.at(result.scenarios.size(), scenario.file.string());
      result.scenarios.push_back(run_one(scenario, {engine, *knobs, options.seed}));
      if (!quiet) print(result.scenarios.back(), options.verbose);
    }
  Errors errors;
  const auto keep = [&](const Checked<>& done) {
    if (!done) errors.insert(errors.end(), done.error().begin(), done.error().end());
  };
  if (!options.no_proofs) keep(prove_clusters(paths, result));
  if (!options.no_costs && !only_files(paths)) keep(measure_programs(result));
  if (!errors.empty()) return report_errors(errors);
  const auto worse = baseline ? compare_costs(*baseline, result) : std::vector<std::string>();
  for (std::size_t i = 0; i < worse.size(); ++i)
    result.facts[fmt::format("grew {}", i + 1)] = worse[i];
  conclude(result, worse);
  result.wall_seconds = now_seconds() - started;
  if (!quiet) print(result);
  return options.output.write(result);
}

}  // namespace

void add_regress(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand(
      "regress", "run every scenario, prove the clusters' tables, measure what packets cost");
  const auto options = std::make_shared<Options>();
  verb->add_option("PATH", options->paths,
                   "scenario files or folders; default: ./scenarios, else the installed ones");
  verb->add_option("--engine", options->engines, "test-run, live, or both: test-run,live")
      ->type_name("ENGINE,...")
      ->capture_default_str();
  verb->add_option("--baseline", options->baseline,
                   "compare costs with an earlier --json of regress; growth is a failure")
      ->type_name("FILE");
  verb->add_option("--set", options->set,
                   "set a knob of the datapath over every scenario's own; what_if blocks are left "
                   "out then")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  verb->add_option("--seed", options->seed, "draw chance from this seed; 0: each scenario's own")
      ->capture_default_str();
  verb->add_flag("--no-proofs", options->no_proofs, "leave the proofs out");
  verb->add_flag("--no-costs", options->no_costs, "leave the measurements out");
  verb->add_flag("-v,--verbose", options->verbose, "also name what passes");
  options->output.add_to(*verb);
  verb->footer(
      "Needs root: the programs are loaded and run. Proofs are about every folder clusters/NAME\n"
      "under PATH; single files are only run. Costs that gate: instructions verified, stack, map\n"
      "operations; times are reported, and gate at three times the baseline's.\n\nExamples:\n"
      "  waggle regress\n"
      "  waggle regress scenarios/policy --verbose --no-proofs --no-costs\n"
      "  waggle regress --json before.json; waggle regress --baseline before.json\n"
      "  waggle regress --report report --junit junit.xml");
  verb->callback(
      [&session, options] { session.exit = run(*options, start_result(session, "regress")); });
}

}  // namespace waggle::cli
