#pragma once
// What a loaded datapath consists of.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <map>
#include <memory>
#include <string>

#include "call.h"
#include "waggle/kernel/datapath.h"

namespace waggle::kernel {

inline constexpr std::size_t table_count =
#define WAGGLE_ONE(...) +1
    DP_TABLES(WAGGLE_ONE);
#undef WAGGLE_ONE
/// The kernel keeps array elements this far apart, also in the memory mapping.
inline constexpr std::size_t array_stride = 8;

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
struct FreeRing {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

class KernelSink final : public agent::TableSink {
 public:
  explicit KernelSink(Datapath::State& state) : state_(state) {}
  Result<> apply(std::span<const agent::TableOp> ops) override;
  [[nodiscard]] std::size_t applied() const override { return applied_; }

  std::uint64_t system_calls = 0, operations = 0;

 private:
  Result<> run_of(std::span<const agent::TableOp> ops);
  Result<> batch(std::span<const agent::TableOp> ops);
  Result<> single(const agent::TableOp& op);
  Error failure(const agent::TableOp& op, int error_number) const;

  Datapath::State& state_;
  std::size_t applied_ = 0;
  std::array<bool, table_count> no_batch_{};
  std::vector<std::byte> keys_, values_;
};

struct Datapath::State {
  LoadOptions options;
  std::unique_ptr<bpf_object, CloseObject> object;
  std::array<bpf_map*, table_count> maps{};
  std::array<bpf_program*, DP_HOOK_COUNT> programs{};
  bpf_program* gc = nullptr;
  std::array<std::string, DP_HOOK_COUNT> verifier_logs;
  Mapping node_page, env_page, maglev_page, numbers_page;
  std::size_t node_offset = 0, env_offset = 0;
  std::unique_ptr<ring_buffer, FreeRing> ring;
  std::vector<dp_event> events;
  std::vector<std::uint8_t> out;  ///< of TEST_RUN
  struct Attached {
    Fd link;  ///< tcx; none with clsact
    bool made_qdisc = false;
  };
  std::map<std::pair<dp_hook, std::uint32_t>, Attached> attached;
  bool tcx = false;
  KernelSink sink{*this};

  [[nodiscard]] int map_fd(agent::TableId table) const {
    return bpf_map__fd(maps[static_cast<std::size_t>(table)]);
  }
  [[nodiscard]] dp_node_config& node() const {
    return *reinterpret_cast<dp_node_config*>(node_page.data() + node_offset);
  }
  /// Requires position < entries of `maglev`.
  [[nodiscard]] std::uint32_t& position(std::uint32_t index) const {
    return *reinterpret_cast<std::uint32_t*>(maglev_page.data() + index * array_stride);
  }
  [[nodiscard]] std::uint32_t positions() const {
    return bpf_map__max_entries(maps[static_cast<std::size_t>(agent::TableId::maglev)]);
  }
  Result<> find_programs();
  Result<> map_memory();
  Result<> map_numbers();
  /// Kept beside the tables and as long as they are.
  [[nodiscard]] agent::NumbersUsed& numbers() const {
    return *reinterpret_cast<agent::NumbersUsed*>(numbers_page.data());
  }
  void detach_all();
};

/// What libbpf has said on this thread since `take_log`; it never prints.
void collect_log();
std::string take_log();

bool kernel_has_tcx();

}  // namespace waggle::kernel
