// Who may talk to whom: impostors, entries and their precedence, verdicts kept and revoked.

#include "fixture.h"

namespace waggle::bpf {
namespace {

using agent::TableId;
using agent::to_abi;

class AntiSpoofing : public BothFamilies {};
WAGGLE_BOTH_FAMILIES(AntiSpoofing);

TEST_P(AntiSpoofing, APodSendsOnlyFromItsOwnAddressMacAndDevice) {
  const auto good = tcp(of(web), 40000, of(api), 80);
  EXPECT_TRUE(gives(from(web, good), DP_VERDICT_LOCAL, routed(good, api)));

  auto stranger = good;
  stranger.source = world();
  EXPECT_TRUE(drops(from(web, stranger), DP_DROP_INVALID_SOURCE));
  auto neighbour = good;
  neighbour.source = of(api);
  EXPECT_TRUE(drops(from(web, neighbour), DP_DROP_INVALID_SOURCE));
  auto mac = good;
  mac.source_mac[5] ^= 1;
  EXPECT_TRUE(drops(from(web, mac), DP_DROP_INVALID_SOURCE));
  EXPECT_TRUE(drops(from(api, good), DP_DROP_INVALID_SOURCE)) << "another pod's device";
}

TEST_P(AntiSpoofing, TheWireCannotSpeakForThisNode) {
  EXPECT_TRUE(is(arrive(tcp(of(far), 1, of(web), 80)), DP_VERDICT_LOCAL));
  EXPECT_TRUE(drops(arrive(tcp(of(api), 1, of(web), 80)), DP_DROP_INVALID_SOURCE));
  EXPECT_TRUE(drops(arrive(tcp(host(), 1, of(web), 80)), DP_DROP_INVALID_SOURCE))
      << "it would pass for HOST, which policy lets in";
}

class Policy : public BothFamilies {
 protected:
  void SetUp() override {
    Bpf::SetUp();
    deny_all();
  }
  Outcome ask(const Pod& pod, std::uint16_t port) {
    return from(web, tcp(of(web), static_cast<std::uint16_t>(50000 + ++asked_), of(pod), port));
  }

 private:
  int asked_ = 0;
};
WAGGLE_BOTH_FAMILIES(Policy);

TEST_P(Policy, NoEntryMeansDenied) {
  const auto outcome = ask(far, 80);
  EXPECT_TRUE(drops(outcome, DP_DROP_POLICY_DENIED));
  EXPECT_EQ(outcome.verdict.rule, 0u);
  EXPECT_EQ(outcome.verdict.source_identity, web.identity);
  EXPECT_EQ(outcome.verdict.destination_identity, far.identity);
  EXPECT_FALSE(flow(tcp(of(web), 50001, of(far), 80), DP_CT_EGRESS)) << "nothing is remembered";
}

TEST_P(Policy, IngressIsAskedOnTheReceiversSide) {
  const auto packet = tcp(of(far), 40000, of(api), 80);
  EXPECT_TRUE(drops(to(api, packet), DP_DROP_POLICY_DENIED));
  put(Rule{.subject = api.identity, .peer = far.identity, .direction = DP_INGRESS, .rule = 9});
  const auto outcome = to(api, packet);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_DELIVER, packet));
  EXPECT_EQ(outcome.verdict.rule, 9u);
  EXPECT_EQ(outcome.verdict.source_identity, far.identity);
  EXPECT_EQ(outcome.verdict.destination_identity, api.identity);
  EXPECT_EQ(outcome.verdict.target, api.ifindex);
}

TEST_P(Policy, AnEntryCoversExactlyItsPortPrefix) {
  // 64..95: the three high bits of the low byte.
  put(Rule{
      .subject = web.identity, .peer = far.identity, .protocol = 6, .port = 64, .port_bits = 11});
  EXPECT_TRUE(drops(ask(far, 63), DP_DROP_POLICY_DENIED));
  EXPECT_TRUE(is(ask(far, 64), DP_VERDICT_NODE));
  EXPECT_TRUE(is(ask(far, 95), DP_VERDICT_NODE));
  EXPECT_TRUE(drops(ask(far, 96), DP_DROP_POLICY_DENIED));
  EXPECT_TRUE(drops(from(web, udp(of(web), 1, of(far), 64)), DP_DROP_POLICY_DENIED));
  EXPECT_TRUE(drops(ask(api, 64), DP_DROP_POLICY_DENIED)) << "another peer";
}

TEST_P(Policy, ADenyEntryHasItsOwnReason) {
  put(Rule{.subject = web.identity, .peer = far.identity, .verdict = DP_POLICY_DENY, .rule = 4});
  const auto outcome = ask(far, 80);
  EXPECT_TRUE(drops(outcome, DP_DROP_POLICY_DENY_RULE));
  EXPECT_EQ(outcome.verdict.rule, 4u);
}

TEST_P(Policy, PrecedenceThenDenyThenTheNamedPeerDecide) {
  struct Row {
    dp_policy_verdict named, any;
    std::uint32_t named_precedence, any_precedence;
    std::uint32_t wins;  // 1: the named peer's entry
  };
  const Row rows[] = {
      {DP_POLICY_ALLOW, DP_POLICY_ALLOW, 0, 0, 1}, {DP_POLICY_ALLOW, DP_POLICY_DENY, 0, 0, 2},
      {DP_POLICY_DENY, DP_POLICY_ALLOW, 0, 0, 1},  {DP_POLICY_DENY, DP_POLICY_DENY, 0, 0, 1},
      {DP_POLICY_ALLOW, DP_POLICY_DENY, 5, 4, 1},  {DP_POLICY_DENY, DP_POLICY_ALLOW, 4, 5, 2},
      {DP_POLICY_ALLOW, DP_POLICY_ALLOW, 4, 5, 2},
  };
  for (const auto& row : rows) {
    put(Rule{.subject = web.identity,
             .peer = far.identity,
             .verdict = row.named,
             .precedence = row.named_precedence,
             .rule = 1});
    put(Rule{
        .subject = web.identity, .verdict = row.any, .precedence = row.any_precedence, .rule = 2});
    const auto outcome = ask(far, 80);
    EXPECT_EQ(outcome.verdict.rule, row.wins) << &row - rows;
    const auto winner = row.wins == 1 ? row.named : row.any;
    EXPECT_TRUE(winner == DP_POLICY_ALLOW ? is(outcome, DP_VERDICT_NODE)
                                          : drops(outcome, DP_DROP_POLICY_DENY_RULE))
        << &row - rows;
  }
}

TEST_P(Policy, IcmpIsAskedByTypeAndCode) {
  const auto type = static_cast<std::uint16_t>((family == Family::v4 ? 8 : 128) << 8);
  EXPECT_TRUE(drops(from(web, echo(of(web), of(far), 1)), DP_DROP_POLICY_DENIED));
  put(Rule{.subject = web.identity, .protocol = icmp(), .port = type, .port_bits = 16});
  EXPECT_TRUE(is(from(web, echo(of(web), of(far), 1)), DP_VERDICT_NODE));
  EXPECT_TRUE(drops(from(web, echo(of(web), of(far), 2, true)), DP_DROP_POLICY_DENIED))
      << "an echo reply that nobody asked for";
}

TEST_P(Policy, TheNodeItselfIsHostAndStrangersAreWorld) {
  put(Rule{.subject = web.identity, .peer = DP_IDENTITY_HOST});
  const auto outcome = from(web, tcp(of(web), 1, host(), 10250));
  EXPECT_TRUE(gives(outcome, DP_VERDICT_STACK, tcp(of(web), 1, host(), 10250)));
  EXPECT_EQ(outcome.verdict.destination_identity, std::uint32_t{DP_IDENTITY_HOST});
  const auto denied = from(web, tcp(of(web), 1, world(), 443));
  EXPECT_TRUE(drops(denied, DP_DROP_POLICY_DENIED));
  EXPECT_EQ(denied.verdict.destination_identity, std::uint32_t{DP_IDENTITY_WORLD});
}

TEST_P(Policy, TheLongestPrefixNamesAStranger) {
  const unsigned v4 = family == Family::v4 ? DP_V4_PREFIX_BITS : 0;
  const auto wide = to_abi(pick("203.0.0.0", "2001:db8::"));
  const auto narrow = to_abi(pick("203.0.113.0", "2001:db8::"));
  put(TableId::ipcache_prefix, dp_ipcache_prefix_key{DP_IPCACHE_STATIC_BITS + v4 + 16, 0, wide},
      dp_ipcache{0x800001, 0});
  put(TableId::ipcache_prefix, dp_ipcache_prefix_key{DP_IPCACHE_STATIC_BITS + v4 + 24, 0, narrow},
      dp_ipcache{0x800002, 0});
  EXPECT_EQ(from(web, tcp(of(web), 1, world(), 443)).verdict.destination_identity, 0x800002u);
  put(TableId::ipcache, dp_ipcache_key{0, to_abi(world())}, dp_ipcache{0x800003, 0});
  EXPECT_EQ(from(web, tcp(of(web), 2, world(), 443)).verdict.destination_identity, 0x800003u);
}

TEST_P(Policy, AnIdentityOutsideItsBitsIsRefused) {
  put(TableId::ipcache, dp_ipcache_key{0, to_abi(world())}, dp_ipcache{1U << 24, 0});
  EXPECT_TRUE(drops(from(web, tcp(of(web), 1, world(), 443)), DP_DROP_INVALID_IDENTITY));
  EXPECT_TRUE(drops(to(web, tcp(world(), 1, of(web), 443)), DP_DROP_INVALID_IDENTITY));
  auto pod = api;
  pod.identity = 1U << 24;
  place(pod);
  EXPECT_TRUE(drops(from(api, tcp(of(api), 1, of(web), 443)), DP_DROP_INVALID_IDENTITY));
  EXPECT_TRUE(drops(arrive(tcp(of(far), 1, of(api), 443)), DP_DROP_INVALID_IDENTITY));
}

TEST_P(Policy, SwitchedOffEverythingPassesAndNothingIsAsked) {
  options.config.policy = 0;
  reload();
  deny_all();
  const auto outcome = ask(far, 80);
  EXPECT_TRUE(is(outcome, DP_VERDICT_NODE));
  EXPECT_EQ(outcome.verdict.rule, 0u);
  EXPECT_EQ(from(web, tcp(of(web), 50001, of(far), 80, simulator::ack)).verdict.flags, 0u);
}

class VerdictCache : public BothFamilies {
 protected:
  PacketFields data(std::uint8_t flags = simulator::ack) {
    return tcp(of(web), 40000, of(far), 80, flags);
  }
};
WAGGLE_BOTH_FAMILIES(VerdictCache);

TEST_P(VerdictCache, TheSecondPacketAsksNobody) {
  EXPECT_EQ(from(web, data(simulator::syn)).verdict.flags & DP_FLAG_CACHED, 0u);
  erase(Rule{.subject = web.identity, .direction = DP_EGRESS});
  const auto outcome = from(web, data());
  EXPECT_TRUE(is(outcome, DP_VERDICT_NODE)) << "the generation stands, so the verdict does";
  EXPECT_EQ(outcome.verdict.flags & DP_FLAG_CACHED, std::uint32_t{DP_FLAG_CACHED});
  EXPECT_EQ(outcome.verdict.rule, 1u);
  EXPECT_EQ(outcome.verdict.destination_identity, far.identity);
}

TEST_P(VerdictCache, ARevokedRuleCutsTheOpenFlowAtTheNextPacket) {
  EXPECT_TRUE(is(from(web, data(simulator::syn)), DP_VERDICT_NODE));
  erase(Rule{.subject = web.identity, .direction = DP_EGRESS});
  touch_policy();
  EXPECT_TRUE(drops(from(web, data()), DP_DROP_POLICY_DENIED));
}

TEST_P(VerdictCache, ANewGenerationIsAskedOnceAndItsAnswerKept) {
  EXPECT_TRUE(is(from(web, data(simulator::syn)), DP_VERDICT_NODE));
  put(Rule{.subject = web.identity, .peer = far.identity, .rule = 5});
  touch_policy();
  auto outcome = from(web, data());
  EXPECT_EQ(outcome.verdict.flags & DP_FLAG_CACHED, 0u);
  EXPECT_EQ(outcome.verdict.rule, 5u);
  outcome = from(web, data());
  EXPECT_EQ(outcome.verdict.flags & DP_FLAG_CACHED, std::uint32_t{DP_FLAG_CACHED});
  EXPECT_EQ(outcome.verdict.rule, 5u);
}

TEST_P(VerdictCache, RepliesAreNotAskedEvenUnderANewGeneration) {
  EXPECT_TRUE(is(from(web, data(simulator::syn)), DP_VERDICT_NODE));
  deny_all();
  const auto reply = tcp(of(far), 80, of(web), 40000, simulator::syn | simulator::ack);
  const auto outcome = to(web, reply);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_DELIVER, reply));
  EXPECT_EQ(outcome.verdict.ct_state, std::uint32_t{DP_CT_REPLY});
}

}  // namespace
}  // namespace waggle::bpf
