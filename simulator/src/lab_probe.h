#pragma once
// Clients of a lab: sockets in its namespaces, and what became of what they asked.

#include "netns.h"
#include "waggle/simulator/lab.h"

namespace waggle::simulator {

/// A socket in the origin's namespace, connected (TCP: the handshake done) or not, and why.
struct Client {
  Fd socket;
  std::uint8_t protocol = 6;
  ProbeResult result;  ///< outcome `answered` when connected
};
Result<Client> connect_client(const LabLayout& layout, const Probe& probe);
/// One request and its answer.
ProbeResult ask(int socket, std::uint8_t protocol, Nanoseconds timeout);
/// An ICMP echo request, by the family of `to`.
Result<ProbeResult> ping(const LabLayout& layout, const Probe& probe);

/// The kernel's monotonic clock.
[[nodiscard]] Nanoseconds monotonic_now();

}  // namespace waggle::simulator
