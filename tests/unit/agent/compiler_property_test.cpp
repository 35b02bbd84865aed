// The incremental form against the full one, and every prefix of every transaction.

#include <algorithm>

#include <gtest/gtest.h>

#include "identities.h"
#include "random_cluster.h"

namespace waggle::agent {
namespace {

constexpr std::uint64_t seeds = 12;
constexpr int changes_a_seed = 60;

void expect_same_as_full(const Compiler& compiler, const std::vector<NodeContext>& nodes,
                         const Config& config, const std::string& where) {
  Ids ids = compiler.ids();
  Provenance told;
  const auto full = compile(compiler.cluster(), nodes, config, ids, &told);
  ASSERT_TRUE(full) << waggle::to_string(full.error().front());
  ASSERT_TRUE(*full == compiler.tables()) << where;
  const auto& mine = compiler.provenance();
  ASSERT_EQ(told.rules.size(), mine.rules.size()) << where;
  for (const auto& [number, rule] : told.rules) {
    ASSERT_EQ(rule.text, mine.rules.at(number).text) << where;
  }
  ASSERT_EQ(told.identities.size(), mine.identities.size()) << where;
  for (const auto& [number, identity] : told.identities) {
    ASSERT_EQ(identity.text, mine.identities.at(number).text) << where;
    ASSERT_EQ(identity.pods, mine.identities.at(number).pods) << where;
  }
  ASSERT_EQ(told.backends.size(), mine.backends.size()) << where;
  ASSERT_EQ(told.frontends.size(), mine.frontends.size()) << where;
  ASSERT_EQ(told.nodes, mine.nodes) << where;
}

// Two addresses that both change hands in one change are the case that single operations cannot
// make safe (compile.h, Compiler): the flow is between other pods than before at both ends.
std::vector<Flow> with_one_end_in_place(const std::vector<Flow>& flows, const kube::Cluster& before,
                                        const kube::Cluster& after) {
  const auto owner = [](const kube::Cluster& cluster, const Address& address) {
    const auto owners = owners_of(cluster);
    const auto it = owners.find(address);
    return it == owners.end() ? std::string() : kube::key_of(it->second->meta).to_string();
  };
  std::set<Address> moved;
  for (const auto& flow : flows) {
    if (owner(before, flow.source) != owner(after, flow.source)) moved.insert(flow.source);
  }
  std::vector<Flow> kept;
  std::ranges::copy_if(flows, std::back_inserter(kept), [&](const Flow& flow) {
    return !moved.contains(flow.source) || !moved.contains(flow.destination);
  });
  return kept;
}

class Changes : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Changes, OneByOneEqualAFullCompileAndAreSafeAtEveryPrefix) {
  RandomCluster random(GetParam());
  const auto nodes = random.all_contexts(GetParam() % 3 + 1);
  Config config;
  config.cidr_selects_pods = GetParam() % 4 != 3;
  config.maglev_positions_per_backend = 40;
  Compiler compiler(config, nodes);
  const auto flows = random.flows();
  const auto started = compiler.reset(random.first());
  ASSERT_TRUE(started);
  ASSERT_EQ(broken_prefix({}, *started, compiler.tables(), {}), "");
  for (int i = 0; i < changes_a_seed; ++i) {
    const auto where = "seed " + std::to_string(GetParam()) + ", change " + std::to_string(i);
    const auto before = compiler.tables();
    const auto cluster = compiler.cluster();
    const auto change = random.next(cluster);
    const auto ops = compiler.apply({&change, 1});
    ASSERT_TRUE(ops) << where << waggle::to_string(ops.error().front());
    const auto judged = with_one_end_in_place(flows, cluster, compiler.cluster());
    ASSERT_EQ(broken_prefix(before, *ops, compiler.tables(), judged), "") << where;
    ASSERT_NO_FATAL_FAILURE(expect_same_as_full(compiler, nodes, config, where));
  }
}

TEST_P(Changes, ManyAtOnceEqualAFullCompileAndKeepServicesWholeAtEveryPrefix) {
  RandomCluster random(GetParam() + 1000);
  const auto nodes = random.all_contexts(2);
  Config config;
  config.policy_for_all_identities = GetParam() % 2 == 0;
  config.maglev_positions_per_backend = 40;
  Compiler compiler(config, nodes);
  ASSERT_TRUE(compiler.reset(random.first()));
  for (int i = 0; i < changes_a_seed / 4; ++i) {
    const auto where = "seed " + std::to_string(GetParam()) + ", batch " + std::to_string(i);
    const auto before = compiler.tables();
    auto cluster = compiler.cluster();
    std::vector<kube::Change> changes;
    for (int k = 0; k < 6; ++k) {
      changes.push_back(random.next(cluster));
      cluster.apply(changes.back());
    }
    const auto ops = compiler.apply(changes);
    ASSERT_TRUE(ops) << where;
    ASSERT_EQ(broken_prefix(before, *ops, compiler.tables(), {}), "") << where;
    ASSERT_NO_FATAL_FAILURE(expect_same_as_full(compiler, nodes, config, where));
  }
}

TEST_P(Changes, ARestartTakesOverTheNumbersAndChangesOnlyWhatTheClusterChanged) {
  RandomCluster random(GetParam() + 2000);
  const auto nodes = random.all_contexts(2);
  Compiler first({}, nodes);
  ASSERT_TRUE(first.reset(random.first()));
  auto cluster = first.cluster();
  for (int i = 0; i < 5; ++i) {
    Compiler again({}, nodes);
    const auto unchanged = again.reset(first.cluster(), first.tables());
    ASSERT_TRUE(unchanged);
    for (const auto& op : *unchanged)
      EXPECT_EQ(op.kind, TableOp::Kind::generation) << info(op.table).name;

    const auto change = random.next(cluster);
    cluster.apply(change);
    Compiler later({}, nodes);
    const auto ops = later.reset(cluster, first.tables());
    ASSERT_TRUE(ops);
    ASSERT_EQ(broken_prefix(first.tables(), *ops, later.tables(), {}), "");
    ASSERT_TRUE(first.apply({&change, 1}));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Changes, testing::Range(std::uint64_t{0}, seeds));

}  // namespace
}  // namespace waggle::agent
