#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "session.h"
#include "waggle/kernel/datapath.h"

namespace waggle::cli {

namespace {

std::string to_json(const std::vector<kernel::Capability>& rows) {
  nlohmann::ordered_json document = {{"schema", 1}, {"kernel", kernel_release()}};
  document["capabilities"] = nlohmann::ordered_json::array();
  for (const auto& row : rows)
    document["capabilities"].push_back(
        {{"name", row.name}, {"available", row.available}, {"detail", row.detail}});
  return document.dump(2) + "\n";
}

/// Without these something is slower or looks different; no verb ends with exit code 4.
bool is_needed(const kernel::Capability& row) {
  return row.name != "MPI" && row.name != "browser" && row.name != "iperf3";
}

int doctor(const std::string& json) {
  const auto rows = kernel::probe();
  const auto missing =
      std::ranges::count_if(rows, [](const auto& row) { return !row.available && is_needed(row); });
  if (!json.empty()) {
    if (const auto done = write_text(json, to_json(rows)); !done) return report_error(done.error());
  }
  if (json != "-") {
    std::cout << "This machine: " << kernel_release() << "\n\n";
    for (const auto& row : rows)
      std::cout << fmt::format("  {} {:<34} {}\n",
                               row.available    ? paint(Paint::good, "yes")
                               : is_needed(row) ? paint(Paint::bad, "no ")
                                                : paint(Paint::odd, "opt"),
                               row.name, paint(Paint::quiet, row.detail));
    std::cout
        << (missing == 0
                ? "\nEverything waggle does can run here (opt: would be used if it were there).\n"
                : fmt::format("\n{} of {} are missing; what needs them says so and "
                              "ends with exit code 4.\n",
                              missing, rows.size()));
  }
  return missing == 0 ? holds : cannot;
}

}  // namespace

void add_doctor(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand("doctor", "say what this machine can run, and why not");
  const auto json = std::make_shared<std::string>();
  add_json(*verb, *json, "write the rows as JSON");
  verb->footer("Examples:\n  waggle doctor\n  waggle doctor --json - | jq '.capabilities[].name'");
  verb->callback([&session, json] { session.exit = doctor(*json); });
}

}  // namespace waggle::cli
