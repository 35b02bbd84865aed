#pragma once
// What the datapath costs: nanoseconds a packet above an empty program, and exact counts.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "waggle/kube/result.h"

namespace waggle::simulator {

/// One program on one path, with so many flows in the connection table.
struct PathCost {
  std::string program;  ///< "from_container"
  std::string path;     ///< "ClusterIP, established, IPv4"
  std::uint32_t flows = 0;
  double floor_ns = 0;        ///< an empty program in the same run
  double ns = 0;              ///< above the floor; the median of the rounds
  double spread_ns = 0;       ///< between the fastest and the slowest round
  std::uint64_t map_ops = 0;  ///< map helpers that one packet calls: exact
};

/// What the kernel says of a program.
struct ProgramCost {
  std::string program;
  std::uint32_t instructions = 0;  ///< loaded
  std::uint32_t instructions_verified = 0;
  std::uint32_t stack_bytes = 0;
  std::uint32_t jited_bytes = 0;
  std::uint32_t maps = 0;
};

struct CostReport {
  std::vector<ProgramCost> programs;
  std::vector<PathCost> paths;
  std::uint64_t map_bytes = 0;  ///< kernel memory of all tables at their default sizes
};

struct CostOptions {
  std::vector<std::uint32_t> flows = {1, 1000, 100000};
  std::uint32_t packets_a_round = 20000;
  unsigned rounds = 5;
};

/// Measures two pods of one node, directly and through a ClusterIP, both families: a new
/// connection, an established one, a reply, a denied packet. Every packet of a round belongs to
/// another flow, in a shuffled order, and goes through BPF_PROG_TEST_RUN once; times are the
/// kernel's own (bpf_stats). The programs are the shipped configuration: real clock, events on.
/// @param progress called with what is being measured; may be empty.
/// Errors: kernel or privilege.
[[nodiscard]] Checked<CostReport> measure_costs(
    const CostOptions& options, const std::function<void(const std::string&)>& progress = {});

}  // namespace waggle::simulator
