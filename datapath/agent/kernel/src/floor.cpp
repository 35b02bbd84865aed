#include <linux/bpf.h>

#include <array>
#include <cerrno>

#include "state.h"

namespace waggle::kernel {

Result<double> empty_program_ns(std::uint32_t runs) {
  // r0 = TC_ACT_OK; exit
  static constexpr std::array<bpf_insn, 2> nothing = {
      {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}};
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "waggle_nothing", "Dual BSD/GPL",
                                 nothing.data(), nothing.size(), nullptr));
  if (!program) return std::unexpected(kernel_error(errno, "cannot load", "bpf(PROG_LOAD)"));
  std::array<std::byte, 64> packet{};
  packet[12] = std::byte{0x08};  // IPv4: TEST_RUN sets the protocol from it
  for (std::uint32_t i = 0; i < runs; ++i) {
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = packet.data();
    options.data_size_in = packet.size();
    options.repeat = 1;
    if (bpf_prog_test_run_opts(program.get(), &options) != 0)
      return std::unexpected(kernel_error(errno, "cannot run", "bpf(PROG_TEST_RUN)"));
  }
  bpf_prog_info info{};
  std::uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0 || info.run_cnt == 0)
    return std::unexpected(
        Error{Error::Kind::kernel, "run times are not counted", "bpf_stats", "needs a StatsGuard"});
  return static_cast<double>(info.run_time_ns) / static_cast<double>(info.run_cnt);
}

}  // namespace waggle::kernel
