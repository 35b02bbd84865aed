// What a packet costs, as Google Benchmark sees it: a row a (program, path, flows).
// Times are the kernel's (bpf_stats) above an empty program in the same run; nothing is gated on
// them.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "waggle/simulator/cost.h"

namespace {

using waggle::simulator::PathCost;

void row(benchmark::State& state, const PathCost& cost) {
  for (auto _ : state) state.SetIterationTime(cost.ns * 1e-9);
  state.counters["floor_ns"] = cost.floor_ns;
  state.counters["spread_ns"] = cost.spread_ns;
  state.counters["map_ops"] = static_cast<double>(cost.map_ops);
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::string_view(argv[1]) == "--quick";
  benchmark::Initialize(&argc, argv);
  waggle::simulator::CostOptions options;
  if (quick) options = {.flows = {1, 1000}, .packets_a_round = 2000, .rounds = 3};
  const auto report = waggle::simulator::measure_costs(
      options, [](const std::string& what) { fmt::print(stderr, "measuring {}\n", what); });
  if (!report) {
    for (const auto& error : report.error()) fmt::print(stderr, "{}\n", waggle::to_string(error));
    return 4;
  }
  for (const auto& program : report->programs) {
    benchmark::AddCustomContext(
        program.program,
        fmt::format("{} instructions, {} verified, {} B stack, {} B machine code, {} maps",
                    program.instructions, program.instructions_verified, program.stack_bytes,
                    program.jited_bytes, program.maps));
  }
  benchmark::AddCustomContext("tables", fmt::format("{} KiB", report->map_bytes / 1024));
  for (const auto& cost : report->paths) {
    const auto name = fmt::format("{}/{}/{}", cost.program, cost.path, cost.flows);
    benchmark::RegisterBenchmark(name.c_str(), row, cost)->UseManualTime()->Iterations(1);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
