// One ready endpoint out of one service, and in again: Compiler::apply with its plan, among many
// other services of ten backends. Neither time nor operations may grow with the services.

#include <benchmark/benchmark.h>

#include <memory>

#include "world.h"

namespace waggle::agent {
namespace {

using Algorithm = kube::Service::Algorithm;
constexpr std::size_t endpoints = 10;

// Made once for each size: the library calls a benchmark several times.
Compiler& compiler_of(std::size_t services, Algorithm algorithm) {
  static std::unique_ptr<Compiler> held;
  static std::pair<std::size_t, Algorithm> held_for;
  if (held == nullptr || held_for != std::pair(services, algorithm)) {
    held.reset();
    Config config;
    config.entries_max[TableId::maglev] = 16U << 20;  // 10,000 tables of 1,021 positions
    held = std::make_unique<Compiler>(config, std::vector<NodeContext>{});
    WAGGLE_ASSERT(held->reset(many_services(services, endpoints, algorithm)));
    held_for = {services, algorithm};
  }
  return *held;
}

void endpoint_change(benchmark::State& state, Algorithm algorithm) {
  const auto services = static_cast<std::size_t>(state.range(0));
  auto& compiler = compiler_of(services, algorithm);
  const auto chosen = services / 2;
  const auto name = "service-" + std::to_string(chosen);
  std::vector<kube::EndpointSlice::Endpoint> members;
  for (std::size_t k = 0; k < endpoints; ++k) {
    members.push_back(endpoint(many_address(chosen, k)));
  }
  const auto all = upserted(slice(name, Family::v4, members));
  members.erase(members.begin() + 3);
  const auto fewer = upserted(slice(name, Family::v4, members));

  std::size_t changes = 0, map_operations = 0, stores = 0, compiled = 0;
  for (auto _ : state) {
    const auto ops = compiler.apply({changes % 2 == 0 ? &fewer : &all, 1});
    WAGGLE_ASSERT(ops);
    ++changes;
    compiled += compiler.work().services;
    for (const auto& op : *ops) ++(op.kind == TableOp::Kind::store ? stores : map_operations);
  }
  if (changes % 2 == 1) WAGGLE_ASSERT(compiler.apply({&all, 1}));
  const auto each = [&](std::size_t count) {
    return static_cast<double>(count) / static_cast<double>(changes);
  };
  state.counters["map_ops"] = each(map_operations);
  state.counters["stores"] = each(stores);
  state.counters["services_compiled"] = each(compiled);
}

BENCHMARK_CAPTURE(endpoint_change, random, Algorithm::random)
    ->Arg(1000)
    ->Arg(10000)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(endpoint_change, maglev, Algorithm::maglev)
    ->Arg(1000)
    ->Arg(10000)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace waggle::agent

BENCHMARK_MAIN();
