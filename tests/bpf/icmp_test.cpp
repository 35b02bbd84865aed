// ICMP errors about known flows: let through, and told in the words of whoever gets them.

#include <netinet/in.h>

#include "fixture.h"

namespace waggle::bpf {
namespace {

using agent::TableId;
using simulator::ack;
using simulator::syn;

class IcmpError : public BothFamilies {
 protected:
  void SetUp() override {
    Bpf::SetUp();
    put(one_backend());
  }
  /// Policy lets nothing new through from here on.
  void known_flows_only() { deny_all(); }
  PacketFields quoting(const Address& from, const PacketFields& inner,
                       std::uint16_t quote_bytes = 0) {
    auto error = unreachable(from, inner);
    error.quote_bytes = quote_bytes;
    const auto macs = tcp(from, 0, inner.source, 0);
    error.source_mac = macs.source_mac;
    error.destination_mac = macs.destination_mac;
    return error;
  }
  std::uint16_t l3() const { return family == Family::v4 ? 20 : 40; }
  static std::uint32_t related() { return DP_CT_RELATED; }
};
WAGGLE_BOTH_FAMILIES(IcmpError);

TEST_P(IcmpError, AboutNothingKnownIsRefused) {
  EXPECT_TRUE(drops(to(web, quoting(of(far), tcp(of(web), 1, of(far), 80))), DP_DROP_UNKNOWN_ICMP));
  EXPECT_TRUE(
      drops(from(web, quoting(of(web), tcp(of(far), 80, of(web), 1))), DP_DROP_UNKNOWN_ICMP));
}

TEST_P(IcmpError, AboutAPacketThatThePodSentReachesIt) {
  const auto packet = tcp(of(web), 40000, of(far), 80);
  ASSERT_TRUE(is(from(web, packet), DP_VERDICT_NODE));
  known_flows_only();
  const auto router = pick("192.168.0.254", "fd00:192::fe");
  for (const std::uint16_t quote : {std::uint16_t{0}, static_cast<std::uint16_t>(l3() + 8)}) {
    const auto error = quoting(router, packet, quote);
    const auto outcome = to(web, error);
    EXPECT_TRUE(gives(outcome, DP_VERDICT_DELIVER, error)) << quote;
    EXPECT_EQ(outcome.verdict.ct_state, related());
  }
}

TEST_P(IcmpError, ThatQuotesLessThanThePortsIsRefused) {
  const auto packet = tcp(of(web), 40000, of(far), 80);
  ASSERT_TRUE(is(from(web, packet), DP_VERDICT_NODE));
  auto bytes = build(quoting(of(far), packet, static_cast<std::uint16_t>(l3() + 8)));
  for (std::size_t cut = 1; cut < 24; ++cut) {
    auto shorter = bytes;
    shorter.resize(bytes.size() - cut);
    const auto length = shorter.size() - 14 - (family == Family::v4 ? 0 : 40);
    shorter[family == Family::v4 ? 17 : 19] = static_cast<std::uint8_t>(length);
    EXPECT_TRUE(drops(run(DP_HOOK_to_container, web.ifindex, shorter), DP_DROP_INVALID_PACKET))
        << cut;
  }
}

TEST_P(IcmpError, ToSomebodyElseThanTheQuotedSenderIsForged) {
  const auto packet = tcp(of(web), 40000, of(far), 80);
  ASSERT_TRUE(is(from(web, packet), DP_VERDICT_NODE));
  auto error = quoting(of(far), packet);
  error.destination = of(api);
  EXPECT_TRUE(drops(to(api, error), DP_DROP_UNKNOWN_ICMP));
  ASSERT_TRUE(is(to(web, tcp(of(far), 9, of(web), 80)), DP_VERDICT_DELIVER));
  auto foreign = quoting(of(web), tcp(of(far), 9, of(web), 80));
  foreign.inner->destination = of(api);
  EXPECT_TRUE(drops(from(web, foreign), DP_DROP_UNKNOWN_ICMP));
}

TEST_P(IcmpError, AboutAnotherErrorIsRefused) {
  const auto packet = tcp(of(web), 40000, of(far), 80);
  ASSERT_TRUE(is(from(web, packet), DP_VERDICT_NODE));
  auto inner = unreachable(of(web), tcp(of(far), 80, of(web), 40000));
  EXPECT_TRUE(drops(to(web, quoting(of(far), inner)), DP_DROP_UNKNOWN_ICMP));
}

TEST_P(IcmpError, AboutAPacketSentToThePodLeavesAsItIs) {
  const auto packet = udp(of(far), 5000, of(web), 53);
  ASSERT_TRUE(is(to(web, packet), DP_VERDICT_DELIVER));
  known_flows_only();
  const auto error = quoting(of(web), packet);
  const auto outcome = from(web, error);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_NODE, aged(error)));
  EXPECT_EQ(outcome.verdict.ct_state, related());
  EXPECT_EQ(outcome.verdict.destination_identity, far.identity);
}

TEST_P(IcmpError, AboutAReplyOfThePodReachesIt) {
  ASSERT_TRUE(is(to(web, udp(of(far), 5000, of(web), 53)), DP_VERDICT_DELIVER));
  known_flows_only();
  const auto error = quoting(of(far), udp(of(web), 53, of(far), 5000));
  EXPECT_TRUE(gives(to(web, error), DP_VERDICT_DELIVER, error));
}

TEST_P(IcmpError, AboutAReplyToThePodLeavesAsItIs) {
  ASSERT_TRUE(is(from(web, udp(of(web), 5000, of(far), 53)), DP_VERDICT_NODE));
  known_flows_only();
  const auto error = quoting(of(web), udp(of(far), 53, of(web), 5000));
  EXPECT_TRUE(gives(from(web, error), DP_VERDICT_NODE, aged(error)));
}

TEST_P(IcmpError, AboutAnEchoFindsItsRequest) {
  const auto request = echo(of(web), of(far), 77);
  ASSERT_TRUE(is(from(web, request), DP_VERDICT_NODE));
  known_flows_only();
  const auto error = quoting(of(far), request);
  EXPECT_TRUE(gives(to(web, error), DP_VERDICT_DELIVER, error));
  EXPECT_TRUE(drops(to(web, quoting(of(far), echo(of(web), of(far), 78))), DP_DROP_UNKNOWN_ICMP));
}

/// What is quoted, whole and cut to eight bytes of transport header, of TCP and UDP.
TEST_P(IcmpError, ThroughAServiceSpeaksOfTheServiceAddress) {
  auto dns = one_backend();
  dns.protocol = IPPROTO_UDP;
  dns.number = 8;
  dns.frontend = 80;
  dns.base = 64;
  dns.backends[0].id = 2;
  put(dns);
  const auto router = pick("192.168.0.254", "fd00:192::fe");
  for (const bool is_udp : {false, true}) {
    const auto asked = is_udp ? udp(of(web), 40000, vip(), 80) : tcp(of(web), 40000, vip(), 80);
    auto sent = asked;
    sent.destination = of(far);
    sent.destination_port = 8080;
    ASSERT_TRUE(gives(from(web, asked), DP_VERDICT_NODE, aged(sent)));
    for (const std::uint16_t quote : {std::uint16_t{0}, static_cast<std::uint16_t>(l3() + 8)}) {
      for (const auto& sender : {of(far), router}) {
        const auto outcome = to(web, quoting(sender, sent, quote));
        auto wanted = quoting(sender == router ? router : vip(), asked, quote);
        EXPECT_TRUE(gives(outcome, DP_VERDICT_DELIVER, wanted)) << is_udp << " " << quote;
        EXPECT_EQ(outcome.verdict.flags, std::uint32_t{DP_FLAG_REVERSED});
      }
    }
  }
  erase(TableId::reverse_nat, dp_reverse_nat_key{70});
  EXPECT_TRUE(drops(to(web, quoting(of(far), tcp(of(web), 40000, of(far), 8080))),
                    DP_DROP_REVERSE_NAT_NOT_FOUND));
}

TEST_P(IcmpError, AboutAServicesReplyGoesToTheBackendInItsWords) {
  const auto reply = tcp(vip(), 80, of(web), 40000, syn | ack);
  ASSERT_TRUE(is(from(web, tcp(of(web), 40000, vip(), 80)), DP_VERDICT_NODE));
  known_flows_only();
  for (const std::uint16_t quote : {std::uint16_t{0}, static_cast<std::uint16_t>(l3() + 8)}) {
    const auto outcome = from(web, quoting(of(web), reply, quote));
    auto wanted = quoting(of(web), tcp(of(far), 8080, of(web), 40000, syn | ack), quote);
    EXPECT_TRUE(gives(outcome, DP_VERDICT_NODE, aged(wanted))) << quote;
    EXPECT_EQ(outcome.verdict.backend, 1u);
    EXPECT_EQ(outcome.verdict.flags, std::uint32_t{DP_FLAG_TRANSLATED});
  }
  erase(TableId::backends, dp_backend_key{1});
  EXPECT_TRUE(drops(from(web, quoting(of(web), reply)), DP_DROP_SERVICE_BACKEND_GONE));
}

TEST_P(IcmpError, OfAPodAboutItselfComesBackFromTheService) {
  auto service = one_backend();
  service.protocol = IPPROTO_UDP;
  service.number = 8;
  service.frontend = 80;
  service.base = 64;
  service.backends[0] = {.id = 2, .address = of(web), .port = 8080};
  put(service);
  const auto asked = udp(of(web), 40000, vip(), 80);
  ASSERT_TRUE(is(from(web, asked), DP_VERDICT_DELIVER));
  auto error = quoting(of(web), udp(hairpin(), 40000, of(web), 8080));
  auto wanted = quoting(vip(), asked);
  wanted.source_mac = web.mac;
  wanted.destination_mac = web.host_mac;
  const auto outcome = from(web, error);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_DELIVER, wanted));
  EXPECT_EQ(outcome.verdict.flags, std::uint32_t{DP_FLAG_REVERSED | DP_FLAG_HAIRPIN});
  EXPECT_EQ(outcome.verdict.target, web.ifindex);
  erase(TableId::reverse_nat, dp_reverse_nat_key{80});
  EXPECT_TRUE(drops(from(web, error), DP_DROP_REVERSE_NAT_NOT_FOUND));
}

}  // namespace
}  // namespace waggle::bpf
