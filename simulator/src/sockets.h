#pragma once
// Socket addresses of our addresses.

#include <netinet/in.h>
#include <sys/socket.h>

#include "waggle/kube/address.h"

namespace waggle::simulator {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

[[nodiscard]] SocketAddress socket_address(const Address& address, std::uint16_t port);
[[nodiscard]] inline int socket_family(Family family) {
  return family == Family::v4 ? AF_INET : AF_INET6;
}

}  // namespace waggle::simulator
