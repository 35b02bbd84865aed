#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "state.h"

namespace waggle::kernel {
namespace {

Capability yes(std::string name, std::string detail) {
  return {std::move(name), true, std::move(detail)};
}
Capability no(std::string name, std::string detail) {
  return {std::move(name), false, std::move(detail)};
}

Capability kernel_row() {
  utsname about{};
  uname(&about);
  return yes("kernel", fmt::format("{} {}", about.release, about.machine));
}

Capability types_row() {
  if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) return yes("BTF", "/sys/kernel/btf/vmlinux");
  return no("BTF", "no /sys/kernel/btf/vmlinux; only bpftool's dumps need it");
}

Capability privilege_row() {
  constexpr unsigned cap_net_admin = 12, cap_perfmon = 38, cap_bpf = 39;
  std::ifstream status("/proc/self/status");
  std::uint64_t held = 0;
  for (std::string name, value; status >> name;)
    if (name == "CapEff:" && status >> value) held = std::stoull(value, nullptr, 16);
  std::string missing;
  for (const auto& [bit, name] :
       {std::pair{cap_bpf, "CAP_BPF"}, std::pair{cap_net_admin, "CAP_NET_ADMIN"},
        std::pair{cap_perfmon, "CAP_PERFMON"}})
    if ((held >> bit & 1) == 0) missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
  if (missing.empty()) return yes("privilege", "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON");
  return no("privilege", "missing " + missing + "; run as root");
}

Capability jit_row() {
  int value = -1;
  std::ifstream("/proc/sys/net/core/bpf_jit_enable") >> value;
  if (value > 0) return yes("JIT", "on");
  return no("JIT", value == 0 ? "off: sysctl net.core.bpf_jit_enable=1" : "not readable");
}

Capability map_row(bpf_map_type type, const char* name) {
  const int result = libbpf_probe_bpf_map_type(type, nullptr);
  const auto row = fmt::format("map type {}", name);
  return result == 1 ? yes(row, "") : no(row, std::strerror(result < 0 ? -result : EOPNOTSUPP));
}

Capability mmap_row() {
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = BPF_F_MMAPABLE;
  const Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "waggle_probe", 4, 4, 1, &options));
  if (!map) return no("memory-mapped arrays", std::strerror(errno));
  const auto mapping = Mapping::of(map.get(), 8);
  return mapping ? yes("memory-mapped arrays", "")
                 : no("memory-mapped arrays", mapping.error().what);
}

Capability test_run_row() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "waggle_probe", "GPL", instructions, 2, nullptr));
  if (!program) return no("BPF_PROG_TEST_RUN", std::strerror(errno));
  std::array<std::uint8_t, 64> packet{};
  __sk_buff out{};
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = packet.data();
  options.data_size_in = packet.size();
  options.ctx_out = &out;
  options.ctx_size_out = sizeof(out);
  if (bpf_prog_test_run_opts(program.get(), &options) != 0)
    return no("BPF_PROG_TEST_RUN", std::strerror(errno));
  return yes("BPF_PROG_TEST_RUN", "with a context");
}

/// In a child, so that the caller's namespace stays as it is.
Capability namespace_row() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWNET) == 0 ? 0 : errno);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
    return no("network namespaces", "cannot start a process");
  const int code = WEXITSTATUS(status);
  return code == 0 ? yes("network namespaces", "") : no("network namespaces", std::strerror(code));
}

Capability command_row(const char* row, std::initializer_list<const char*> names,
                       const char* advice) {
  const char* path = std::getenv("PATH");
  const std::string all = path == nullptr ? "/usr/bin:/bin" : path;
  for (std::size_t at = 0; at <= all.size();) {
    const auto end = std::min(all.find(':', at), all.size());
    for (const char* name : names) {
      const auto candidate = all.substr(at, end - at) + "/" + name;
      if (access(candidate.c_str(), X_OK) == 0) return yes(row, candidate);
    }
    at = end + 1;
  }
  return no(row, advice);
}

}  // namespace

std::vector<Capability> probe() {
  collect_log();
  std::vector<Capability> rows = {kernel_row(), privilege_row(), types_row(), jit_row()};
  rows.push_back(map_row(BPF_MAP_TYPE_HASH, "hash"));
  rows.push_back(map_row(BPF_MAP_TYPE_LRU_HASH, "lru_hash"));
  rows.push_back(map_row(BPF_MAP_TYPE_LPM_TRIE, "lpm_trie"));
  rows.push_back(map_row(BPF_MAP_TYPE_PERCPU_ARRAY, "percpu_array"));
  rows.push_back(map_row(BPF_MAP_TYPE_RINGBUF, "ringbuf"));
  rows.push_back(mmap_row());
  rows.push_back(test_run_row());
  rows.push_back(kernel_has_tcx() ? yes("tcx", "") : no("tcx", "clsact is used instead"));
  rows.push_back(namespace_row());
  rows.push_back(command_row("iproute2", {"ip"}, "apt-get install iproute2; the lab needs it"));
  rows.push_back(command_row("iperf3", {"iperf3"},
                             "apt-get install iperf3; lab traffic is then "
                             "measured by waggle's own sockets only"));
  rows.push_back(command_row("MPI", {"mpirun"},
                             "apt-get install openmpi-bin; sweeps then use "
                             "several machines"));
  rows.push_back(command_row("browser",
                             {"chromium", "chromium-browser", "google-chrome", "firefox"},
                             "any browser opens the report; its test wants one here"));
  return rows;
}

}  // namespace waggle::kernel
