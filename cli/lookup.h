#pragma once
// What people type into what the cluster has.

#include <optional>
#include <string>

#include "waggle/simulator/engine.h"

namespace waggle::cli {

/// "NS/NAME" or "NAME" (namespace default).
[[nodiscard]] kube::ObjectKey parse_key(const std::string& text);

/// A pod by its key, or the first pod of the workload with that name. Error not_found: names what
/// is near.
[[nodiscard]] Result<const kube::Pod*> find_pod(const kube::Cluster& cluster,
                                                const std::string& text);

/// Every node as a zone of its own, every pod wired to it by a made-up device: for tables that no
/// kernel will hold.
[[nodiscard]] std::vector<agent::NodeContext> node_contexts(const kube::Cluster& cluster);

/// "80", "80/TCP", "http" (of a service), "icmp".
struct PortChoice {
  std::uint8_t protocol = 6;
  std::uint16_t port = 0;
  std::string name;  ///< to be looked up in the destination; empty when a number was given
};
[[nodiscard]] Result<PortChoice> parse_port(const std::string& text);

/// The packet's two ends.
struct Journey {
  simulator::Origin from;
  simulator::PacketFields packet;
  std::string to;  ///< in words
};
/// --from and --to: pod, service or address; the family asked for, or the first that both have.
[[nodiscard]] Result<Journey> plan_journey(const kube::Cluster& cluster, const std::string& from,
                                           const std::string& to, const std::string& port,
                                           std::optional<Family> family);

}  // namespace waggle::cli
