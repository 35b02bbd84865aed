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

int doctor(const std::string& json) {
  const auto rows = kernel::probe();
  const auto missing = std::ranges::count(rows, false, &kernel::Capability::available);
  if (!json.empty()) {
    if (const auto done = write_text(json, to_json(rows)); !done) return report_error(done.error());
  }
  if (json != "-") {
    std::cout << "This machine: " << kernel_release() << "\n\n";
    for (const auto& row : rows)
      std::cout << fmt::format("  {} {:<34} {}\n",
                               row.available ? paint(Paint::good, "yes") : paint(Paint::bad, "no "),
                               row.name, paint(Paint::quiet, row.detail));
    std::cout << (missing == 0 ? "\nEverything waggle does can run here.\n"
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
  verb->add_option("--json", *json, "write the rows as JSON; - is stdout")->type_name("FILE");
  verb->footer("Examples:\n  waggle doctor\n  waggle doctor --json - | jq '.capabilities[].name'");
  verb->callback([&session, json] { session.exit = doctor(*json); });
}

}  // namespace waggle::cli
