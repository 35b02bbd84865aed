// Flows: which packets belong to one, when it ends, and what is forgotten.

#include "fixture.h"

namespace waggle::bpf {
namespace {

using agent::TableId;
using simulator::ack;
using simulator::fin;
using simulator::rst;
using simulator::syn;

/// web opens a connection to far; only egress is allowed, so an unknown reply is denied.
class Conntrack : public BothFamilies {
 protected:
  void SetUp() override {
    Bpf::SetUp();
    erase(Rule{.subject = web.identity, .direction = DP_INGRESS});
  }
  Outcome send(std::uint8_t flags) { return from(web, tcp(of(web), 40000, of(far), 80, flags)); }
  Outcome answer(std::uint8_t flags) { return to(web, tcp(of(far), 80, of(web), 40000, flags)); }
  void establish() {
    ASSERT_TRUE(is(send(syn), DP_VERDICT_NODE));
    ASSERT_TRUE(is(answer(syn | ack), DP_VERDICT_DELIVER));
    ASSERT_TRUE(is(send(ack), DP_VERDICT_NODE));
  }
  static std::uint32_t state(const Outcome& outcome) { return outcome.verdict.ct_state; }
};
WAGGLE_BOTH_FAMILIES(Conntrack);

TEST_P(Conntrack, AHalfOpenFlowDiesExactlyAtItsDeadline) {
  ASSERT_TRUE(is(send(syn), DP_VERDICT_NODE));
  advance(60s - 1ns);
  EXPECT_TRUE(is(answer(syn | ack), DP_VERDICT_DELIVER));
}
TEST_P(Conntrack, AHalfOpenFlowIsDeadAtItsDeadline) {
  ASSERT_TRUE(is(send(syn), DP_VERDICT_NODE));
  advance(60s);
  EXPECT_TRUE(drops(answer(syn | ack), DP_DROP_POLICY_DENIED));
}

TEST_P(Conntrack, AnAnsweredFlowHasTheLongTimeout) {
  establish();
  advance(8000s - 1ns);
  EXPECT_TRUE(is(answer(ack), DP_VERDICT_DELIVER));
  advance(8000s);
  EXPECT_TRUE(drops(answer(ack), DP_DROP_POLICY_DENIED));
  const auto again = send(ack);
  EXPECT_EQ(state(again), std::uint32_t{DP_CT_NEW}) << "mid-flow and unknown: policy decides";
}

TEST_P(Conntrack, FinFromBothSidesShortensTheFlow) {
  establish();
  EXPECT_TRUE(is(send(fin | ack), DP_VERDICT_NODE));
  advance(20s);
  EXPECT_TRUE(is(answer(fin | ack), DP_VERDICT_DELIVER)) << "half closed is open";
  EXPECT_TRUE(is(send(ack), DP_VERDICT_NODE));
  advance(10s - 1ns);
  EXPECT_TRUE(is(answer(ack), DP_VERDICT_DELIVER)) << "late packets of a closed flow";
  advance(10s);
  EXPECT_TRUE(drops(answer(ack), DP_DROP_POLICY_DENIED));
}

TEST_P(Conntrack, AResetFromEitherSideShortensTheFlow) {
  for (const bool by_client : {true, false}) {
    establish();
    EXPECT_TRUE(by_client ? is(send(rst), DP_VERDICT_NODE) : is(answer(rst), DP_VERDICT_DELIVER));
    advance(10s);
    EXPECT_TRUE(drops(answer(ack), DP_DROP_POLICY_DENIED));
  }
}

TEST_P(Conntrack, ASynOnAClosingFlowIsJudgedAnew) {
  establish();
  EXPECT_TRUE(is(send(fin | ack), DP_VERDICT_NODE));
  EXPECT_EQ(state(send(syn)), std::uint32_t{DP_CT_NEW});
  const auto opened = flow(tcp(of(web), 40000, of(far), 80), DP_CT_EGRESS);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->flags, std::uint32_t{DP_CT_SEEN_SYN}) << "nothing of the old flow is left";
  EXPECT_TRUE(is(send(fin | ack), DP_VERDICT_NODE));
  erase(Rule{.subject = web.identity, .direction = DP_EGRESS});
  EXPECT_TRUE(drops(send(syn), DP_DROP_POLICY_DENIED)) << "the same generation, yet asked";
}

TEST_P(Conntrack, ASynIsNeverAReply) {
  establish();
  EXPECT_TRUE(drops(answer(syn), DP_DROP_POLICY_DENIED));
}

TEST_P(Conntrack, AnOpenFlowOfTheOtherDirectionIsNotShadowedByAClosedOne) {
  allow_all();
  establish();
  EXPECT_TRUE(is(send(rst), DP_VERDICT_NODE));
  ASSERT_EQ(state(to(web, tcp(of(far), 80, of(web), 40000, syn))), std::uint32_t{DP_CT_NEW});
  deny_all();
  EXPECT_EQ(state(send(syn | ack)), std::uint32_t{DP_CT_REPLY})
      << "the closed flow of ours has the same addresses";
}

TEST_P(Conntrack, UdpLivesFromPacketToPacket) {
  const auto query = udp(of(web), 5000, of(far), 53);
  const auto reply = udp(of(far), 53, of(web), 5000);
  ASSERT_TRUE(is(from(web, query), DP_VERDICT_NODE));
  for (int i = 0; i < 3; ++i) {
    advance(60s - 1ns);
    EXPECT_TRUE(gives(to(web, reply), DP_VERDICT_DELIVER, reply));
  }
  advance(60s);
  EXPECT_TRUE(drops(to(web, reply), DP_DROP_POLICY_DENIED));
}

TEST_P(Conntrack, AnEchoReplyBelongsToItsRequest) {
  ASSERT_TRUE(is(from(web, echo(of(web), of(far), 77)), DP_VERDICT_NODE));
  EXPECT_EQ(state(to(web, echo(of(far), of(web), 77, true))), std::uint32_t{DP_CT_REPLY});
  EXPECT_TRUE(drops(to(web, echo(of(far), of(web), 78, true)), DP_DROP_POLICY_DENIED));
  EXPECT_TRUE(drops(to(web, echo(of(far), of(web), 77)), DP_DROP_POLICY_DENIED))
      << "a request is never a reply";
  EXPECT_TRUE(drops(to(web, echo(of(far), of(web), 0)), DP_DROP_POLICY_DENIED));
}

TEST_P(Conntrack, AStrayEchoReplyIsJudgedButNotRemembered) {
  allow_all();
  const auto stray = echo(of(far), of(web), 5, true);
  EXPECT_EQ(state(to(web, stray)), std::uint32_t{DP_CT_NEW});
  EXPECT_EQ(state(to(web, stray)), std::uint32_t{DP_CT_NEW});
  EXPECT_TRUE(datapath->entries(TableId::conntrack)->empty());
}

TEST_P(Conntrack, BothSidesOfOneNodeKeepTheirOwnFlow) {
  allow_all();
  const auto packet = tcp(of(web), 40000, of(api), 80);
  EXPECT_TRUE(gives(from(web, packet), DP_VERDICT_LOCAL, routed(packet, api)));
  EXPECT_TRUE(is(to(api, routed(packet, api)), DP_VERDICT_DELIVER));
  EXPECT_TRUE(flow(packet, DP_CT_EGRESS));
  EXPECT_TRUE(flow(packet, DP_CT_INGRESS));
  deny_all();
  const auto reply = tcp(of(api), 80, of(web), 40000, syn | ack);
  EXPECT_TRUE(gives(from(api, reply), DP_VERDICT_LOCAL, routed(reply, web)));
  EXPECT_EQ(state(to(web, routed(reply, web))), std::uint32_t{DP_CT_REPLY});
}

TEST_P(Conntrack, AZoneSeesNothingOfAnother) {
  establish();
  datapath->node().zone = 4;
  place(web);
  EXPECT_TRUE(drops(answer(ack), DP_DROP_POLICY_DENIED));
}

TEST_P(Conntrack, AFullTableRefusesNewFlowsAndKeepsItsOwn) {
  options.entries_max[TableId::conntrack] = 4;
  reload();
  unsigned opened = 0;
  Outcome last;
  for (std::uint16_t port = 1; port <= 64; ++port) {
    last = from(web, tcp(of(web), port, of(far), 80));
    if (last.verdict.kind != DP_VERDICT_NODE) break;
    ++opened;
  }
  EXPECT_GE(opened, 4u);
  EXPECT_TRUE(drops(last, DP_DROP_CONNTRACK_FULL));
  EXPECT_TRUE(is(from(web, tcp(of(web), 1, of(far), 80, ack)), DP_VERDICT_NODE));
  EXPECT_TRUE(drops(to(api, tcp(of(far), 1, of(api), 80)), DP_DROP_CONNTRACK_FULL));
}

TEST_P(Conntrack, GarbageCollectionRemovesWhatHasExpiredAndNothingElse) {
  establish();
  ASSERT_TRUE(is(from(web, udp(of(web), 5000, of(far), 53)), DP_VERDICT_NODE));
  EXPECT_EQ(datapath->collect_garbage().value(), 0u);
  advance(60s - 1ns);
  EXPECT_EQ(datapath->collect_garbage().value(), 0u);
  advance(1ns);
  EXPECT_EQ(datapath->collect_garbage().value(), 1u);
  EXPECT_FALSE(flow(udp(of(web), 5000, of(far), 53), DP_CT_EGRESS));
  EXPECT_TRUE(is(answer(ack), DP_VERDICT_DELIVER));
  advance(8000s);
  EXPECT_EQ(datapath->collect_garbage().value(), 1u);
  EXPECT_TRUE(datapath->entries(TableId::conntrack)->empty());
}

}  // namespace
}  // namespace waggle::bpf
