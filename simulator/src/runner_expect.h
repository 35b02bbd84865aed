#pragma once
// Expectations against what came.

#include <string>
#include <vector>

#include "runner_packet.h"
#include "waggle/simulator/scenario.h"

namespace waggle::simulator {

/// What an expectation is judged by.
struct Judged {
  const Walk& walk;
  const PacketFields* packet;  ///< parsed walk.packet; null when it could not be
  const AddressNames& names;
  const agent::Provenance& provenance;
};

/// "delivered app/server-0 from 10.244.1.10:40000 to ...", "dropped POLICY_DENIED at node-a/..."
[[nodiscard]] std::string outcome_of(const Walk& walk, const PacketFields* packet);
/// Each: what is not as wanted, in words; empty when all is. `as` is the pod of the named step.
[[nodiscard]] std::vector<std::string> unmet(const Expectation& wanted, const std::string& as,
                                             const Judged& judged);
[[nodiscard]] std::vector<std::string> unmet(const RecordExpectation& wanted, const Judged& judged);
[[nodiscard]] std::vector<std::string> unmet(const PacketExpectation& wanted, const Judged& judged);
/// One line a hop.
[[nodiscard]] std::vector<std::string> hop_lines(const Judged& judged);

}  // namespace waggle::simulator
