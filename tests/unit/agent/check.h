#pragma once
// What packets would meet: a small evaluator over Tables, and a checker for every prefix of a plan.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "waggle/agent/compile.h"

namespace waggle::agent {

struct Flow {
  Address source;
  Address destination;
  std::uint8_t protocol = 6;
  std::uint16_t port = 0;  ///< destination port; ICMP: type << 8 | code
};
[[nodiscard]] std::string to_string(const Flow& flow);

/// ipcache, then ipcache_prefix, then WORLD.
[[nodiscard]] std::uint32_t identity_of(const Tables& tables, const Address& address);

/// The entry that the datapath's two look-ups end at.
[[nodiscard]] std::optional<dp_policy> look_up(const Tables& tables, std::uint32_t subject,
                                               std::uint32_t peer, dp_direction direction,
                                               std::uint8_t protocol, std::uint16_t port);

/// What the pod's own policy says, at the pod's end of the flow. No endpoint there: no verdict.
[[nodiscard]] std::optional<bool> allows(const Tables& tables, const Flow& flow,
                                         dp_direction direction);
/// Both ends, as far as they are endpoints.
[[nodiscard]] bool passes(const Tables& tables, const Flow& flow);

/// L1, L2 and L4 of one snapshot. Empty when they hold, else what is wrong.
[[nodiscard]] std::string broken_services(const Tables& tables);

/// After every prefix of `ops`: L1, L2, L4, and for each flow and direction the verdict before or
/// the verdict after; the generation last and whenever it has to change. At the end `after`; undone
/// again, `before`. Empty when all holds, else what is wrong and at which operation.
[[nodiscard]] std::string broken_prefix(const Tables& before, std::span<const TableOp> ops,
                                        const Tables& after, std::span<const Flow> flows);

}  // namespace waggle::agent
