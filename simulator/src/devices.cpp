#include "devices.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace waggle::simulator {
namespace {

thread_local int inside_fd = -1;

Error failed(int error_number, std::string what, std::string where) {
  const bool denied = error_number == EPERM || error_number == EACCES;
  return {denied || error_number == EOPNOTSUPP ? Error::Kind::unsupported : Error::Kind::kernel,
          fmt::format("{}: {}", what, std::strerror(error_number)), std::move(where),
          denied ? "run as root, or with CAP_SYS_ADMIN and CAP_NET_ADMIN" : ""};
}

/// RTM_NEWLINK of a veth pair with names of the kernel's choice.
struct NewPair {
  nlmsghdr header{};
  ifinfomsg link{};
  rtattr info{};
  rtattr kind{};
  char name[4] = {'v', 'e', 't', 'h'};

  NewPair() {
    header.nlmsg_len = sizeof(*this);
    header.nlmsg_type = RTM_NEWLINK;
    header.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    link.ifi_family = AF_UNSPEC;
    info = {static_cast<unsigned short>(sizeof(info) + sizeof(kind) + sizeof(name)), IFLA_LINKINFO};
    kind = {static_cast<unsigned short>(sizeof(kind) + sizeof(name)), IFLA_INFO_KIND};
  }
};
static_assert(sizeof(NewPair) == NLMSG_HDRLEN + sizeof(ifinfomsg) + 2 * sizeof(rtattr) + 4);

Result<> make_pair(int netlink) {
  const NewPair request;
  if (send(netlink, &request, sizeof(request), 0) < 0)
    return std::unexpected(failed(errno, "cannot make a veth", "netlink"));
  alignas(nlmsghdr) std::array<char, 512> reply{};
  if (recv(netlink, reply.data(), reply.size(), 0) < 0)
    return std::unexpected(failed(errno, "cannot make a veth", "netlink"));
  const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
  const auto* result = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
  if (header->nlmsg_type == NLMSG_ERROR && result->error != 0)
    return std::unexpected(failed(-result->error, "cannot make a veth", "netlink"));
  return {};
}

std::vector<std::uint32_t> list_devices() {
  std::vector<std::uint32_t> found;
  auto* all = if_nameindex();
  for (auto* one = all; one != nullptr && one->if_index != 0; ++one)
    if (std::string_view(one->if_name).starts_with("veth")) found.push_back(one->if_index);
  if_freenameindex(all);
  std::ranges::sort(found);
  return found;
}

}  // namespace

Result<PrivateNamespace> PrivateNamespace::create() {
  int fd = -1, error_number = 0;
  // A thread of its own, so that the caller's never leaves its namespace.
  std::thread([&] {
    if (unshare(CLONE_NEWNET) != 0)
      error_number = errno;
    else
      fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  }).join();
  if (fd < 0)
    return std::unexpected(failed(error_number, "cannot make a network namespace", "unshare"));
  return PrivateNamespace(fd);
}

PrivateNamespace::PrivateNamespace(PrivateNamespace&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), devices_(std::move(other.devices_)) {}
PrivateNamespace::~PrivateNamespace() {
  if (fd_ >= 0) close(fd_);
}

Result<> PrivateNamespace::grow(std::size_t count) {
  if (devices_.size() >= count) return {};
  const Inside inside(*this);
  const int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (netlink < 0) return std::unexpected(failed(errno, "cannot open netlink", "socket"));
  Result<> made;
  for (auto have = devices_.size(); made && have < count; have += 2) made = make_pair(netlink);
  close(netlink);
  devices_ = list_devices();
  return made;
}

PrivateNamespace::Inside::Inside(const PrivateNamespace& space) {
  if (inside_fd == space.fd_) return;
  before_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  WAGGLE_ASSERT(before_ >= 0 && setns(space.fd_, CLONE_NEWNET) == 0);
  inside_fd = space.fd_;
}
PrivateNamespace::Inside::Inside(Inside&& other) noexcept
    : before_(std::exchange(other.before_, -1)) {}
PrivateNamespace::Inside::~Inside() {
  if (before_ < 0) return;
  WAGGLE_ASSERT(setns(before_, CLONE_NEWNET) == 0);
  close(before_);
  inside_fd = -1;
}

}  // namespace waggle::simulator
