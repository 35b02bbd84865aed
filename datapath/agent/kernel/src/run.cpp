#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "state.h"

namespace waggle::kernel {
namespace {

bpf_prog_info program_info(int fd) {
  bpf_prog_info info{};
  std::uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) return {};
  return info;
}

std::uint32_t number_after(const char* log, const char* words) {
  const char* at = std::strstr(log, words);
  return at == nullptr
             ? 0
             : static_cast<std::uint32_t>(std::strtoul(at + std::strlen(words), nullptr, 10));
}

/// The largest frame of "stack depth 112+48+0": the program's own and its functions'.
std::uint32_t stack_of(const char* log) {
  const char* at = std::strstr(log, "stack depth ");
  if (at == nullptr) return 0;
  at += std::strlen("stack depth ");
  std::uint32_t deepest = 0;
  for (char* end = nullptr; *at >= '0' && *at <= '9'; at = *end == '+' ? end + 1 : end)
    deepest = std::max(deepest, static_cast<std::uint32_t>(std::strtoul(at, &end, 10)));
  return deepest;
}

}  // namespace

Result<RunOutput> Datapath::run(const RunInput& input) {
  __sk_buff in{}, out{};
  in.ifindex = input.ifindex;
  in.mark = input.mark;
  auto& buffer = state_->out;
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = input.packet.data();
  options.data_size_in = static_cast<std::uint32_t>(input.packet.size());
  options.data_out = buffer.data();
  options.data_size_out = static_cast<std::uint32_t>(buffer.size());
  options.ctx_in = &in;
  options.ctx_size_in = sizeof(in);
  options.ctx_out = &out;
  options.ctx_size_out = sizeof(out);
  options.repeat = 1;
  const int fd = bpf_program__fd(state_->programs[input.hook]);
  if (bpf_prog_test_run_opts(fd, &options) != 0)
    return std::unexpected(kernel_error(
        errno, fmt::format("cannot run {} on {} bytes", hook_name(input.hook), input.packet.size()),
        "bpf(PROG_TEST_RUN)"));
  RunOutput output;
  output.action = static_cast<int>(options.retval);
  static_assert(sizeof(output.verdict) == sizeof(out.cb));
  std::memcpy(&output.verdict, out.cb, sizeof(out.cb));
  output.packet.assign(buffer.begin(),
                       buffer.begin() + static_cast<std::ptrdiff_t>(options.data_size_out));
  output.mark = out.mark;
  return output;
}

Result<std::uint32_t> Datapath::collect_garbage() {
  if (state_->gc == nullptr)
    return std::unexpected(Error{Error::Kind::bad_input, "the object has no program gc", "", ""});
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  if (bpf_prog_test_run_opts(bpf_program__fd(state_->gc), &options) != 0)
    return std::unexpected(kernel_error(errno, "cannot run gc", "bpf(PROG_TEST_RUN)"));
  return options.retval;
}

Result<std::vector<ProgramFigures>> Datapath::figures() const {
  std::vector<ProgramFigures> all;
  for (unsigned hook = 0; hook < DP_HOOK_COUNT; ++hook) {
    const auto info = program_info(bpf_program__fd(state_->programs[hook]));
    const char* log = state_->verifier_logs[hook].c_str();
    ProgramFigures figures;
    figures.name = hook_name(static_cast<dp_hook>(hook));
    figures.instructions = info.xlated_prog_len / static_cast<std::uint32_t>(sizeof(bpf_insn));
    figures.instructions_verified =
        info.verified_insns != 0 ? info.verified_insns : number_after(log, "processed ");
    figures.stack_bytes = stack_of(log);
    figures.jited_bytes = info.jited_prog_len;
    figures.maps = info.nr_map_ids;
    all.push_back(std::move(figures));
  }
  return all;
}

Result<ProgramStats> Datapath::stats(dp_hook hook) const {
  const auto info = program_info(bpf_program__fd(state_->programs[hook]));
  return ProgramStats{info.run_time_ns, info.run_cnt};
}

Result<StatsGuard> StatsGuard::enable() {
  const int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (fd < 0)
    return std::unexpected(kernel_error(errno, "cannot count run time", "bpf(ENABLE_STATS)"));
  return StatsGuard(fd);
}
StatsGuard::StatsGuard(StatsGuard&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
StatsGuard::~StatsGuard() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace waggle::kernel
