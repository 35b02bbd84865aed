#include "baseline.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

namespace waggle::cli {

Result<reports::RunResult> read_baseline(const std::string& file) {
  const auto bad = [&](const char* what) {
    return std::unexpected(
        Error{Error::Kind::bad_input, what, file, "write one with `waggle regress --json FILE`"});
  };
  std::ifstream in(file);
  if (!in) return bad("the baseline cannot be read");
  const auto json = nlohmann::json::parse(in, nullptr, false);
  if (!json.is_object() || !json.contains("costs") || !json["costs"].is_array())
    return bad("the baseline is not the JSON of regress");
  reports::RunResult result;
  for (const auto& row : json["costs"]) {
    const bool whole = row.is_object() && row.contains("program") && row["program"].is_string() &&
                       row.contains("path") && row["path"].is_string();
    const auto number = [&](const char* key) {
      return row.contains(key) && row[key].is_number() ? row[key].get<double>() : -1.0;
    };
    if (!whole || number("ns") < 0 || number("instructions") < 0 || number("map_ops") < 0)
      return bad("a row of the baseline's costs is incomplete");
    result.costs.push_back({row["program"], row["path"], number("floor_ns"), number("ns"),
                            static_cast<std::uint64_t>(number("instructions")),
                            static_cast<std::uint64_t>(number("map_ops")),
                            static_cast<std::uint64_t>(std::max(0.0, number("stack_bytes")))});
  }
  return result;
}

std::vector<std::string> compare_costs(const reports::RunResult& before,
                                       const reports::RunResult& now) {
  std::vector<std::string> worse;
  for (const auto& cost : now.costs) {
    const auto was = std::ranges::find_if(before.costs, [&](const auto& one) {
      return one.program == cost.program && one.path == cost.path;
    });
    if (was == before.costs.end()) continue;
    const auto name = cost.program + ", " + cost.path;
    const auto grew = [&](const char* what, double then, double is, double factor) {
      if (is > then * factor)
        worse.push_back(fmt::format("{}: {} {:.0f} -> {:.0f}", name, what, then, is));
    };
    grew("instructions", static_cast<double>(was->instructions),
         static_cast<double>(cost.instructions), 1.05);
    grew("stack bytes", static_cast<double>(was->stack_bytes),
         static_cast<double>(cost.stack_bytes), 1);
    grew("map operations", static_cast<double>(was->map_ops), static_cast<double>(cost.map_ops), 1);
    grew("ns", std::max(was->ns, 20.0), cost.ns, 3);
  }
  return worse;
}

}  // namespace waggle::cli
