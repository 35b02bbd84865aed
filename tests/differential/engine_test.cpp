// The test-run engine's own promises: the way a packet takes, time, changes, determinism.

#include <gmock/gmock.h>

#include "clusters.h"
#include "waggle/abi/drop_reasons.h"
#include "waggle/abi/identities.h"

namespace waggle::simulator {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> ways(const Result<Walk>& walk) {
  std::vector<std::string> all;
  for (const auto& hop : walk->hops) all.push_back(hop.node + "/" + kernel::hook_name(hop.hook));
  return all;
}

class Engines : public testing::TestWithParam<Family> {
 protected:
  static std::unique_ptr<TestRunEngine> create(std::uint64_t seed = 1) {
    EngineOptions options;
    options.config = kernel::default_config();
    options.config.event_interval_s = 0;
    options.entries_max = {{agent::TableId::conntrack, 4096}, {agent::TableId::maglev, 65536}};
    options.seed = seed;
    auto engine = TestRunEngine::create(small_cluster(), options);
    if (!engine) ADD_FAILURE() << text_of(engine.error());
    return std::move(engine).value_or(nullptr);
  }
  void SetUp() override {
    engine_ = create();
    ASSERT_NE(engine_, nullptr);
  }
  Address at(const std::string& name) { return address_of(engine_->cluster(), name, GetParam()); }
  Address service(const std::string& name) {
    return service_of(engine_->cluster(), name, GetParam());
  }
  PacketFields from(const std::string& name, const Address& to, std::uint16_t port = 8080) {
    return packet(engine_->cluster(), name, to, port);
  }
  std::unique_ptr<TestRunEngine> engine_;
};

TEST_P(Engines, LocalPodIsReachedThroughTwoPrograms) {
  const auto walk = engine_->send(pod("client"), from("client", at("web-0")));
  EXPECT_EQ(line_of(walk), "delivered default/web-0");
  EXPECT_THAT(ways(walk), ElementsAre("node-a/from_container", "node-a/to_container"));
  for (const auto& hop : walk->hops) {
    ASSERT_TRUE(hop.event.has_value());
    EXPECT_TRUE(agent::same_bytes(hop.event->verdict, hop.verdict));
  }
  EXPECT_EQ(parse(walk->packet)->ttl, 63);
  EXPECT_TRUE(parse(walk->packet)->checksums_ok);
}

TEST_P(Engines, RemotePodIsReachedOverTheWire) {
  const auto walk = engine_->send(pod("client"), from("client", at("web-1")));
  EXPECT_EQ(line_of(walk), "delivered default/web-1");
  EXPECT_THAT(ways(walk), ElementsAre("node-a/from_container", "node-a/to_netdev",
                                      "node-b/from_netdev", "node-b/to_container"));
  EXPECT_EQ(parse(walk->packet)->ttl, 62);
  const auto back = engine_->send(pod("web-1"), answer_to(*walk));
  EXPECT_EQ(line_of(back), "delivered default/client");
  EXPECT_EQ(back->hops.back().verdict.ct_state, DP_CT_REPLY);
}

TEST_P(Engines, ServiceIsTranslatedAndItsAnswerBack) {
  const auto walk = engine_->send(pod("client"), from("client", service("web"), 80));
  ASSERT_EQ(walk->fate, Walk::Fate::delivered) << line_of(walk);
  const auto arrived = parse(walk->packet).value();
  EXPECT_EQ(arrived.destination_port, 8080);
  const auto backend = walk->where.substr(std::string("default/").size());
  EXPECT_EQ(arrived.destination, at(backend));
  const auto back = engine_->send(pod(backend), answer_to(*walk));
  EXPECT_EQ(line_of(back), "delivered default/client");
  EXPECT_EQ(parse(back->packet)->source, service("web"));
  EXPECT_EQ(parse(back->packet)->source_port, 80);
}

TEST_P(Engines, PolicyIsAskedWhereThePodIs) {
  const auto denied = engine_->send(pod("client"), from("client", at("vault")));
  EXPECT_EQ(line_of(denied), "dropped node-b/to_container POLICY_DENIED");
  EXPECT_EQ(line_of(engine_->send(pod("web-0"), from("web-0", at("vault")))),
            "delivered default/vault");
  EXPECT_EQ(line_of(engine_->send(pod("web-0"), from("web-0", at("vault"), 8081))),
            "dropped node-b/to_container POLICY_DENIED");
}

TEST_P(Engines, ServiceWithoutBackendAnswersTheSender) {
  const auto walk = engine_->send(pod("client"), from("client", service("empty"), 80));
  EXPECT_EQ(line_of(walk), "answered default/client");
  const auto answer = parse(walk->packet).value();
  EXPECT_EQ(answer.icmp_type, GetParam() == Family::v4 ? 3 : 1);
  ASSERT_NE(answer.inner, nullptr);
  EXPECT_EQ(answer.inner->destination, service("empty"));
}

TEST_P(Engines, SpoofedSourceDoesNotLeaveThePod) {
  auto fields = from("client", at("web-0"));
  fields.source = at("vault");
  EXPECT_EQ(line_of(engine_->send(pod("client"), fields)),
            "dropped node-a/from_container INVALID_SOURCE");
}

TEST_P(Engines, HostStackTakesWhatIsTheNodesOwn) {
  const auto own = node_address(engine_->cluster(), "node-a", GetParam());
  EXPECT_EQ(line_of(engine_->send(pod("client"), from("client", own, 22))), "stack node-a");
  const auto other = node_address(engine_->cluster(), "node-b", GetParam());
  const auto walk = engine_->send(pod("client"), from("client", other, 22));
  EXPECT_EQ(line_of(walk), "stack node-b");
  EXPECT_THAT(ways(walk),
              ElementsAre("node-a/from_container", "node-a/to_netdev", "node-b/from_netdev"));
}

TEST_P(Engines, WorldIsBehindTheUplink) {
  const auto outside =
      Address::parse(GetParam() == Family::v4 ? "203.0.113.9" : "2001:db8::9").value();
  const auto out = engine_->send(pod("client"), from("client", outside, 443));
  EXPECT_EQ(line_of(out), "world node-a");
  EXPECT_TRUE(parse(out->packet)->checksums_ok);
  EXPECT_EQ(parse(out->packet)->ttl, 63);
  const auto back = engine_->send(world(), answer_to(*out));
  EXPECT_EQ(line_of(back), "delivered default/client");
  EXPECT_EQ(back->hops.back().verdict.ct_state, DP_CT_REPLY);
  auto stranger = from("client", at("vault"));
  stranger.source = outside;
  EXPECT_EQ(line_of(engine_->send(world(), stranger)), "dropped node-b/to_container POLICY_DENIED");
}

TEST_P(Engines, NodeReachesItsPodsWhateverPolicySays) {
  auto fields = from("client", at("vault"));
  fields.source = node_address(engine_->cluster(), "node-b", GetParam());
  const auto walk = engine_->send(node("node-b"), fields);
  EXPECT_EQ(line_of(walk), "delivered default/vault");
  EXPECT_EQ(walk->hops.back().verdict.source_identity, unsigned{DP_IDENTITY_HOST});
}

TEST_P(Engines, TimeStandsStillUntilItIsMoved) {
  const auto first = engine_->send(pod("client"), from("client", at("web-0")));
  EXPECT_EQ(first->hops.front().event->time_ns, 1000000000U);
  ASSERT_TRUE(engine_->advance(seconds(60)).has_value());
  EXPECT_EQ(engine_->now(), seconds(61));
  const auto late = engine_->send(pod("web-0"), answer_to(*first));
  EXPECT_EQ(late->hops.front().verdict.ct_state, DP_CT_NEW) << "the half-open flow had expired";
  EXPECT_EQ(*engine_->collect_garbage(), 2U) << "one entry for each end of the first flow";
  EXPECT_EQ(*engine_->collect_garbage(), 0U);
  ASSERT_TRUE(engine_->advance(seconds(60)).has_value());
  EXPECT_EQ(*engine_->collect_garbage(), 2U);
}

TEST_P(Engines, EqualCallsGiveEqualWalks) {
  const auto run = [&](std::uint64_t seed) {
    const auto engine = create(seed);
    std::string all;
    for (std::uint16_t port = 1000; port < 1040; ++port) {
      auto fields = from("client", service("web"), 80);
      fields.source_port = port;
      const auto walk = engine->send(pod("client"), fields);
      all += line_of(walk) + std::string(walk->packet.begin(), walk->packet.end());
    }
    return all;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8)) << "the seed decides nothing";
}

constexpr const char* deny_all = R"(
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all}
spec: {podSelector: {}, policyTypes: [Ingress]}
)";

TEST_P(Engines, PolicyChangeBitesOnTheNextPacket) {
  const auto open = from("client", at("web-0"));
  EXPECT_EQ(line_of(engine_->send(pod("client"), open)), "delivered default/web-0");
  const std::vector changes = {change_of(deny_all)};
  const auto applied = engine_->apply(changes);
  ASSERT_TRUE(applied.has_value()) << text_of(applied.error());
  EXPECT_GT(*applied, 0U);
  EXPECT_EQ(line_of(engine_->send(pod("client"), open)),
            "dropped node-a/to_container POLICY_DENIED");
  ASSERT_TRUE(engine_->apply(std::vector{change_of(deny_all, kube::Change::Kind::deleted)}));
  EXPECT_EQ(line_of(engine_->send(pod("client"), open)), "delivered default/web-0");
}

TEST_P(Engines, PodsComeMoveAndGo) {
  auto moved = engine_->cluster().pods.at({"default", "web-0"});
  moved.node_name = "node-b";
  ASSERT_TRUE(engine_->apply(std::vector<kube::Change>{{kube::Change::Kind::upserted, moved}}));
  const auto there = engine_->send(pod("client"), from("client", at("web-0")));
  EXPECT_EQ(line_of(there), "delivered default/web-0");
  EXPECT_EQ(there->hops.back().node, "node-b");
  const auto fields = from("client", at("web-0"));
  ASSERT_TRUE(engine_->apply(std::vector<kube::Change>{{kube::Change::Kind::deleted, moved}}));
  EXPECT_EQ(engine_->send(pod("web-0"), fields).error().kind, Error::Kind::not_found);
  EXPECT_NE(engine_->send(pod("client"), fields)->fate, Walk::Fate::delivered);
  ASSERT_TRUE(engine_->apply(std::vector<kube::Change>{{kube::Change::Kind::upserted, moved}}));
  EXPECT_EQ(line_of(engine_->send(pod("client"), fields)), "delivered default/web-0");
}

TEST_P(Engines, NodesMayComeLater) {
  auto added = engine_->cluster().nodes.at({"", "node-b"});
  added.meta.name = "node-c";
  added.addresses = {Address::v4(0x0a630001), Address::parse("fd63::1").value()};
  auto late = engine_->cluster().pods.at({"default", "web-0"});
  late.meta.name = "late";
  late.node_name = "node-c";
  late.addresses = {Address::v4(0x0a640001), Address::parse("fd64::1").value()};
  const auto done = engine_->apply(std::vector<kube::Change>{{{}, added}, {{}, late}});
  ASSERT_TRUE(done.has_value()) << text_of(done.error());
  const auto walk = engine_->send(pod("client"), from("client", at("late")));
  EXPECT_EQ(line_of(walk), "delivered default/late");
  EXPECT_EQ(walk->hops.back().node, "node-c");
}

TEST_P(Engines, UnknownSendersAreErrors) {
  const auto fields = from("client", at("web-0"));
  EXPECT_EQ(engine_->send(pod("nobody"), fields).error().kind, Error::Kind::not_found);
  EXPECT_EQ(engine_->send(node("nowhere"), fields).error().kind, Error::Kind::not_found);
  auto to_nobody = fields;
  to_nobody.destination = to_nobody.source.plus(77777);
  EXPECT_EQ(engine_->send(world(), to_nobody).error().kind, Error::Kind::not_found);
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, Engines, testing::Values(Family::v4, Family::v6),
                         [](const auto& family) {
                           return family.param == Family::v4 ? "IPv4" : "IPv6";
                         });

}  // namespace
}  // namespace waggle::simulator
