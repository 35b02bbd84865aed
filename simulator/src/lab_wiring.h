#pragma once
// Where everything of a lab is, and the `ip` lines that put it there. Devices: `eth0` is a node's
// uplink, a pod's only device and the world's; `lxc<number>` the host's end of a pod's veth.

#include <string>
#include <vector>

#include "waggle/simulator/lab.h"

namespace waggle::simulator {

inline constexpr const char* lab_state_folder = "/run/waggle";
inline constexpr const char* lab_pin_folder = "/sys/fs/bpf/waggle";

/// The world's own addresses (RFC 5737, RFC 3849), where nodes send what is nobody's.
[[nodiscard]] Address world_address(Family family);

[[nodiscard]] Mac uplink_mac(std::uint32_t node_number);
[[nodiscard]] Mac world_mac();
[[nodiscard]] Mac pod_mac(std::uint32_t pod_number);
[[nodiscard]] Mac host_mac(std::uint32_t pod_number);

/// Names of all namespaces of a lab start so.
[[nodiscard]] std::string namespace_prefix(const std::string& lab);

/// Numbers of nodes and of pods that stay where they are are taken from `before`; a pod that moved
/// or changed its address is a new one. Error: two host-network pods want one port of a node.
Result<LabLayout> layout_of(const std::string& name, const kube::Cluster& cluster,
                            const LabLayout& before = {});

/// Makes what `now` has and `before` has not, after removing what only `before` has. The wire and
/// the world are made when `before` is empty.
Result<> wire(const LabLayout& before, const LabLayout& now, const LabOptions& options);

/// How a wired pod hangs on its node.
Result<agent::Attachment> attachment_of(const LabLayout& layout, const LabPod& pod);

/// Namespace where Origin's sockets live; Error not_found.
Result<std::string> namespace_of(const LabLayout& layout, const Origin& origin);

}  // namespace waggle::simulator
