#include "session.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>

#include "waggle/kube/reader.h"
#include "waggle/reports/writers.h"

namespace waggle::cli {

int report_error(const Error& error) { return report_errors({error}); }

int report_errors(const Errors& errors) {
  bool machine = false;
  for (const auto& error : errors) {
    std::cerr << "waggle: " << to_string(error) << '\n';
    machine =
        machine || error.kind == Error::Kind::unsupported || error.kind == Error::Kind::kernel;
  }
  return machine ? cannot : bad_input;
}

bool colour_wanted() {
  static const bool wanted = [] {
    const char* no = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return isatty(STDOUT_FILENO) != 0 && (no == nullptr || *no == '\0') &&
           !(term != nullptr && std::string_view(term) == "dumb");
  }();
  return wanted;
}

std::string paint(Paint paint, std::string_view text) {
  if (!colour_wanted() || paint == Paint::plain) return std::string(text);
  const int code = paint == Paint::bold    ? 1
                   : paint == Paint::quiet ? 2
                   : paint == Paint::good  ? 32
                   : paint == Paint::bad   ? 31
                                           : 33;
  return fmt::format("\033[{}m{}\033[0m", code, text);
}

std::string paint_state(std::string_view state) {
  const bool good = state == "passed" || state == "proved" || state == "yes" || state == "agree";
  const bool bad = state == "failed" || state == "violated" || state == "error" || state == "no";
  return paint(good ? Paint::good : bad ? Paint::bad : Paint::odd, state);
}

Result<> write_text(const std::string& path, std::string_view text) {
  if (path == "-") {
    std::cout << text << std::flush;
    return {};
  }
  const std::filesystem::path file(path);
  std::error_code failed;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), failed);
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (!out)
    return std::unexpected(Error{Error::Kind::bad_input, "cannot be written", path,
                                 "name a file in a folder that you may write to"});
  return {};
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string utc_now() {
  const auto now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

struct Progress::State {
  std::string what;
  std::size_t total = 0;
  double started = 0, drawn = 0;
};

Progress::Progress(std::string what, std::size_t total)
    : state_(std::make_unique<State>(State{std::move(what), total, now_seconds(), 0})) {}

Progress::~Progress() {
  if (state_->drawn > 0) std::cerr << "\r\033[K" << std::flush;
}

void Progress::at(std::size_t done, std::string_view now) {
  const auto instant = now_seconds();
  if (isatty(STDERR_FILENO) == 0 || instant - state_->started < 1 || instant - state_->drawn < 0.1)
    return;
  state_->drawn = instant;
  const std::size_t width = 30;
  const auto filled = state_->total == 0 ? 0 : std::min(width, width * done / state_->total);
  std::cerr << fmt::format("\r\033[K{} [{}{}] {}/{} {}", state_->what, std::string(filled, '#'),
                           std::string(width - filled, '.'), done, state_->total, now.substr(0, 60))
            << std::flush;
}

void ClusterOptions::add_to(CLI::App& verb, bool required) {
  option = verb.add_option("--cluster", paths,
                           "a file or folder of Kubernetes manifests (YAML, JSON, List, .gz), as "
                           "`kubectl get -o yaml` writes them; may be given several times")
               ->type_name("PATH")
               ->allow_extra_args(false)
               ->required(required);
}

Checked<kube::Cluster> ClusterOptions::read() const {
  const std::vector<std::filesystem::path> files(paths.begin(), paths.end());
  auto cluster = TRY(kube::read_cluster(files));
  TRY(kube::complete(cluster));
  return cluster;
}

void add_json(CLI::App& verb, std::string& file, const std::string& what) {
  verb.add_option("--json", file, what + "; to stdout when FILE is - or left out")
      ->type_name("FILE")
      ->expected(0, 1)
      ->default_str("-");
}

void OutputOptions::add_to(CLI::App& verb) {
  add_json(verb, json, "write the results as JSON");
  verb.add_option("--junit", junit, "write the results as JUnit XML; - is stdout")
      ->type_name("FILE");
  verb.add_option("--report", report, "write DIR/index.html: one page, no network needed")
      ->type_name("DIR");
}

int OutputOptions::write(const reports::RunResult& result) const {
  Errors errors;
  const auto put = [&](const std::string& path, const auto& text) {
    if (path.empty()) return;
    if (const auto done = write_text(path, text()); !done) errors.push_back(done.error());
  };
  put(json, [&] { return reports::to_json(result); });
  put(junit, [&] { return reports::to_junit(result); });
  put(report.empty() ? "" : report + "/index.html", [&] { return reports::to_html(result); });
  return errors.empty() ? result.exit_code : report_errors(errors);
}

reports::RunResult start_result(const Session& session, const std::string& verb) {
  reports::RunResult result;
  result.verb = verb;
  result.command = session.command;
  result.version = version();
  result.kernel = kernel_release();
  result.started = utc_now();
  return result;
}

const char* version() { return WAGGLE_VERSION; }

std::string kernel_release() {
  utsname name{};
  return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "unknown";
}

}  // namespace waggle::cli
