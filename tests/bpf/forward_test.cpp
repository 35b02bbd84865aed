// Where packets go, what they count for, and what is told about them.

#include "fixture.h"

namespace waggle::bpf {
namespace {

using agent::TableId;
using agent::to_abi;
using simulator::ack;
using simulator::fin;

class Forwarding : public BothFamilies {};
WAGGLE_BOTH_FAMILIES(Forwarding);

TEST_P(Forwarding, ToAPodHereWithItsMacsAndOneHopLess) {
  auto packet = tcp(of(web), 40000, of(api), 80);
  packet.ttl = 2;
  const auto outcome = from(web, packet);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_LOCAL, routed(packet, api)));
  EXPECT_EQ(outcome.verdict.target, api.ifindex);
}

TEST_P(Forwarding, ToAPodElsewhereThroughItsNode) {
  const auto packet = tcp(of(web), 40000, of(far), 80);
  const auto outcome = from(web, packet);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_NODE, aged(packet)));
  EXPECT_EQ(outcome.verdict.target, 2u);
}

TEST_P(Forwarding, FromTheWireToAPodHere) {
  const auto packet = tcp(of(far), 40000, of(web), 80);
  const auto outcome = arrive(packet);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_LOCAL, routed(packet, web)));
  EXPECT_EQ(outcome.verdict.target, web.ifindex);
  EXPECT_EQ(outcome.verdict.source_identity, far.identity);
  EXPECT_EQ(outcome.verdict.destination_identity, web.identity);
}

TEST_P(Forwarding, TheLastHopIsNotRouted) {
  for (const std::uint8_t ttl : {std::uint8_t{0}, std::uint8_t{1}}) {
    auto packet = tcp(of(web), 40000, of(api), 80);
    packet.ttl = ttl;
    EXPECT_TRUE(drops(from(web, packet), DP_DROP_TTL_EXCEEDED));
    packet = tcp(of(web), 40000, of(far), 80);
    packet.ttl = ttl;
    EXPECT_TRUE(drops(from(web, packet), DP_DROP_TTL_EXCEEDED));
    packet = tcp(of(far), 40000, of(web), 80);
    packet.ttl = ttl;
    EXPECT_TRUE(drops(arrive(packet), DP_DROP_TTL_EXCEEDED));
  }
}

TEST_P(Forwarding, EveryChecksumSurvivesEveryTtl) {
  for (unsigned ttl = 2; ttl <= 255; ++ttl) {
    auto packet = udp(of(far), 4000, of(web), 53);
    packet.ttl = static_cast<std::uint8_t>(ttl);
    packet.ip_id = static_cast<std::uint16_t>(ttl * 257);
    ASSERT_TRUE(gives(arrive(packet), DP_VERDICT_LOCAL, routed(packet, web))) << ttl;
  }
}

TEST_P(Forwarding, APodOfThisNodeThatIsNotThereIsNotRoutedBackOut) {
  const auto gone = pick("10.0.1.99", "fd00:1::99");
  put(TableId::ipcache, dp_ipcache_key{0, to_abi(gone)}, dp_ipcache{1009, 1});
  EXPECT_TRUE(drops(from(web, tcp(of(web), 1, gone, 80)), DP_DROP_UNKNOWN_ENDPOINT));
  EXPECT_TRUE(drops(arrive(tcp(of(far), 1, gone, 80)), DP_DROP_UNKNOWN_ENDPOINT));
  EXPECT_TRUE(drops(to(web, tcp(of(far), 1, gone, 80)), DP_DROP_UNKNOWN_ENDPOINT));
  EXPECT_TRUE(drops(to(api, tcp(of(far), 1, of(web), 80)), DP_DROP_UNKNOWN_ENDPOINT))
      << "another pod's device";
}

TEST_P(Forwarding, ANodeWithoutAnAddressOfTheFamilyIsUnknown) {
  auto node = dp_node{to_abi(Address::parse("192.168.0.2").value()),
                      to_abi(Address::parse("fd00:192::2").value())};
  (family == Family::v4 ? node.address4 : node.address6) = {};
  put(TableId::nodes, dp_node_key{2}, node);
  EXPECT_TRUE(drops(from(web, tcp(of(web), 1, of(far), 80)), DP_DROP_UNKNOWN_NODE));
  erase(TableId::nodes, dp_node_key{2});
  EXPECT_TRUE(drops(from(web, tcp(of(web), 2, of(far), 80)), DP_DROP_UNKNOWN_NODE));
}

TEST_P(Forwarding, TheUplinkRecordsWhoLeaves) {
  const auto packet = tcp(of(web), 40000, of(far), 80);
  const auto outcome = leave(packet);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_WIRE, packet));
  EXPECT_EQ(outcome.verdict.source_identity, web.identity);
  EXPECT_EQ(outcome.verdict.destination_identity, far.identity);
}

class Metrics : public BothFamilies {};
WAGGLE_BOTH_FAMILIES(Metrics);

TEST_P(Metrics, CountPacketsAndBytesByHookKindAndReason) {
  const auto packet = tcp(of(web), 40000, of(far), 80);
  (void)from(web, packet);
  (void)from(web, packet);
  (void)from(api, packet);
  const auto counted = datapath->metrics().value();
  const auto sent = counted.at(dp_metric_index(DP_HOOK_from_container, DP_VERDICT_NODE, 0));
  EXPECT_EQ(sent.packets, 2u);
  EXPECT_EQ(sent.bytes, 2 * build(packet).size());
  EXPECT_EQ(
      counted.at(dp_metric_index(DP_HOOK_from_container, DP_VERDICT_DROP, DP_DROP_INVALID_SOURCE))
          .packets,
      1u);
  EXPECT_EQ(counted.size(), 2u);
}

class Events : public BothFamilies {};
WAGGLE_BOTH_FAMILIES(Events);

TEST_P(Events, AnOpenFlowIsToldOnceInAnInterval) {
  const auto packet = [&](std::uint8_t flags) { return tcp(of(web), 40000, of(far), 80, flags); };
  (void)from(web, packet(simulator::syn));
  (void)from(web, packet(ack));
  ASSERT_EQ(events().size(), 1u) << "the first packet only";
  advance(5s - 1ns);
  (void)from(web, packet(ack));
  EXPECT_TRUE(events().empty());
  advance(1ns);
  (void)from(web, packet(ack));
  (void)from(web, packet(ack));
  EXPECT_EQ(events().size(), 1u);
  (void)from(web, packet(fin | ack));
  EXPECT_EQ(events().size(), 1u) << "a FIN is always told";
}

TEST_P(Events, EveryDropIsTold) {
  deny_all();
  for (int i = 0; i < 3; ++i) (void)from(web, tcp(of(web), 1, of(far), 80));
  const auto told = events();
  ASSERT_EQ(told.size(), 3u);
  for (const auto& event : told) {
    EXPECT_EQ(event.verdict.reason, std::uint32_t{DP_DROP_POLICY_DENIED});
    EXPECT_EQ(event.ifindex, web.ifindex);
    EXPECT_EQ(event.hook, DP_HOOK_from_container);
    EXPECT_EQ(event.zone, 3);
    EXPECT_EQ(event.time_ns, datapath->env().now_ns);
    EXPECT_TRUE(agent::same_bytes(event.before.source, to_abi(of(web))));
    EXPECT_TRUE(agent::same_bytes(event.before, event.after));
    EXPECT_EQ(event.policy_peer, std::uint32_t{DP_IDENTITY_ANY});
    EXPECT_EQ(event.position, ~0u);
  }
}

TEST_P(Events, AnIntervalOfZeroTellsEveryPacketOnEveryHook) {
  options.config.event_interval_s = 0;
  reload();
  const auto packet = tcp(of(web), 40000, of(far), 80, ack);
  (void)from(web, packet);
  (void)from(web, packet);
  (void)leave(packet);
  EXPECT_EQ(events().size(), 3u);
}

TEST_P(Events, SwitchedOffNothingIsTold) {
  options.config.events = 0;
  reload();
  EXPECT_TRUE(is(from(web, tcp(of(web), 40000, of(far), 80)), DP_VERDICT_NODE));
  EXPECT_TRUE(events().empty());
}

TEST_P(Events, TheUplinkIsNotToldPacketByPacket) {
  (void)leave(tcp(of(web), 40000, of(far), 80));
  (void)arrive(tcp(of(far), 40000, of(web), 80));
  EXPECT_TRUE(events().empty());
}

}  // namespace
}  // namespace waggle::bpf
