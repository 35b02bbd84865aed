#pragma once
// What a Node object and a pod's attachment put into the tables.

#include "waggle/agent/compile.h"

namespace waggle::agent {

/// The node's address of a family, as the datapath uses it: the first one. Zero when it has none.
[[nodiscard]] dp_addr node_address(const kube::Node& node, Family family);
[[nodiscard]] dp_node node_entry(const kube::Node& node);
[[nodiscard]] dp_endpoint endpoint_entry(const Attachment& attachment, std::uint32_t identity);
[[nodiscard]] dp_endpoint_key endpoint_key(const Address& address, std::uint16_t zone);

/// Error: a table holds more than it may (which, how many, what to do).
[[nodiscard]] Result<> check_room(TableId table, std::size_t entries, const Config& config);
[[nodiscard]] Checked<> check_room(const Tables& tables, const Config& config);

}  // namespace waggle::agent
