// The `waggle` command: reads options, calls a verb, ends with its exit code.

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iostream>

#include "session.h"

namespace waggle::cli {
namespace {

constexpr const char* about =
    "Proves where a Kubernetes datapath sends its packets, on the BPF object that ships.";

constexpr const char* closing =
    "Exit codes:\n"
    "  0  all holds\n"
    "  1  something is violated or differs\n"
    "  2  bad input: file:line and what to do is on stderr\n"
    "  3  undecided, which is never success\n"
    "  4  this machine can't: no privilege or no kernel support, and which\n"
    "\n"
    "Examples:\n"
    "  waggle doctor\n"
    "  waggle regress scenarios --report report\n"
    "  waggle explain --cluster scenarios/clusters/webshop --from shop/frontend --to orders/cart "
    "--port 7070\n"
    "  waggle prove policy --cluster scenarios/clusters/webshop\n"
    "\n"
    "`waggle VERB --help` explains a verb. NO_COLOR is honoured.";

std::string as_typed(int count, char** words) {
  std::string line;
  for (int i = 0; i < count; ++i) {
    const std::string_view word = i == 0 ? "waggle" : words[i];
    const bool plain = word.find_first_of(" \t\"'$&|;<>*?()") == std::string_view::npos;
    const std::string_view quote = plain && !word.empty() ? "" : "'";
    line += fmt::format("{}{}{}{}", i == 0 ? "" : " ", quote, word, quote);
  }
  return line;
}

// CLI11 says that a verb is missing also when there is one that it does not know.
std::string reason(const CLI::App& app, const CLI::ParseError& error, int count, char** words) {
  const bool verb_missing =
      error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError);
  if (!verb_missing || count < 2 || words[1][0] == '-') return error.what();
  const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
  const auto known = [&](const CLI::App* verb) { return verb->check_name(words[1]); };
  return std::ranges::any_of(verbs, known) ? error.what()
                                           : fmt::format("there is no verb {}", words[1]);
}

int run(int count, char** words) {
  CLI::App app(about, "waggle");
  app.footer(closing);
  app.require_subcommand(1);
  app.set_version_flag("--version", version());
  app.get_formatter()->column_width(32);
  Session session{as_typed(count, words), holds};
  for (const auto add : {add_doctor, add_regress, add_reach, add_explain, add_prove, add_tables,
                         add_lab, add_version, add_documents})
    add(app, session);
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
      return app.exit(error);  // --help
    std::cerr << "waggle: " << reason(app, error, count, words)
              << "\nwaggle: see `waggle --help` or `waggle VERB --help`\n";
    return bad_input;
  }
  return session.exit;
}

}  // namespace
}  // namespace waggle::cli

int main(int count, char** words) {
  try {
    return waggle::cli::run(count, words);
  } catch (const std::exception& error) {
    std::cerr << "waggle: " << error.what() << '\n';
    return waggle::cli::cannot;
  }
}
