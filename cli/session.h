#pragma once
// What every verb shares: exit codes, where text goes, the options that several verbs have.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "waggle/kube/cluster.h"
#include "waggle/kube/result.h"
#include "waggle/reports/results.h"

namespace waggle::cli {

enum Exit : int {
  holds = 0,
  violated = 1,  ///< something is violated or differs
  bad_input = 2,
  undecided = 3,
  cannot = 4,  ///< this machine can't: no privilege, no kernel support
};

/// One call of the command. A verb's callback sets `exit`.
struct Session {
  std::string command;  ///< as typed
  int exit = holds;
};

/// Errors go to stderr, one a line as "file:line: what (advice)". Returns the exit code they mean.
int report_errors(const Errors& errors);
int report_error(const Error& error);

/// Text for people, to stdout unless data goes there.
enum class Paint { plain, bold, quiet, good, bad, odd };
[[nodiscard]] bool colour_wanted();
[[nodiscard]] std::string paint(Paint paint, std::string_view text);
/// Of "passed", "proved", "violated", …
[[nodiscard]] std::string paint_state(std::string_view state);

/// Writes the file, or stdout for "-". Makes the folders above it. Error: the reason by the system.
[[nodiscard]] Result<> write_text(const std::string& path, std::string_view text);

/// One line on a terminal that is rewritten; nothing elsewhere, and nothing in the first second.
class Progress {
 public:
  Progress(std::string what, std::size_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void at(std::size_t done, std::string_view now = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Seconds since some instant.
[[nodiscard]] double now_seconds();
/// "2026-11-22T19:00:00Z"
[[nodiscard]] std::string utc_now();

/// --cluster PATH, repeatable.
struct ClusterOptions {
  std::vector<std::string> paths;
  CLI::Option* option = nullptr;
  void add_to(CLI::App& verb, bool required = true);
  /// Read and completed: nodes, addresses and EndpointSlices are there.
  [[nodiscard]] Checked<kube::Cluster> read() const;
};

/// --json [FILE]; "-" when FILE is left out.
void add_json(CLI::App& verb, std::string& file, const std::string& what);

/// --json [FILE], --junit FILE, --report DIR.
struct OutputOptions {
  std::string json, junit, report;
  void add_to(CLI::App& verb);
  /// Writes what was asked for. The exit code: the result's, or bad_input when a file can't be
  /// written.
  [[nodiscard]] int write(const reports::RunResult& result) const;
  /// Text for people would spoil data on stdout.
  [[nodiscard]] bool data_on_stdout() const { return json == "-" || junit == "-"; }
};

/// A result with everything that is known before the work: command, version, kernel, time.
[[nodiscard]] reports::RunResult start_result(const Session& session, const std::string& verb);

[[nodiscard]] const char* version();
[[nodiscard]] std::string kernel_release();

// One file a verb.
void add_doctor(CLI::App& app, Session& session);
void add_regress(CLI::App& app, Session& session);
void add_reach(CLI::App& app, Session& session);
void add_explain(CLI::App& app, Session& session);
void add_prove(CLI::App& app, Session& session);
void add_tables(CLI::App& app, Session& session);
void add_lab(CLI::App& app, Session& session);
void add_version(CLI::App& app, Session& session);
/// Hidden: `man` and `completions bash`, made from the same option tables as --help.
void add_documents(CLI::App& app, Session& session);

}  // namespace waggle::cli
