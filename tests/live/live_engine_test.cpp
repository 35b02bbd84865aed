// Frames through a muted lab: the walk says where each went, and the stacks say nothing.

#include <algorithm>

#include "lab_fixture.h"
#include "waggle/abi/drop_reasons.h"
#include "waggle/simulator/live_engine.h"

namespace waggle::simulator {
namespace {

constexpr Family families[] = {Family::v4, Family::v6};

/// One engine for the suite.
class LiveWalk : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    EngineOptions options;
    options.config = kernel::default_config();
    auto engine = LiveEngine::create(lab_name("engine"), lab_cluster(), options);
    ASSERT_TRUE(engine.has_value()) << text_of(engine.error());
    engine_ = *std::move(engine);
  }
  static void TearDownTestSuite() { engine_.reset(); }

  static Address address_of(const std::string& pod, Family family) {
    const auto& addresses = engine_->lab().layout().pods.at({"shop", pod}).addresses;
    return *std::ranges::find(addresses, family, &Address::family);
  }
  static Address service(const std::string& name, Family family) {
    const auto& addresses = engine_->lab().layout().services.at({"shop", name});
    return *std::ranges::find(addresses, family, &Address::family);
  }
  static PacketFields syn_to(const std::string& from, const Address& to, std::uint16_t port,
                             std::uint16_t source_port) {
    PacketFields fields;
    fields.source = address_of(from, to.family());
    fields.destination = to;
    fields.source_port = source_port;
    fields.destination_port = port;
    return fields;
  }
  static Walk send(const Origin& from, const PacketFields& fields) {
    auto walk = engine_->send(from, fields);
    EXPECT_TRUE(walk.has_value()) << text_of(walk.error());
    return walk.value_or(Walk{});
  }
  static std::vector<std::string> way(const Walk& walk) {
    std::vector<std::string> hops;
    for (const auto& hop : walk.hops) hops.push_back(hop.node + "/" + kernel::hook_name(hop.hook));
    return hops;
  }
  static PacketFields fields_of(const Packet& packet) {
    auto fields = parse(packet);
    EXPECT_TRUE(fields.has_value()) << text_of(fields.error());
    return fields.value_or(PacketFields{});
  }

  static std::unique_ptr<LiveEngine> engine_;
};
std::unique_ptr<LiveEngine> LiveWalk::engine_;

using Way = std::vector<std::string>;

TEST_F(LiveWalk, GoesThroughTwoProgramsOnOneNode) {
  for (const auto family : families) {
    const auto walk = send(pod("web"), syn_to("web", address_of("api-0", family), 8080, 40001));
    EXPECT_EQ(to_string(walk.fate), std::string("delivered")) << walk.where;
    EXPECT_EQ(walk.where, "shop/api-0");
    EXPECT_EQ(way(walk), (Way{"node-a/from_container", "node-a/to_container"}));
    EXPECT_EQ(fields_of(walk.packet).ttl, 63);
    EXPECT_TRUE(fields_of(walk.packet).checksums_ok);
  }
}

TEST_F(LiveWalk, GoesThroughFourProgramsOnTwoNodes) {
  for (const auto family : families) {
    const auto walk = send(pod("web"), syn_to("web", address_of("api-1", family), 8080, 40002));
    EXPECT_EQ(walk.where, "shop/api-1");
    EXPECT_EQ(way(walk), (Way{"node-a/from_container", "node-a/to_netdev", "node-b/from_netdev",
                              "node-b/to_container"}));
    EXPECT_EQ(fields_of(walk.packet).ttl, 62);
    ASSERT_EQ(walk.hops.size(), 4U);
    EXPECT_EQ(walk.hops[1].out, walk.hops[2].in);
    EXPECT_FALSE(walk.hops[1].out.empty());
  }
}

TEST_F(LiveWalk, EndsWherePolicyDenies) {
  for (const auto family : families) {
    const auto walk = send(pod("web"), syn_to("web", address_of("vault", family), 443, 40003));
    EXPECT_EQ(walk.where, "node-b/to_container");
    EXPECT_EQ(walk.drop_reason(), DP_DROP_POLICY_DENIED);
  }
}

TEST_F(LiveWalk, ComesBackWithAnErrorFromAServiceWithoutBackends) {
  for (const auto family : families) {
    const auto walk = send(pod("web"), syn_to("web", service("nobody", family), 80, 40004));
    EXPECT_EQ(to_string(walk.fate), std::string("answered")) << walk.where;
    const auto fields = fields_of(walk.packet);
    EXPECT_TRUE(fields.checksums_ok) << to_line(fields);
    EXPECT_EQ(fields.source, service("nobody", family));
    EXPECT_EQ(fields.destination, address_of("web", family));
    EXPECT_EQ(fields.protocol, family == Family::v4 ? protocol_icmp : protocol_icmp6);
  }
}

TEST_F(LiveWalk, ReachesABackendWithTheServiceAddressRewritten) {
  for (const auto family : families) {
    const auto walk = send(pod("web"), syn_to("web", service("api", family), 80, 40005));
    EXPECT_EQ(to_string(walk.fate), std::string("delivered")) << walk.where;
    const auto fields = fields_of(walk.packet);
    EXPECT_TRUE(fields.checksums_ok);
    EXPECT_EQ(fields.destination_port, 8080);
    EXPECT_NE(walk.hops.at(0).verdict.flags & DP_FLAG_TRANSLATED, 0);
  }
}

TEST_F(LiveWalk, IsRefusedForAForeignSource) {
  auto fields = syn_to("web", address_of("api-0", Family::v4), 8080, 40006);
  fields.source = address("10.9.9.9");
  const auto walk = send(pod("web"), fields);
  EXPECT_EQ(walk.drop_reason(), DP_DROP_INVALID_SOURCE);
}

TEST_F(LiveWalk, EndsAtTheStackThatOwnsTheAddress) {
  for (const auto& name : {"node-a", "node-b"}) {
    const auto to = engine_->lab().layout().nodes.at(name).addresses.at(0);
    const auto walk = send(pod("web"), syn_to("web", to, 22, 40007));
    EXPECT_EQ(to_string(walk.fate), std::string("stack")) << walk.where;
    EXPECT_EQ(walk.where, name);
  }
}

TEST_F(LiveWalk, LeavesTheClusterTowardsTheWorldAndComesInFromThere) {
  const auto out = send(pod("web"), syn_to("web", address("203.0.113.7"), 443, 40008));
  EXPECT_EQ(to_string(out.fate), std::string("world")) << out.where;
  EXPECT_EQ(out.where, "node-a");
  auto fields = syn_to("web", address_of("api-1", Family::v4), 8080, 40009);
  fields.source = address("203.0.113.7");
  const auto in = send({.kind = Origin::Kind::world, .pod = {}, .node = {}}, fields);
  EXPECT_EQ(in.where, "shop/api-1");
  EXPECT_EQ(way(in), (Way{"node-b/from_netdev", "node-b/to_container"}));
}

TEST_F(LiveWalk, StartsAtANodeAsWell) {
  auto fields = syn_to("web", address_of("vault", Family::v4), 443, 40010);
  fields.source = engine_->lab().layout().nodes.at("node-b").addresses.at(0);
  const auto own = send(node("node-b"), fields);
  EXPECT_EQ(own.where, "shop/vault");
  EXPECT_EQ(way(own), (Way{"node-b/to_container"}));
}

TEST_F(LiveWalk, FollowsAPodThatGoesAndComesBack) {
  const auto before = engine_->cluster().pods.at({"shop", "guest"});
  const auto to = address_of("guest", Family::v4);
  const std::vector gone{kube::Change{.kind = kube::Change::Kind::deleted, .object = before}};
  ASSERT_TRUE(engine_->apply(gone).has_value());
  const auto lost = send(pod("web"), syn_to("web", to, 81, 40011));
  EXPECT_NE(to_string(lost.fate), std::string("delivered"));
  const std::vector back{kube::Change{.kind = kube::Change::Kind::upserted, .object = before}};
  ASSERT_TRUE(engine_->apply(back).has_value());
  const auto walk = send(pod("web"), syn_to("web", to, 81, 40012));
  EXPECT_EQ(walk.where, "shop/guest");
}

TEST_F(LiveWalk, CannotMoveTheClock) {
  const auto moved = engine_->advance(std::chrono::seconds(1));
  ASSERT_FALSE(moved.has_value());
  EXPECT_EQ(moved.error().kind, Error::Kind::unsupported);
}

}  // namespace
}  // namespace waggle::simulator
