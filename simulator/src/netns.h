#pragma once
// Network namespaces, tools run inside them, and packet sockets. Linux only; needs CAP_SYS_ADMIN.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waggle/kube/result.h"
#include "waggle/simulator/packet.h"

namespace waggle::simulator {

/// A file descriptor, closed at the end. -1: none.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  int release();

 private:
  int fd_;
};

/// While alive, the calling thread is in the named network namespace. A socket made meanwhile stays
/// there; so does a child process.
class InNamespace {
 public:
  static Result<InNamespace> enter(const std::string& netns);
  InNamespace(InNamespace&&) noexcept = default;
  InNamespace& operator=(InNamespace&&) = delete;
  ~InNamespace();

 private:
  explicit InNamespace(Fd before) : before_(std::move(before)) {}
  Fd before_;
};

[[nodiscard]] bool namespace_exists(const std::string& netns);
/// Names of all network namespaces that start with `prefix`, in order.
[[nodiscard]] std::vector<std::string> namespaces(const std::string& prefix);

struct ToolOutput {
  int code = 0;
  std::string text;  ///< of both channels
};
/// Runs a program to its end with `input` as its standard input. Error: it is missing
/// (unsupported).
Result<ToolOutput> run_tool_whatever(const std::vector<std::string>& arguments,
                                     std::string_view input = {});
/// The same for those that have to succeed: another code than 0 is an Error with the first line of
/// complaint.
Result<std::string> run_tool(const std::vector<std::string>& arguments,
                             std::string_view input = {});
/// Runs a program on this terminal; its exit code, 128 when a signal ended it.
Result<int> run_here(const std::vector<std::string>& arguments);
/// A program in the background, killed and waited for at the end. Its output goes nowhere.
class Background {
 public:
  static Result<Background> start(const std::vector<std::string>& arguments);
  Background(Background&& other) noexcept : pid_(other.pid_) { other.pid_ = 0; }
  Background& operator=(Background&&) = delete;
  ~Background();

 private:
  explicit Background(int pid) : pid_(pid) {}
  int pid_;
};
/// One `ip -batch` in a namespace: lines as `ip` takes them.
Result<> ip_batch(const std::string& netns, const std::vector<std::string>& lines);

/// Writes /proc/sys/net/<key> of a namespace; keys as in "ipv4/ip_forward".
Result<> set_sysctl(const std::string& key, std::string_view value);

/// Index of a device of the calling thread's namespace.
Result<std::uint32_t> device_index(const std::string& device);
/// Turns off transmit checksum offload (and with it segmentation offload), so that packets are
/// complete on the veth.
Result<> disable_offloads(const std::string& device);

/// A packet socket: sends frames as given, and sees what arrives.
class PacketSocket {
 public:
  /// ethertype 0: every packet that arrives, before tc ingress has seen it. Otherwise: packets of
  /// that type as tc ingress left them to the stack. Empty device: every device.
  static Result<PacketSocket> open(const std::string& device, std::uint16_t ethertype = 0);
  Result<> send(std::span<const std::uint8_t> frame);
  /// The next one that has arrived, if any; does not wait.
  std::optional<Packet> receive();
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit PacketSocket(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// Error of kind kernel (unsupported for EPERM) from errno.
[[nodiscard]] Error system_error(const std::string& where);

}  // namespace waggle::simulator
