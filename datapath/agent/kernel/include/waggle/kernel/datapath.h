#pragma once
// The datapath in a kernel: loading, running, attaching, table access. The only code that sees
// libbpf is behind this header; no libbpf type appears in it.

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "waggle/abi/config.h"
#include "waggle/abi/events.h"
#include "waggle/abi/metrics.h"
#include "waggle/abi/node_config.h"
#include "waggle/abi/verdict.h"
#include "waggle/agent/tables.h"

namespace waggle::kernel {

using Packet = std::vector<std::uint8_t>;  ///< from the Ethernet header on

[[nodiscard]] dp_config default_config();
[[nodiscard]] const char* hook_name(dp_hook hook);
[[nodiscard]] const char* drop_name(std::uint32_t reason);  ///< "POLICY_DENIED"; "?" when unknown
[[nodiscard]] const char* drop_text(std::uint32_t reason);  ///< the sentence of the table

struct LoadOptions {
  dp_config config = default_config();
  std::map<agent::TableId, std::uint32_t> entries_max;  ///< where they differ from the defaults
  /// Maps found here are adopted (same shape and size required), others are created and pinned.
  std::optional<std::filesystem::path> pin_directory;
  std::optional<std::filesystem::path>
      object;       ///< another build of the datapath; default: built in
  bool tcx = true;  ///< false: clsact also where the kernel has tcx
};

/// How many entries each table pinned here can hold: what LoadOptions needs to adopt them. Error
/// not_found: there is none.
[[nodiscard]] Result<std::map<agent::TableId, std::uint32_t>> pinned_entries_max(
    const std::filesystem::path& pin_directory);

struct RunInput {
  dp_hook hook = DP_HOOK_from_container;
  std::uint32_t ifindex = 0;  ///< a device of the calling thread's network namespace
  std::uint32_t mark = 0;
  std::span<const std::uint8_t> packet;
};

struct RunOutput {
  int action = 0;  ///< TC_ACT_*
  dp_verdict verdict{};
  Packet packet;
  std::uint32_t mark = 0;
};

struct ProgramFigures {
  std::string name;
  std::uint32_t instructions = 0;           ///< loaded (translated)
  std::uint32_t instructions_verified = 0;  ///< insn_processed of the kernel's verifier
  std::uint32_t stack_bytes = 0;            ///< largest frame of the program and its functions
  std::uint32_t jited_bytes = 0;
  std::uint32_t maps = 0;
};

struct ProgramStats {
  std::uint64_t run_time_ns = 0;
  std::uint64_t runs = 0;
};

/// One loaded datapath with its maps. Not thread-safe; movable.
class Datapath {
 public:
  static Result<std::unique_ptr<Datapath>> load(const LoadOptions& options);
  ~Datapath();

  /// The memory-mapped variables. Writing them is how nodes, time and chance are switched.
  [[nodiscard]] dp_node_config& node();
  [[nodiscard]] dp_env& env();

  /// One packet through one program by BPF_PROG_TEST_RUN (repeat = 1).
  Result<RunOutput> run(const RunInput& input);

  /// Where planned operations go. Uses batch system calls for runs on one table and plain stores
  /// for `maglev` and the generation.
  [[nodiscard]] agent::TableSink& sink();
  /// System calls made by the sink so far, and operations; for cost figures.
  [[nodiscard]] std::uint64_t sink_system_calls() const;
  [[nodiscard]] std::uint64_t sink_operations() const;

  /// What the kernel holds now. `agent_tables` reads every agent-written table; the maglev array is
  /// read where `services` says there is a region.
  Result<agent::Tables> agent_tables() const;
  struct Entry {
    agent::Bytes key;
    agent::Bytes value;
  };
  Result<std::vector<Entry>> entries(agent::TableId table) const;
  Result<std::optional<agent::Bytes>> find(agent::TableId table, const agent::Bytes& key) const;
  Result<> put(agent::TableId table, const agent::Bytes& key, const agent::Bytes& value);
  Result<> erase(agent::TableId table, const agent::Bytes& key);
  /// Sums over CPUs; only non-zero cells. Key: dp_metric_index.
  Result<std::map<std::uint32_t, dp_metric>> metrics() const;
  [[nodiscard]] std::uint64_t map_bytes() const;  ///< kernel memory of all maps (fdinfo memlock)

  /// Flow events since the last call, oldest first.
  Result<std::vector<dp_event>> read_events();
  /// Removes expired conntrack entries with the datapath's own program and clock; how many.
  Result<std::uint32_t> collect_garbage();

  Result<std::vector<ProgramFigures>> figures() const;
  /// Needs bpf_stats enabled (StatsGuard).
  Result<ProgramStats> stats(dp_hook hook) const;

  /// tcx where the kernel has it (6.6), clsact otherwise. from_* attach to ingress of the device,
  /// to_* to egress; for a pod's veth the device is the host's end, so from_container is ingress.
  Result<> attach(dp_hook hook, std::uint32_t ifindex);
  Result<> detach(dp_hook hook, std::uint32_t ifindex);
  [[nodiscard]] bool uses_tcx() const;
  /// Removes what attach made and the pins. A Datapath destroyed without it leaves pins and, when
  /// pinned, attachments in place: that is a restart.
  Result<> remove();

  struct State;

 private:
  explicit Datapath(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// BPF_ENABLE_STATS while alive.
class StatsGuard {
 public:
  static Result<StatsGuard> enable();
  StatsGuard(StatsGuard&& other) noexcept;
  ~StatsGuard();

 private:
  explicit StatsGuard(int fd) : fd_(fd) {}
  int fd_;
};

/// What a program that does nothing costs: nanoseconds a run, over `runs` of it. Needs bpf_stats
/// enabled. What is measured of others has this in it.
[[nodiscard]] Result<double> empty_program_ns(std::uint32_t runs);

/// What this kernel and process can do; each row with a reason when it can't.
struct Capability {
  std::string name;
  bool available = false;
  std::string detail;
};
[[nodiscard]] std::vector<Capability> probe();

}  // namespace waggle::kernel
