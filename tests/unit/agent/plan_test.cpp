// The order of operations, and that the prefix checker refutes wrong orders.

#include <algorithm>

#include <gtest/gtest.h>

#include "check.h"
#include "world.h"

namespace waggle::agent {
namespace {

using Kind = TableOp::Kind;

struct Update {
  Tables before, after;
  std::vector<TableOp> ops;
};

Update update(const kube::Cluster& cluster, const std::vector<kube::Change>& changes,
              const std::vector<NodeContext>& nodes = {}) {
  Compiler compiler({}, nodes);
  EXPECT_TRUE(compiler.reset(cluster));
  Update made;
  made.before = compiler.tables();
  made.ops = compiler.apply(changes).value();
  made.after = compiler.tables();
  return made;
}

kube::Cluster one_service(std::vector<kube::EndpointSlice::Endpoint> endpoints) {
  kube::Cluster cluster;
  put(cluster, service("web", {"10.96.0.1"}));
  put(cluster, slice("web", Family::v4, std::move(endpoints)));
  return cluster;
}

Update slice_update(std::vector<kube::EndpointSlice::Endpoint> before,
                    std::vector<kube::EndpointSlice::Endpoint> after) {
  return update(one_service(std::move(before)),
                {upserted(slice("web", Family::v4, std::move(after)))});
}

bool is(const TableOp& op, Kind kind, TableId table) {
  return op.kind == kind && op.table == table;
}

// Moves the operations that `first` chooses to the front.
template <class Choose>
std::vector<TableOp> with_first(const std::vector<TableOp>& ops, Choose first) {
  std::vector<TableOp> moved;
  std::ranges::copy_if(ops, std::back_inserter(moved), first);
  std::ranges::remove_copy_if(ops, std::back_inserter(moved), first);
  return moved;
}

template <class Choose>
std::vector<TableOp> with_last(const std::vector<TableOp>& ops, Choose last) {
  return with_first(ops, [&](const TableOp& op) { return !last(op); });
}

std::string verdict(const Update& made, const std::vector<TableOp>& ops,
                    const std::vector<Flow>& flows = {}) {
  return broken_prefix(made.before, ops, made.after, flows);
}

TEST(Plan, ARemovedEndpointCostsFourOperations) {
  const auto made = slice_update({endpoint("10.0.0.1"), endpoint("10.0.0.2"), endpoint("10.0.0.3")},
                                 {endpoint("10.0.0.2"), endpoint("10.0.0.3")});
  ASSERT_EQ(made.ops.size(), 4);
  EXPECT_EQ(made.ops[0].kind, Kind::store);  // the last one into the hole
  EXPECT_TRUE(is(made.ops[1], Kind::upsert, TableId::services));
  EXPECT_EQ(made.ops[2].kind, Kind::store);  // nobody's any more
  EXPECT_TRUE(is(made.ops[3], Kind::erase, TableId::backends));
  EXPECT_EQ(verdict(made, made.ops), "");
}

TEST(Plan, AnAddedEndpointCostsThreeOperations) {
  const auto made =
      slice_update({endpoint("10.0.0.1")}, {endpoint("10.0.0.1"), endpoint("10.0.0.2")});
  ASSERT_EQ(made.ops.size(), 3);
  EXPECT_TRUE(is(made.ops[0], Kind::upsert, TableId::backends));
  EXPECT_EQ(made.ops[1].kind, Kind::store);
  EXPECT_TRUE(is(made.ops[2], Kind::upsert, TableId::services));
}

TEST(Plan, TheOrderOfTheFieldsLeaderIsRefuted) {
  // Orphan backends, then backends, positions and reverse_nat, then the master: cilium's order.
  const auto made = slice_update({endpoint("10.0.0.1"), endpoint("10.0.0.2"), endpoint("10.0.0.3")},
                                 {endpoint("10.0.0.2"), endpoint("10.0.0.3")});
  const auto theirs =
      with_first(made.ops, [](const auto& op) { return is(op, Kind::erase, TableId::backends); });
  EXPECT_NE(verdict(made, theirs).find("L1"), std::string::npos);
}

TEST(Plan, APositionClearedBeforeTheFrontendShrinksIsRefuted) {
  const auto made =
      slice_update({endpoint("10.0.0.1"), endpoint("10.0.0.2")}, {endpoint("10.0.0.1")});
  ASSERT_EQ(verdict(made, made.ops), "");
  const auto wrong =
      with_last(made.ops, [](const auto& op) { return is(op, Kind::upsert, TableId::services); });
  EXPECT_NE(verdict(made, wrong).find("L1"), std::string::npos);
}

TEST(Plan, AFrontendThatGrowsBeforeItsPositionsAreWrittenIsRefuted) {
  const auto made =
      slice_update({endpoint("10.0.0.1")}, {endpoint("10.0.0.1"), endpoint("10.0.0.2")});
  const auto wrong =
      with_first(made.ops, [](const auto& op) { return is(op, Kind::upsert, TableId::services); });
  EXPECT_NE(verdict(made, wrong).find("L1"), std::string::npos);
}

TEST(Plan, ABackendRetiresAfterThePositionsLetItGo) {
  const auto made = slice_update({endpoint("10.0.0.1"), endpoint("10.0.0.2")},
                                 {endpoint("10.0.0.1", Health::terminating), endpoint("10.0.0.2")});
  EXPECT_TRUE(is(made.ops.back(), Kind::upsert, TableId::backends));
  EXPECT_EQ(verdict(made, made.ops), "");
  const auto wrong =
      with_first(made.ops, [](const auto& op) { return is(op, Kind::upsert, TableId::backends); });
  EXPECT_NE(verdict(made, wrong).find("L2"), std::string::npos);
}

TEST(Plan, TheLastReadyBackendHandsOverToTerminatingOnesWithoutAGap) {
  const auto made = slice_update(
      {endpoint("10.0.0.1"), endpoint("10.0.0.2", Health::terminating),
       endpoint("10.0.0.3", Health::terminating)},
      {endpoint("10.0.0.2", Health::terminating), endpoint("10.0.0.3", Health::terminating)});
  EXPECT_EQ(verdict(made, made.ops), "");
  EXPECT_EQ(made.after.services.begin()->second.flags, DP_SERVICE_TERMINATING);
  const auto back = slice_update(
      {endpoint("10.0.0.2", Health::terminating), endpoint("10.0.0.3", Health::terminating)},
      {endpoint("10.0.0.1"), endpoint("10.0.0.2", Health::terminating)});
  EXPECT_EQ(verdict(back, back.ops), "");
  EXPECT_EQ(back.after.services.begin()->second.flags, 0);
}

TEST(Plan, AGrownRegionIsWrittenWholeBeforeTheFrontendMoves) {
  std::vector<kube::EndpointSlice::Endpoint> four, five;
  for (int i = 1; i <= 5; ++i) {
    five.push_back(endpoint("10.0.0." + std::to_string(i)));
    if (i < 5) four.push_back(five.back());
  }
  const auto made = slice_update(four, five);
  EXPECT_NE(made.before.services.begin()->second.base, made.after.services.begin()->second.base);
  EXPECT_EQ(verdict(made, made.ops), "");
}

TEST(Plan, AReplyKeepsItsReverseEntryWhileTheFrontendLives) {
  const auto made =
      update(one_service({endpoint("10.0.0.1")}), {deleted(service("web", {"10.96.0.1"}))});
  EXPECT_EQ(verdict(made, made.ops), "");
  const auto wrong = with_first(
      made.ops, [](const auto& op) { return is(op, Kind::erase, TableId::reverse_nat); });
  EXPECT_NE(verdict(made, wrong).find("L4"), std::string::npos);
}

struct Pair {
  kube::Cluster cluster;
  std::vector<NodeContext> nodes;
  std::vector<Flow> flows;
};

// web may talk to api by one of two policies.
kube::NetworkPolicy from_web(const std::string& name) {
  auto made = policy(name, {{"app", "api"}});
  made.isolates_ingress = true;
  made.ingress.emplace_back();
  made.ingress[0].peers.push_back(pods({{"app", "web"}}));
  return made;
}

Pair web_and_api() {
  Pair made;
  put(made.cluster, node("node-1", {"172.18.0.1"}));
  put(made.cluster, pod("web", "node-1", {"10.0.0.1"}, {{"app", "web"}}));
  put(made.cluster, pod("api", "node-1", {"10.0.0.2"}, {{"app", "api"}}));
  put(made.cluster, from_web("old"));
  made.nodes = contexts(made.cluster, {"node-1"});
  made.flows = {
      {.source = ip("10.0.0.1"), .destination = ip("10.0.0.2"), .protocol = 6, .port = 80},
      {.source = ip("8.8.8.8"), .destination = ip("10.0.0.2"), .protocol = 6, .port = 80}};
  return made;
}

TEST(Plan, APolicyReplacedByItsEqualNeverInterruptsAndTheReverseOrderIsRefuted) {
  auto world = web_and_api();
  auto other = from_web("old");
  other.ingress[0].ports.push_back(port(80));
  const auto made = update(world.cluster, {upserted(other)}, world.nodes);
  EXPECT_EQ(verdict(made, made.ops, world.flows), "");
  const auto wrong =
      with_first(made.ops, [](const auto& op) { return is(op, Kind::erase, TableId::policy); });
  EXPECT_NE(verdict(made, wrong, world.flows).find("P5"), std::string::npos);
}

TEST(Plan, AnIdentitySwitchedBeforeItsEntriesAreThereIsRefuted) {
  auto world = web_and_api();
  const auto relabelled = pod("web", "node-1", {"10.0.0.1"}, {{"app", "web"}, {"version", "2"}});
  const auto made = update(world.cluster, {upserted(relabelled)}, world.nodes);
  EXPECT_EQ(verdict(made, made.ops, world.flows), "");
  const auto early =
      with_first(made.ops, [](const auto& op) { return is(op, Kind::upsert, TableId::ipcache); });
  EXPECT_NE(verdict(made, early, world.flows).find("P5"), std::string::npos);
  const auto late =
      with_last(made.ops, [](const auto& op) { return is(op, Kind::upsert, TableId::ipcache); });
  EXPECT_NE(verdict(made, late, world.flows), "");
}

TEST(Plan, ANewBlockThatCutsThroughPodsNeverInterrupts) {
  auto world = web_and_api();
  auto blocks = policy("blocks", {{"app", "api"}});
  blocks.isolates_ingress = true;
  blocks.ingress.emplace_back();
  blocks.ingress[0].peers.push_back(block("10.0.0.0/24", {"10.0.0.1/32"}));
  const auto made = update(world.cluster, {upserted(blocks)}, world.nodes);
  EXPECT_EQ(verdict(made, made.ops, world.flows), "");
  EXPECT_EQ(std::ranges::count(made.ops, Kind::generation, &TableOp::kind), 1);
}

TEST(Plan, AVerdictChangedWithoutAGenerationIsRefuted) {
  auto world = web_and_api();
  const auto made = update(world.cluster, {deleted(from_web("old"))}, world.nodes);
  ASSERT_EQ(verdict(made, made.ops, world.flows), "");
  auto wrong = made.ops;
  wrong.pop_back();
  EXPECT_NE(verdict(made, wrong, world.flows), "");
  wrong.insert(wrong.begin(), made.ops.back());
  EXPECT_NE(verdict(made, wrong, world.flows), "");
}

TEST(Plan, OfTwoWholeTablesEmitsOnlyTheDifference) {
  kube::Cluster cluster = one_service({endpoint("10.0.0.1")});
  Ids ids{Config{}};
  const auto before = compile(cluster, {}, {}, ids).value();
  EXPECT_TRUE(plan(before, before).empty());
  put(cluster, slice("web", Family::v4, {endpoint("10.0.0.1"), endpoint("10.0.0.2")}));
  const auto after = compile(cluster, {}, {}, ids).value();
  const auto ops = plan(before, after);
  EXPECT_EQ(ops.size(), 3);
  EXPECT_EQ(broken_prefix(before, ops, after, {}), "");
}

TEST(Plan, ANodesOnlyChangeKeepsTheGeneration) {
  kube::Cluster cluster;
  put(cluster, node("node-1", {"172.18.0.1"}));
  Ids ids{Config{}};
  const auto before = compile(cluster, {}, {}, ids).value();
  auto after = before;
  after.nodes.begin()->second.address6 = to_abi(ip("fd18::1"));
  const auto ops = plan(before, after);
  ASSERT_EQ(ops.size(), 1);
  EXPECT_TRUE(is(ops[0], Kind::upsert, TableId::nodes));
}

// The region stays, its old frontend goes: until then the old one still reads it.
Update moved_to_port_81(std::vector<kube::EndpointSlice::Endpoint> before,
                        std::vector<kube::EndpointSlice::Endpoint> after) {
  auto moved = service("web", {"10.96.0.1"});
  moved.ports.front().port = 81;
  return update(one_service(std::move(before)),
                {upserted(moved), upserted(slice("web", Family::v4, std::move(after)))});
}

TEST(Plan, AFrontendThatGoesStillReadsItsWholeRegion) {
  const auto made =
      moved_to_port_81({endpoint("10.0.0.1"), endpoint("10.0.0.2")}, {endpoint("10.0.0.2")});
  EXPECT_EQ(verdict(made, made.ops), "");
}

TEST(Plan, AFrontendThatGoesTurnsTerminatingBeforeItsPositionsDo) {
  const auto made =
      moved_to_port_81({endpoint("10.0.0.1"), endpoint("10.0.0.2", Health::terminating)},
                       {endpoint("10.0.0.2", Health::terminating)});
  EXPECT_EQ(verdict(made, made.ops), "");
}

}  // namespace
}  // namespace waggle::agent
