#include <nlohmann/json.hpp>

#include "waggle/reports/writers.h"

namespace waggle::reports {

namespace {

using Json = nlohmann::ordered_json;

Json to_value(const ScenarioResult::Check& check) {
  return {{"at", check.at},   {"what", check.what}, {"expected", check.expected},
          {"got", check.got}, {"ok", check.ok},     {"detail", check.detail}};
}

Json to_value(const ScenarioResult& scenario) {
  auto checks = Json::array();
  for (const auto& check : scenario.checks) checks.push_back(to_value(check));
  return {
      {"path", scenario.path},       {"engine", scenario.engine}, {"state", scenario.state},
      {"seconds", scenario.seconds}, {"name", scenario.name},     {"why", scenario.why},
      {"message", scenario.message}, {"repeat", scenario.repeat}, {"checks", std::move(checks)}};
}

Json to_value(const ObligationResult& obligation) {
  return {{"id", obligation.id},           {"property", obligation.property},
          {"subject", obligation.subject}, {"state", obligation.state},
          {"seconds", obligation.seconds}, {"counterexample", obligation.counterexample},
          {"replay", obligation.replay}};
}

Json to_value(const CostResult& cost) {
  return {{"program", cost.program},           {"path", cost.path},
          {"floor_ns", cost.floor_ns},         {"ns", cost.ns},
          {"instructions", cost.instructions}, {"map_ops", cost.map_ops},
          {"stack_bytes", cost.stack_bytes}};
}

template <class Values>
Json to_array(const Values& values) {
  auto array = Json::array();
  for (const auto& value : values) array.push_back(to_value(value));
  return array;
}

}  // namespace

std::string to_json(const RunResult& result) {
  const Json document = {{"schema", 1},
                         {"verb", result.verb},
                         {"command", result.command},
                         {"verdict", result.verdict},
                         {"exit_code", result.exit_code},
                         {"seed", result.seed},
                         {"version", result.version},
                         {"kernel", result.kernel},
                         {"started", result.started},
                         {"wall_seconds", result.wall_seconds},
                         {"facts", result.facts},
                         {"scenarios", to_array(result.scenarios)},
                         {"obligations", to_array(result.obligations)},
                         {"costs", to_array(result.costs)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace waggle::reports
