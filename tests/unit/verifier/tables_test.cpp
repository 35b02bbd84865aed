// L1, L2, L4, L6, L7: hold for what the agent compiles, and each can be broken. Z3 and the
// evaluator find the same.

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "world.h"

namespace waggle::verifier {
namespace {

std::set<std::string> violated(const Snapshot& snapshot) {
  std::set<std::string> found;
  for (const Answer& answer : judge(table_obligations(snapshot))) {
    EXPECT_NE(answer.state, State::undecided) << answer.id << " " << answer.detail;
    if (answer.state != State::violated) continue;
    EXPECT_TRUE(answer.counterexample) << answer.id;
    found.insert(answer.property);
  }
  std::set<std::string> evaluated;
  for (const Answer& answer : check_tables(snapshot)) evaluated.insert(answer.property);
  EXPECT_EQ(found, evaluated) << "the two judges disagree";
  return found;
}

class TableInvariants : public testing::Test {
 protected:
  TableInvariants() {
    add_namespace(world_.cluster, "shop", {});
    for (const char* name : {"web-0", "web-1", "web-2"}) {
      add_pod(world_.cluster, "shop", name, {{"app", "web"}},
              {{"http", 8080, kube::Protocol::tcp}});
    }
    add_pod(world_.cluster, "shop", "api-0", {{"app", "api"}});
    add_service(world_.cluster, "shop", "web").algorithm = kube::Service::Algorithm::maglev;
    add_service(world_.cluster, "shop", "api").client_ip_affinity = true;
    add_service(world_.cluster, "shop", "empty");
    auto& policy = add_policy(world_.cluster, "shop", "web", labelled({{"app", "web"}}));
    policy.isolates_ingress = true;
    policy.ingress.resize(1);
    policy.ingress[0].peers = {pods_of(labelled({{"app", "api"}})), block("198.51.100.0/24"),
                               block("::/0")};
    world_.build();
  }
  /// The frontend of a service, IPv4.
  std::pair<const dp_service_key, dp_service>& frontend(const std::string& service) {
    const Address address = world_.cluster.services.at({"shop", service}).cluster_ips[0];
    return *std::ranges::find_if(world_.tables.services, [&](const auto& entry) {
      return agent::from_abi(entry.first.address) == address;
    });
  }
  std::vector<std::uint32_t>& region(const std::string& service) {
    return world_.tables.maglev.at(frontend(service).second.base);
  }
  [[nodiscard]] std::set<std::string> broken() const { return violated(world_.snapshot()); }

  World world_;
};

using Ids = std::set<std::string>;

TEST_F(TableInvariants, HoldForCompiledTables) { EXPECT_EQ(broken(), Ids{}); }

TEST_F(TableInvariants, HoldForCompiledTablesWithoutObjects) {
  EXPECT_EQ(violated({world_.tables, nullptr, nullptr, {}, 0}), Ids{});
}

TEST_F(TableInvariants, L1FailsWhenAPositionNamesAnAbsentBackend) {
  region("web")[7] = 4711;
  EXPECT_TRUE(broken().contains("L1"));
}

TEST_F(TableInvariants, L1FailsWhenABackendIsDeletedBeforeItsPositions) {
  world_.tables.backends.erase({region("api")[0]});
  EXPECT_TRUE(broken().contains("L1"));
}

TEST_F(TableInvariants, L1FailsWhenTheRegionIsShorterThanTheFrontendSays) {
  frontend("api").second.size += 1;
  EXPECT_TRUE(broken().contains("L1"));
}

TEST_F(TableInvariants, L1SaysWhichPacketWouldMeetIt) {
  region("web")[7] = 4711;
  for (const Answer& answer : check_tables(world_.snapshot())) {
    if (answer.property != "L1") continue;
    ASSERT_TRUE(answer.counterexample->packet);
    EXPECT_EQ(answer.counterexample->packet->destination,
              world_.cluster.services.at({"shop", "web"}).cluster_ips[0]);
    EXPECT_EQ(answer.counterexample->packet->destination_port, 80);
    EXPECT_FALSE(answer.counterexample->packet->tables_admit);
    return;
  }
  FAIL() << "no L1";
}

TEST_F(TableInvariants, L2FailsWhenAPositionNamesAnotherServicesBackend) {
  region("web")[0] = region("api")[0];
  EXPECT_EQ(broken(), Ids{"L2"});
}

TEST_F(TableInvariants, L2FailsWhenAnEndpointIsNoLongerReady) {
  for (auto& [key, slice] : world_.cluster.endpoint_slices) {
    if (slice.service_name != "web" || slice.family != Family::v4) continue;
    slice.endpoints.at(0).ready = slice.endpoints.at(0).serving = false;
  }
  EXPECT_TRUE(broken().contains("L2"));
}

TEST_F(TableInvariants, L2FailsWhenATerminatingBackendIsChosenBesideReadyOnes) {
  for (auto& [key, slice] : world_.cluster.endpoint_slices) {
    if (slice.service_name != "web") continue;
    slice.endpoints.at(0).ready = false;
    slice.endpoints.at(0).serving = slice.endpoints.at(0).terminating = true;
  }
  EXPECT_EQ(broken(), Ids{"L2"});
}

TEST_F(TableInvariants, L2HoldsForTerminatingBackendsWhenNoneIsReady) {
  for (auto& [key, slice] : world_.cluster.endpoint_slices) {
    for (auto& endpoint : slice.endpoints) {
      endpoint.ready = false;
      endpoint.serving = endpoint.terminating = true;
    }
  }
  world_.build();
  EXPECT_EQ(broken(), Ids{});
}

TEST_F(TableInvariants, L2FailsWhenAffinityMayReachABackendThatIsNotEligible) {
  dp_backend gone = world_.tables.backends.at({region("api")[0]});
  gone.port = htons(9999);
  world_.tables.backends[{900}] = gone;
  EXPECT_EQ(broken(), (Ids{"L2", "L6"}));
}

TEST_F(TableInvariants, L2FailsOnTheWrongProtocol) {
  world_.tables.backends.at({region("api")[0]}).protocol = 17;
  EXPECT_TRUE(broken().contains("L2"));
}

TEST_F(TableInvariants, L4FailsWhenReverseNatHasAnotherPort) {
  world_.tables.reverse_nat.at({frontend("web").second.frontend}).port = htons(81);
  EXPECT_EQ(broken(), Ids{"L4"});
}

TEST_F(TableInvariants, L4FailsWhenReverseNatHasAnotherAddress) {
  world_.tables.reverse_nat.at({frontend("web").second.frontend}).address =
      agent::to_abi(ip("10.96.9.9"));
  EXPECT_EQ(broken(), Ids{"L4"});
}

TEST_F(TableInvariants, L4FailsWhenReverseNatHasAnotherProtocol) {
  world_.tables.reverse_nat.at({frontend("web").second.frontend}).protocol = 17;
  EXPECT_EQ(broken(), Ids{"L4"});
}

TEST_F(TableInvariants, L4FailsWhenReverseNatHasNothing) {
  world_.tables.reverse_nat.erase({frontend("web").second.frontend});
  EXPECT_EQ(broken(), Ids{"L4"});
}

TEST_F(TableInvariants, L4FailsWhenTwoFrontendsShareANumber) {
  frontend("web").second.frontend = frontend("api").second.frontend;
  EXPECT_TRUE(broken().contains("L4"));
}

TEST_F(TableInvariants, L4FailsForAnOpenFlowWhoseFrontendIsForgotten) {
  dp_ct_key key{};
  key.direction = DP_CT_EGRESS;
  dp_ct flow{};
  flow.frontend = 77;
  flow.expires_ns = 1000;
  const std::vector<ConntrackEntry> flows = {{key, flow}};
  Snapshot snapshot = world_.snapshot();
  snapshot.conntrack = flows;
  EXPECT_EQ(violated(snapshot), Ids{"L4"});
  snapshot.now_ns = 1000;  // expired: nobody will answer
  EXPECT_EQ(violated(snapshot), Ids{});
}

TEST_F(TableInvariants, L6FailsForEachTableThatKeepsADeadEntry) {
  const auto clean = world_.tables;
  const auto leaks = [&](auto edit) {
    world_.tables = clean;
    edit(world_.tables);
    EXPECT_TRUE(broken().contains("L6"));
  };
  const dp_addr stranger = agent::to_abi(ip("10.99.0.1"));
  leaks(
      [&](auto& t) { t.services[{stranger, htons(80), 6, 0, 0}] = {900, 900, 0, 0, 0, 0, 0, 0}; });
  leaks([&](auto& t) { t.backends[{900}] = {stranger, 900, htons(80), 6, 0}; });
  leaks([&](auto& t) { t.reverse_nat[{900}] = {stranger, htons(80), 6, 0}; });
  leaks([&](auto& t) { t.maglev[100000] = {0}; });
  leaks([&](auto& t) { t.ipcache[{0, stranger}] = {300, 1}; });
  leaks([&](auto& t) {
    t.ipcache_prefix[{32 + 96 + 24, 0, agent::to_abi(ip("10.99.0.0"))}] = {300, 0};
  });
  leaks([&](auto& t) { t.policy[{72, htonl(9999), 0, 0, 0, 0}] = {0, 16, DP_POLICY_ALLOW, {}}; });
  leaks([&](auto& t) {
    auto entry = *t.policy.begin();
    dp_policy_key key = entry.first;
    key.peer = htonl(9999);
    t.policy[key] = entry.second;
  });
  leaks([&](auto& t) { t.endpoints[{stranger, 1, 0}] = {5, 300, {}, {}}; });
  leaks([&](auto& t) { t.nodes[{99}] = {stranger, {}}; });
}

TEST_F(TableInvariants, L6FailsWhenAnObjectIsDeletedAndItsEntriesStay) {
  world_.cluster.network_policies.clear();
  EXPECT_EQ(broken(), Ids{"L6"});
}

TEST_F(TableInvariants, L7FailsWhenABackendIsAFrontend) {
  const dp_service_key key = frontend("api").first;
  auto& backend = world_.tables.backends.at({region("web")[0]});
  backend.address = key.address;
  backend.port = key.port;
  EXPECT_TRUE(broken().contains("L7"));
}

TEST_F(TableInvariants, L7FailsWhenAFrontendHasAPodsAddress) {
  dp_service_key key = frontend("api").first;
  key.address = agent::to_abi(world_.address("shop", "web-0"));
  world_.tables.services[key] = frontend("api").second;
  EXPECT_TRUE(broken().contains("L7"));
}

TEST_F(TableInvariants, L7FailsWhenAFrontendHasANodesAddress) {
  dp_service_key key = frontend("api").first;
  key.address = agent::to_abi(world_.cluster.nodes.begin()->second.addresses[0]);
  world_.tables.services[key] = frontend("api").second;
  EXPECT_TRUE(broken().contains("L7"));
  EXPECT_TRUE(violated({world_.tables, nullptr, nullptr, {}, 0}).contains("L7"));
}

// The two judges agree on tables with random damage.
TEST_F(TableInvariants, AreFoundBrokenByBothJudgesAlike) {
  const auto clean = world_.tables;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Dice dice(seed);
    world_.tables = clean;
    auto& t = world_.tables;
    const auto some = [&](auto& table) {
      return std::next(table.begin(), dice.below(static_cast<std::uint32_t>(table.size())));
    };
    for (std::uint32_t n = 1 + dice.below(3); n > 0; --n) {
      switch (dice.below(6)) {
        case 0:
          some(t.services)->second.frontend = 1 + dice.below(20);
          break;
        case 1:
          t.backends.erase(some(t.backends));
          break;
        case 2:
          t.reverse_nat.erase(some(t.reverse_nat));
          break;
        case 3:
          dice.of(std::vector{&region("web"), &region("api")})->at(0) = dice.below(20);
          break;
        case 4:
          some(t.backends)->second.service = dice.below(8);
          break;
        default:
          some(t.backends)->second.state ^= 1;
          break;
      }
      if (t.reverse_nat.empty() || t.backends.empty()) break;
    }
    (void)broken();  // compares the judges
  }
}

}  // namespace
}  // namespace waggle::verifier
