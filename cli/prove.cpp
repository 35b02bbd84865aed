#include <fmt/format.h>

#include <iostream>
#include <map>

#include "judging.h"
#include "session.h"

namespace waggle::cli {

namespace {

struct Options {
  ClusterOptions cluster;
  std::string tables;
  unsigned timeout_ms = 30000;
  bool no_replay = false;
  OutputOptions output;
};

void print(const reports::RunResult& result) {
  std::map<std::string, std::map<std::string, std::size_t>> counts;
  for (const auto& one : result.obligations) ++counts[one.property][one.state];
  for (const auto& [property, states] : counts) {
    std::cout << fmt::format("{:<4}", property);
    for (const auto& [state, count] : states)
      std::cout << fmt::format("  {} {}", count, paint_state(state));
    std::cout << "\n";
  }
  for (const auto& one : result.obligations) {
    if (one.state == "proved") continue;
    std::cout << fmt::format("\n{} {}\n  {}\n", paint_state(one.state), paint(Paint::bold, one.id),
                             one.subject);
    if (!one.counterexample.empty()) std::cout << "  " << one.counterexample << "\n";
    if (!one.replay.empty()) std::cout << "  replay: " << one.replay << "\n";
  }
  std::cout << "\n" << result.verdict << "\n";
}

void conclude(reports::RunResult& result) {
  std::map<std::string, std::size_t> states;
  for (const auto& one : result.obligations) ++states[one.state];
  result.exit_code = states["violated"] > 0    ? violated
                     : states["undecided"] > 0 ? undecided
                                               : holds;
  result.verdict =
      fmt::format("{} of {} obligations proved", states["proved"], result.obligations.size());
  if (states["violated"] > 0) result.verdict += fmt::format(", {} violated", states["violated"]);
  if (states["undecided"] > 0) result.verdict += fmt::format(", {} undecided", states["undecided"]);
}

int run(const Options& options, Question question, reports::RunResult result) {
  if (options.cluster.paths.empty() && options.tables.empty())
    return report_error({Error::Kind::bad_input, "nothing to judge", "",
                         "give --cluster PATH, --tables DIR, or both"});
  const auto started = now_seconds();
  const auto subject = read_subject(options.cluster, options.tables);
  if (!subject) return report_errors(subject.error());
  result.obligations = judge(**subject, question, {options.timeout_ms, !options.no_replay});
  result.wall_seconds = now_seconds() - started;
  conclude(result);
  if (!options.output.data_on_stdout()) print(result);
  return options.output.write(result);
}

void add_question(CLI::App& prove, Session& session, const char* name, const char* text,
                  const char* footer, bool needs_cluster, Question question) {
  auto* verb = prove.add_subcommand(name, text);
  const auto options = std::make_shared<Options>();
  options->cluster.add_to(*verb, needs_cluster);
  verb->add_option("--tables", options->tables,
                   "judge the tables of this dump (`waggle tables dump`) instead of compiled ones")
      ->type_name("DIR");
  verb->add_option("--timeout-ms", options->timeout_ms,
                   "a question that takes the solver longer is undecided")
      ->check(CLI::Range(1u, 3600000u))
      ->capture_default_str();
  verb->add_flag("--no-replay", options->no_replay,
                 "do not send counterexamples through the real programs (needs no root then)");
  options->output.add_to(*verb);
  verb->footer(footer);
  const std::string what = "prove " + std::string(name);
  verb->callback([&session, options, question, what] {
    session.exit = run(*options, question, start_result(session, what));
  });
}

}  // namespace

void add_prove(CLI::App& app, Session& session) {
  auto* prove = app.add_subcommand(
      "prove", "prove for all packets, not for a sample; a violation comes with its packet");
  prove->require_subcommand(1);
  prove->footer(
      "Answers are proved, violated (with a packet, replayed through the real programs) "
      "or undecided,\nwhich is never success. Only replays need root.");
  add_question(*prove, session, "policy",
               "P1: the tables' verdict is the objects' verdict, for every source, destination, "
               "protocol and port",
               "Examples:\n  waggle prove policy --cluster shop/\n"
               "  waggle prove policy --cluster shop/ --tables dump/ --json results.json",
               true, Question::policy);
  add_question(*prove, session, "tables",
               "L1, L2, L4, L6, L7: every selection ends at an eligible backend of its service, "
               "translation is reversible and ends, nothing leaks",
               "Examples:\n  waggle prove tables --cluster shop/\n"
               "  waggle prove tables --tables dump/\n"
               "  waggle prove tables --cluster shop/ --tables dump/",
               false, Question::tables);
}

}  // namespace waggle::cli
