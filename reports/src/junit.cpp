#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "waggle/reports/writers.h"

namespace waggle::reports {

namespace {

/// One <testcase> and what it counts as.
struct Case {
  std::string name;
  double seconds = 0;
  std::string outcome;  ///< "" passed, else the element: "failure" "error" "skipped"
  std::string message;
  std::string text;
};
using Suites = std::map<std::string, std::vector<Case>>;

std::string failures_of(const ScenarioResult& scenario) {
  std::string text = scenario.why.empty() ? "" : "why: " + scenario.why + "\n";
  for (const auto& check : scenario.checks) {
    if (check.ok) continue;
    text += fmt::format("at {}: {}\n  expected {}\n  got      {}\n", check.at, check.what,
                        check.expected, check.got);
    for (const auto& line : check.detail) text += "    " + line + "\n";
  }
  return text + (scenario.repeat.empty() ? "" : "repeat: " + scenario.repeat + "\n");
}

Case to_case(const ScenarioResult& scenario) {
  Case made{scenario.path, scenario.seconds, "", scenario.message, ""};
  if (scenario.state == "passed") return made;
  made.outcome = scenario.state == "skipped"  ? "skipped"
                 : scenario.state == "failed" ? "failure"
                                              : "error";
  if (made.message.empty()) {
    const auto wrong = std::ranges::count(scenario.checks, false, &ScenarioResult::Check::ok);
    made.message = fmt::format("{} of {} checks failed", wrong, scenario.checks.size());
  }
  made.text = failures_of(scenario);
  return made;
}

Case to_case(const ObligationResult& obligation) {
  Case made{obligation.id, obligation.seconds, "", obligation.subject, ""};
  if (obligation.state == "proved") return made;
  made.outcome = obligation.state == "violated" ? "failure" : "error";
  made.message = obligation.state + ": " + obligation.subject;
  made.text = obligation.counterexample + "\n" + obligation.replay;
  return made;
}

Suites suites_of(const RunResult& result) {
  Suites suites;
  for (const auto& scenario : result.scenarios) {
    const auto slash = scenario.path.rfind('/');
    const auto folder = slash == std::string::npos ? "." : scenario.path.substr(0, slash);
    suites[folder + " (" + scenario.engine + ")"].push_back(to_case(scenario));
  }
  for (const auto& obligation : result.obligations)
    suites["proofs " + obligation.property].push_back(to_case(obligation));
  return suites;
}

struct Counts {
  std::size_t tests = 0, failures = 0, errors = 0, skipped = 0;
  double seconds = 0;
};

Counts count(const std::vector<Case>& cases) {
  Counts counts;
  for (const auto& one : cases) {
    ++counts.tests;
    counts.failures += one.outcome == "failure";
    counts.errors += one.outcome == "error";
    counts.skipped += one.outcome == "skipped";
    counts.seconds += one.seconds;
  }
  return counts;
}

std::string to_text(const Counts& counts) {
  return fmt::format(R"(tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3f}")",
                     counts.tests, counts.failures, counts.errors, counts.skipped, counts.seconds);
}

std::string to_text(const Case& one, const std::string& suite) {
  auto text = fmt::format(R"(    <testcase classname="{}" name="{}" time="{:.3f}")",
                          escape_markup(suite), escape_markup(one.name), one.seconds);
  if (one.outcome.empty()) return text + "/>\n";
  const auto message = escape_markup(one.message);
  if (one.outcome == "skipped")
    return text + fmt::format(">\n      <skipped message=\"{}\"/>\n    </testcase>\n", message);
  return text + fmt::format(">\n      <{0} message=\"{1}\">{2}</{0}>\n    </testcase>\n",
                            one.outcome, message, escape_markup(one.text));
}

}  // namespace

std::string to_junit(const RunResult& result) {
  const auto suites = suites_of(result);
  std::vector<Case> all;
  for (const auto& entry : suites) all.insert(all.end(), entry.second.begin(), entry.second.end());
  auto text =
      fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" {}>\n",
                  escape_markup("waggle " + result.verb), to_text(count(all)));
  for (const auto& [name, cases] : suites) {
    text += fmt::format("  <testsuite name=\"{}\" timestamp=\"{}\" {}>\n", escape_markup(name),
                        escape_markup(result.started), to_text(count(cases)));
    for (const auto& one : cases) text += to_text(one, name);
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace waggle::reports
