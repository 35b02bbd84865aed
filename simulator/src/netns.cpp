#include "netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <system_error>

extern char** environ;

namespace waggle::simulator {
namespace {

constexpr const char* namespace_folder = "/run/netns/";

Result<pid_t> spawn(const std::vector<std::string>& arguments, int input, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (output != STDOUT_FILENO) {
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  }
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return pid;
  if (error == ENOENT)
    return std::unexpected(Error{.kind = Error::Kind::unsupported,
                                 .what = arguments[0] + " is not installed",
                                 .where = {},
                                 .advice = {}});
  errno = error;
  return std::unexpected(system_error(arguments[0]));
}

Result<int> exit_code(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return std::unexpected(system_error("waitpid"));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string contents(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  lseek(fd, 0, SEEK_SET);
  for (ssize_t n = 0; (n = read(fd, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  return text;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

int Fd::release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

Error system_error(const std::string& where) {
  const int error = errno;
  return {.kind = error == EPERM ? Error::Kind::unsupported : Error::Kind::kernel,
          .what = std::generic_category().message(error),
          .where = where,
          .advice = {}};
}

Result<InNamespace> InNamespace::enter(const std::string& netns) {
  Fd before(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!before.open()) return std::unexpected(system_error("/proc/thread-self/ns/net"));
  const Fd target(open((namespace_folder + netns).c_str(), O_RDONLY | O_CLOEXEC));
  if (!target.open()) return std::unexpected(system_error(namespace_folder + netns));
  if (setns(target.get(), CLONE_NEWNET) != 0)
    return std::unexpected(system_error("setns(" + netns + ")"));
  return InNamespace(std::move(before));
}

InNamespace::~InNamespace() {
  if (before_.open()) WAGGLE_ASSERT(setns(before_.get(), CLONE_NEWNET) == 0);
}

bool namespace_exists(const std::string& netns) {
  return access((namespace_folder + netns).c_str(), F_OK) == 0;
}

std::vector<std::string> namespaces(const std::string& prefix) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(namespace_folder, ignored))
    if (auto name = entry.path().filename().string(); name.starts_with(prefix))
      found.push_back(std::move(name));
  std::ranges::sort(found);
  return found;
}

Result<ToolOutput> run_tool_whatever(const std::vector<std::string>& arguments,
                                     std::string_view input) {
  const Fd in(memfd_create("waggle-in", MFD_CLOEXEC)), out(memfd_create("waggle-out", MFD_CLOEXEC));
  if (!in.open() || !out.open()) return std::unexpected(system_error("memfd_create"));
  while (!input.empty()) {
    const auto written = write(in.get(), input.data(), input.size());
    if (written < 0) return std::unexpected(system_error("write"));
    input.remove_prefix(static_cast<std::size_t>(written));
  }
  lseek(in.get(), 0, SEEK_SET);
  const auto pid = TRY(spawn(arguments, in.get(), out.get()));
  const int code = TRY(exit_code(pid));
  return ToolOutput{.code = code, .text = contents(out.get())};
}

Result<std::string> run_tool(const std::vector<std::string>& arguments, std::string_view input) {
  auto output = TRY(run_tool_whatever(arguments, input));
  if (output.code == 0) return std::move(output.text);
  std::string command;
  for (const auto& argument : arguments) command += (command.empty() ? "" : " ") + argument;
  return std::unexpected(Error{.kind = Error::Kind::kernel,
                               .what = output.text.substr(0, output.text.find('\n')),
                               .where = command,
                               .advice = {}});
}

Result<int> run_here(const std::vector<std::string>& arguments) {
  const auto pid = TRY(spawn(arguments, STDIN_FILENO, STDOUT_FILENO));
  return exit_code(pid);
}

Result<Background> Background::start(const std::vector<std::string>& arguments) {
  const Fd nowhere(open("/dev/null", O_RDWR | O_CLOEXEC));
  return Background(TRY(spawn(arguments, nowhere.get(), nowhere.get())));
}

Background::~Background() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  (void)exit_code(pid_);
}

Result<> ip_batch(const std::string& netns, const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string text;
  for (const auto& line : lines) text += line + '\n';
  std::vector<std::string> command{"ip"};
  if (!netns.empty()) command.insert(command.end(), {"-n", netns});
  command.insert(command.end(), {"-batch", "-"});
  auto done = run_tool(command, text);
  if (done) return {};
  // "Command failed -:3" names the line.
  auto error = std::move(done).error();
  error.advice = "the lines were: " + text;
  return std::unexpected(std::move(error));
}

Result<> set_sysctl(const std::string& key, std::string_view value) {
  const auto path = "/proc/sys/net/" + key;
  const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.open() || write(file.get(), value.data(), value.size()) < 0)
    return std::unexpected(system_error(path));
  return {};
}

Result<std::uint32_t> device_index(const std::string& device) {
  const auto index = if_nametoindex(device.c_str());
  if (index == 0) return std::unexpected(system_error(device));
  return index;
}

Result<> disable_offloads(const std::string& device) {
  const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.open()) return std::unexpected(system_error("socket"));
  ethtool_value off{.cmd = ETHTOOL_STXCSUM, .data = 0};
  ifreq request{};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&off);
  if (ioctl(fd.get(), SIOCETHTOOL, &request) != 0)
    return std::unexpected(system_error("ethtool(" + device + ")"));
  return {};
}

Result<PacketSocket> PacketSocket::open(const std::string& device, std::uint16_t ethertype) {
  const auto protocol = htons(ethertype == 0 ? static_cast<std::uint16_t>(ETH_P_ALL) : ethertype);
  Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.open()) return std::unexpected(system_error("socket(AF_PACKET)"));
  const int on = 1, bytes = 4 << 20;
  if (setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0)
    return std::unexpected(system_error("PACKET_IGNORE_OUTGOING"));
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = protocol;
  if (!device.empty()) address.sll_ifindex = static_cast<int>(TRY(device_index(device)));
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return std::unexpected(system_error("bind(AF_PACKET)"));
  return PacketSocket(std::move(fd));
}

Result<> PacketSocket::send(std::span<const std::uint8_t> frame) {
  if (::send(fd_.get(), frame.data(), frame.size(), 0) < 0)
    return std::unexpected(system_error("send(AF_PACKET)"));
  return {};
}

std::optional<Packet> PacketSocket::receive() {
  Packet packet(65536);
  const auto size = recv(fd_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (size < 0) return std::nullopt;
  packet.resize(static_cast<std::size_t>(size));
  return packet;
}

}  // namespace waggle::simulator
