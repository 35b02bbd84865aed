#include "lab_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "lab_servers.h"
#include "lab_state.h"
#include "netns.h"
#include "waggle/simulator/lab.h"

extern char** environ;

namespace waggle::simulator {
namespace {

using std::chrono::milliseconds;

constexpr timespec garbage_interval{.tv_sec = 10, .tv_nsec = 0};
constexpr unsigned state_field = 3, start_time_field = 22;  // of /proc/<pid>/stat

/// When the process began, in the kernel's ticks: a pid alone may be somebody else's by now. Empty
/// when it has ended, also when nobody has asked for its exit code yet.
std::string start_time(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(stat, line);
  const auto after_name = line.rfind(')');
  if (after_name == std::string::npos) return {};
  std::istringstream fields(line.substr(after_name + 1));
  std::string field;
  fields >> field;
  if (field == "Z" || field == "X") return {};
  for (unsigned i = state_field; i < start_time_field; ++i) fields >> field;
  return field;
}

std::filesystem::path pid_file(const std::string& name) { return state_folder(name) / "servers"; }

bool ends_within(pid_t pid, const std::string& began, milliseconds limit) {
  for (milliseconds waited{}; waited < limit; waited += milliseconds(5)) {
    if (start_time(pid) != began) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

}  // namespace

Result<> end_server_process(const std::string& name) {
  std::ifstream file(pid_file(name));
  pid_t pid = 0;
  std::string began;
  if (!(file >> pid >> began) || pid <= 1 || start_time(pid) != began) return {};
  kill(pid, SIGTERM);
  if (ends_within(pid, began, milliseconds(2000))) return {};
  kill(pid, SIGKILL);
  if (ends_within(pid, began, milliseconds(2000))) return {};
  return std::unexpected(Error{.kind = Error::Kind::kernel,
                               .what = "process " + std::to_string(pid) + " does not end",
                               .where = pid_file(name).string(),
                               .advice = {}});
}

Result<> serve_lab(const std::string& name) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  // Before the first thread is made, so that all have it.
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const auto lab = TRY(Lab::open(name));
  const auto servers = TRY(Servers::start(lab->layout()));
  const pid_t self = getpid();
  std::ofstream(pid_file(name)) << self << ' ' << start_time(self) << '\n';
  while (sigtimedwait(&ends, nullptr, &garbage_interval) < 0)
    for (const auto& [node, where] : lab->layout().nodes) {
      auto* datapath = TRY(lab->datapath(node));
      TRY(datapath->collect_garbage());
    }
  return {};
}

Result<> start_server_process(const std::string& name, const std::vector<std::string>& command) {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const auto log = (state_folder(name) / "servers.log").string();
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::vector<char*> argv;
  for (const auto& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    errno = error;
    return std::unexpected(system_error(command.front()));
  }
  // It has written its pid when every port is open.
  for (milliseconds waited{}; waited < milliseconds(5000); waited += milliseconds(5)) {
    if (std::ifstream file(pid_file(name)); file >> pid) return {};
    std::this_thread::sleep_for(milliseconds(5));
  }
  kill(pid, SIGKILL);
  return std::unexpected(Error{.kind = Error::Kind::kernel,
                               .what = "the server process did not start",
                               .where = log,
                               .advice = "its words are in that file"});
}

}  // namespace waggle::simulator
