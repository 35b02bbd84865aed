// Service addresses: who is chosen, who is kept, and what the client sees.

#include <netinet/in.h>

#include <map>
#include <set>

#include "fixture.h"

namespace waggle::bpf {
namespace {

using agent::TableId;
using simulator::ack;
using simulator::fin;
using simulator::rst;
using simulator::syn;

class Services : public BothFamilies {
 protected:
  Outcome open(std::uint16_t port, std::uint8_t flags = syn) {
    return from(web, tcp(of(web), port, vip(), 80, flags));
  }
  std::uint32_t chosen(std::uint16_t port, std::uint8_t flags = syn) {
    const auto outcome = open(port, flags);
    EXPECT_TRUE(is(outcome, DP_VERDICT_NODE));
    return outcome.verdict.backend;
  }
  /// Backends 1..count on another node, each at its own address.
  Service many(std::uint32_t count) {
    Service service;
    service.address = vip();
    for (std::uint32_t id = 1; id <= count; ++id) {
      auto pod = far;
      pod.v4 = far.v4.plus(id);
      pod.v6 = far.v6.plus(id);
      place(pod);
      service.backends.push_back({.id = id, .address = of(pod), .port = 8080});
    }
    return service;
  }
};
WAGGLE_BOTH_FAMILIES(Services);

TEST_P(Services, ThereAndBackAgain) {
  put(one_backend());
  const auto outcome = open(40000);
  auto wanted = aged(tcp(of(web), 40000, of(far), 8080));
  EXPECT_TRUE(gives(outcome, DP_VERDICT_NODE, wanted));
  EXPECT_EQ(outcome.verdict.backend, 1u);
  EXPECT_EQ(outcome.verdict.flags, std::uint32_t{DP_FLAG_TRANSLATED});
  EXPECT_EQ(outcome.verdict.destination_identity, far.identity);

  const auto reply = to(web, tcp(of(far), 8080, of(web), 40000, syn | ack));
  wanted = tcp(vip(), 80, of(web), 40000, syn | ack);
  EXPECT_TRUE(gives(reply, DP_VERDICT_DELIVER, wanted));
  EXPECT_EQ(reply.verdict.flags, std::uint32_t{DP_FLAG_REVERSED});
  EXPECT_EQ(reply.verdict.backend, 1u);
}

TEST_P(Services, EveryPortAndChecksumSurvives) {
  put(one_backend());
  for (unsigned i = 0; i < 300; ++i) {
    const auto port = static_cast<std::uint16_t>(1000 + 211 * i);
    auto packet = tcp(of(web), port, vip(), 80);
    packet.sequence = i * 0x01234567U;
    auto wanted = aged(packet);
    wanted.destination = of(far);
    wanted.destination_port = 8080;
    ASSERT_TRUE(gives(from(web, packet), DP_VERDICT_NODE, wanted)) << port;
  }
}

TEST_P(Services, PolicyJudgesTheBackendNotTheServiceAddress) {
  put(one_backend());
  deny_all();
  const auto outcome = open(40000);
  EXPECT_TRUE(drops(outcome, DP_DROP_POLICY_DENIED));
  EXPECT_EQ(outcome.verdict.backend, 1u);
  EXPECT_TRUE(datapath->entries(TableId::conntrack)->empty()) << "nothing is remembered";
  put(Rule{
      .subject = web.identity, .peer = far.identity, .protocol = 6, .port = 8080, .port_bits = 16});
  touch_policy();
  EXPECT_TRUE(is(open(40000), DP_VERDICT_NODE));
}

TEST_P(Services, SwitchedOffTheAddressIsOneOfTheWorld) {
  options.config.services = 0;
  reload();
  put(one_backend());
  const auto packet = tcp(of(web), 40000, vip(), 80);
  EXPECT_TRUE(gives(from(web, packet), DP_VERDICT_STACK, packet));
}

TEST_P(Services, OnlyTheExactPortAndProtocolAreTheService) {
  put(one_backend());
  EXPECT_TRUE(is(from(web, tcp(of(web), 1, vip(), 81)), DP_VERDICT_STACK));
  EXPECT_TRUE(is(from(web, udp(of(web), 1, vip(), 80)), DP_VERDICT_STACK));
}

TEST_P(Services, RandomReachesEveryBackendAndAFlowStays) {
  put(many(5));
  std::map<std::uint32_t, int> picks;
  for (std::uint16_t port = 1000; port < 1200; ++port) ++picks[chosen(port)];
  ASSERT_EQ(picks.size(), 5u);
  for (const auto& [id, count] : picks) EXPECT_GT(count, 15) << id;
  for (std::uint16_t port = 1000; port < 1020; ++port) {
    const auto first = chosen(port, ack);
    EXPECT_EQ(chosen(port, ack), first);
  }
}

TEST_P(Services, TheSameSeedGivesTheSameChoices) {
  put(many(5));
  std::vector<std::uint32_t> first, second;
  for (std::uint16_t port = 1000; port < 1030; ++port) first.push_back(chosen(port));
  datapath->env().draws = 0;
  datapath->env().seed = 7;
  for (std::uint16_t port = 2000; port < 2030; ++port) second.push_back(chosen(port));
  EXPECT_EQ(first, second);
}

TEST_P(Services, MaglevAgreesOnEveryNodeWithoutDice) {
  auto service = many(5);
  service.algorithm = DP_ALGORITHM_MAGLEV;
  service.positions.resize(251);
  for (std::uint32_t i = 0; i < 251; ++i) service.positions[i] = i % 5 + 1;
  put(service);
  std::map<std::uint16_t, std::uint32_t> here;
  std::set<std::uint32_t> backends;
  for (std::uint16_t port = 1000; port < 1100; ++port) backends.insert(here[port] = chosen(port));
  EXPECT_EQ(backends.size(), 5u);
  EXPECT_EQ(datapath->env().draws, 0u);
  datapath->node().zone = 9;  // another node: no flow is known there
  datapath->env().seed = 99;
  place(web);
  for (const auto& [port, backend] : here) EXPECT_EQ(chosen(port), backend) << port;
}

TEST_P(Services, AnEventNamesThePosition) {
  put(one_backend());
  (void)open(40000);
  const auto told = events();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].position, 16u);
  EXPECT_EQ(told[0].frontend, 70u);
  EXPECT_EQ(told[0].before.destination_port, htons(80));
  EXPECT_EQ(told[0].after.destination_port, htons(8080));
}

TEST_P(Services, AScopedFrontendUsesThisNodesBackendsOnly) {
  auto everywhere = many(2);
  everywhere.flags = DP_SERVICE_SCOPED;
  put(everywhere);
  EXPECT_TRUE(is(open(1), DP_VERDICT_ANSWER)) << "nothing is programmed for this scope";
  auto here = everywhere;
  here.scope = 11;
  here.flags = 0;
  here.frontend = 71;
  here.base = 32;
  here.positions = {2};
  put(here);
  for (std::uint16_t port = 2; port < 10; ++port) EXPECT_EQ(chosen(port), 2u);
}

class Draining : public Services {
 protected:
  void SetUp() override {
    Bpf::SetUp();
    service = many(2);
    service.positions = {1};
    put(service);
    ASSERT_EQ(chosen(40000), 1u);
  }
  void becomes(dp_backend_state state) {
    auto backend = service.backends[0];
    backend.state = state;
    put(backend, service);
  }
  void only_the_second_is_ready() { put(TableId::maglev, service.base, dp_maglev{2}); }
  Service service;
};
WAGGLE_BOTH_FAMILIES(Draining);

TEST_P(Draining, AnOpenConnectionKeepsItsTerminatingBackend) {
  becomes(DP_BACKEND_TERMINATING);
  only_the_second_is_ready();
  EXPECT_EQ(chosen(40000, ack), 1u);
  EXPECT_EQ(chosen(40001), 2u);
}

TEST_P(Draining, ASynOfAKnownFlowLeavesATerminatingBackend) {
  becomes(DP_BACKEND_TERMINATING);
  only_the_second_is_ready();
  EXPECT_EQ(chosen(40000), 2u);
  EXPECT_EQ(chosen(40000, ack), 2u) << "and the new choice is remembered";
}

TEST_P(Draining, AServiceWithoutReadyBackendsUsesTerminatingOnes) {
  becomes(DP_BACKEND_TERMINATING);
  auto last = service;
  last.flags = DP_SERVICE_TERMINATING;
  last.backends.clear();
  put(last);
  EXPECT_EQ(chosen(40000), 1u);
  EXPECT_EQ(chosen(40001), 1u);
}

TEST_P(Draining, AnOpenConnectionToARemovedBackendEndsWithAReason) {
  only_the_second_is_ready();
  erase(TableId::backends, dp_backend_key{1});
  EXPECT_TRUE(drops(open(40000, ack), DP_DROP_SERVICE_BACKEND_GONE));
  EXPECT_EQ(chosen(40000), 2u) << "a SYN chooses again";
}

TEST_P(Draining, ABackendOfAnotherServiceIsNeverUsed) {
  auto stolen = service.backends[0];
  stolen.service = 99;
  put(stolen, service);
  EXPECT_TRUE(drops(open(40000, ack), DP_DROP_SERVICE_BACKEND_GONE));
  EXPECT_TRUE(drops(open(40001), DP_DROP_SERVICE_BACKEND_NOT_FOUND));
}

TEST_P(Draining, UdpLeavesATerminatingBackendForAReadyOne) {
  auto dns = service;
  dns.protocol = IPPROTO_UDP;
  dns.number = 8;
  dns.frontend = 80;
  dns.base = 64;
  for (auto& backend : dns.backends) backend.id += 10;
  dns.positions = {11};
  put(dns);
  const auto query = udp(of(web), 5000, vip(), 80);
  EXPECT_EQ(from(web, query).verdict.backend, 11u);
  EXPECT_EQ(from(web, query).verdict.backend, 11u);
  auto backend = dns.backends[0];
  backend.state = DP_BACKEND_TERMINATING;
  put(backend, dns);
  put(TableId::maglev, dns.base, dp_maglev{12});
  EXPECT_EQ(from(web, query).verdict.backend, 12u);
  erase(TableId::backends, dp_backend_key{12});
  EXPECT_TRUE(drops(from(web, query), DP_DROP_SERVICE_BACKEND_NOT_FOUND))
      << "the position still names it";
}

class Affinity : public Services {
 protected:
  void SetUp() override {
    Bpf::SetUp();
    service = many(8);
    service.flags = DP_SERVICE_AFFINITY;
    service.affinity_timeout_s = 30;
    put(service);
  }
  Service service;
};
WAGGLE_BOTH_FAMILIES(Affinity);

TEST_P(Affinity, AClientStaysUntilExactlyItsTimeout) {
  const auto backend = chosen(1);
  for (std::uint16_t port = 2; port < 20; ++port) {
    const auto outcome = open(port);
    EXPECT_EQ(outcome.verdict.backend, backend);
    EXPECT_TRUE(outcome.verdict.flags & DP_FLAG_AFFINITY);
    advance(30s - 1ns);
  }
  advance(1ns);
  EXPECT_FALSE(open(100).verdict.flags & DP_FLAG_AFFINITY);
}

TEST_P(Affinity, ABackendThatIsNotEligibleLosesItsClients) {
  const auto backend = chosen(1);
  auto terminating = service.backends[backend - 1];
  terminating.state = DP_BACKEND_TERMINATING;
  put(terminating, service);
  for (std::uint32_t i = 0; i < 8; ++i)
    put(TableId::maglev, service.base + i, dp_maglev{backend % 8 + 1});
  EXPECT_EQ(chosen(2), backend % 8 + 1);
  EXPECT_EQ(chosen(1, ack), backend) << "its open connection stays";
}

TEST_P(Affinity, SwitchedOffEveryFlowChooses) {
  options.config.session_affinity = 0;
  reload();
  put(many(8));
  service.backends.clear();
  service.positions = {1, 2, 3, 4, 5, 6, 7, 8};
  put(service);
  std::set<std::uint32_t> picks;
  for (std::uint16_t port = 1; port < 60; ++port) picks.insert(chosen(port));
  EXPECT_GT(picks.size(), 4u);
}

class NoBackend : public Services {
 protected:
  void SetUp() override {
    Bpf::SetUp();
    Service service;
    service.address = vip();
    put(service);
  }
};
WAGGLE_BOTH_FAMILIES(NoBackend);

TEST_P(NoBackend, TheClientIsToldAtOnce) {
  const auto packet = tcp(of(web), 40000, vip(), 80);
  auto wanted = unreachable(vip(), packet);
  wanted.source_mac = web.host_mac;
  wanted.destination_mac = web.mac;
  wanted.dont_fragment = false;
  const auto outcome = from(web, packet);
  EXPECT_TRUE(gives(outcome, DP_VERDICT_ANSWER, wanted));
  EXPECT_EQ(outcome.verdict.target, web.ifindex);
  EXPECT_EQ(outcome.verdict.reason, std::uint32_t{DP_DROP_SERVICE_NO_BACKEND});
}

TEST_P(NoBackend, TheQuoteEndsWhereTheFamilyAllows) {
  for (const std::size_t payload : {std::size_t{0}, std::size_t{1}, std::size_t{63},
                                    std::size_t{500}, std::size_t{541}, std::size_t{1400}}) {
    auto packet = udp(of(web), 40000, vip(), 80);
    packet.protocol = IPPROTO_TCP;
    packet.tcp_flags = syn;
    packet.payload.assign(payload, 'x');
    const auto outcome = from(web, packet);
    const auto limit = family == Family::v4 ? 576u : 1280u;
    const auto head = family == Family::v4 ? 28u : 48u;
    ASSERT_TRUE(is(outcome, DP_VERDICT_ANSWER)) << payload;
    const auto quoted = build(packet).size() - 14;
    EXPECT_EQ(outcome.bytes.size() - 14, std::min<std::size_t>(limit, head + quoted)) << payload;
    const auto parsed = simulator::parse(outcome.bytes);
    ASSERT_TRUE(parsed) << payload;
    EXPECT_TRUE(parsed->checksums_ok) << payload;
  }
}

TEST_P(NoBackend, AnswersAreRationed) {
  options.config.icmp_error_rate = 2;
  options.config.icmp_error_burst = 3;
  reload();
  Service service;
  service.address = vip();
  put(service);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(is(open(1), DP_VERDICT_ANSWER));
  const auto withheld = open(1);
  EXPECT_TRUE(drops(withheld, DP_DROP_SERVICE_NO_BACKEND));
  EXPECT_TRUE(withheld.verdict.flags & DP_FLAG_RATE_LIMITED);
  advance(500ms - 1ns);
  EXPECT_TRUE(drops(open(1), DP_DROP_SERVICE_NO_BACKEND));
  advance(1ns);
  EXPECT_TRUE(is(open(1), DP_VERDICT_ANSWER)) << "fractions of a token are not lost";
  EXPECT_TRUE(drops(open(1), DP_DROP_SERVICE_NO_BACKEND));
  advance(1h);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(is(open(1), DP_VERDICT_ANSWER));
  EXPECT_TRUE(drops(open(1), DP_DROP_SERVICE_NO_BACKEND)) << "no more than the burst";
}

TEST_P(NoBackend, SwitchedOffThePacketIsDroppedInSilence) {
  options.config.reject_no_backend = 0;
  reload();
  Service service;
  service.address = vip();
  put(service);
  const auto outcome = open(1);
  EXPECT_TRUE(drops(outcome, DP_DROP_SERVICE_NO_BACKEND));
  EXPECT_EQ(outcome.verdict.flags & DP_FLAG_RATE_LIMITED, 0u);
}

class Tuples : public Services {
 protected:
  void SetUp() override {
    Bpf::SetUp();
    first = many(2);
    first.positions = {1};
    put(first);
    second = first;
    second.address = other_vip();
    second.frontend = 90;
    second.number = 9;
    second.base = 128;
    for (auto& backend : second.backends) backend.id += 10;
    second.positions = {11};
    put(second);
  }
  Outcome open_second(std::uint16_t port) { return from(web, tcp(of(web), port, other_vip(), 80)); }
  Service first, second;
};
WAGGLE_BOTH_FAMILIES(Tuples);

TEST_P(Tuples, TwoServicesDoNotShareATranslatedTuple) {
  ASSERT_EQ(chosen(40000), 1u);
  EXPECT_TRUE(drops(open_second(40000), DP_DROP_CONNTRACK_TUPLE_IN_USE));
  EXPECT_TRUE(is(open_second(40001), DP_VERDICT_NODE));
}

TEST_P(Tuples, ANewFlowMovesToThePositionsBehind) {
  second.positions = {11, 12};
  put(second);
  ASSERT_EQ(chosen(40000), 1u);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(open_second(40000).verdict.backend, 12u);
}

TEST_P(Tuples, AClosedFlowGivesItsTupleBack) {
  ASSERT_EQ(chosen(40000), 1u);
  EXPECT_TRUE(is(open(40000, rst), DP_VERDICT_NODE));
  EXPECT_TRUE(is(open_second(40000), DP_VERDICT_NODE));
  const auto reply = tcp(first.backends[0].address, 8080, of(web), 40000, syn | ack);
  auto wanted = tcp(other_vip(), 80, of(web), 40000, syn | ack);
  EXPECT_TRUE(gives(to(web, reply), DP_VERDICT_DELIVER, wanted));
}

TEST_P(Tuples, ADirectFlowAndAServiceFlowDoNotMeet) {
  ASSERT_EQ(chosen(40000), 1u);
  const auto direct = tcp(of(web), 40000, first.backends[0].address, 8080);
  EXPECT_TRUE(drops(from(web, direct), DP_DROP_CONNTRACK_TUPLE_IN_USE));
  EXPECT_TRUE(is(open(40000, rst), DP_VERDICT_NODE));
  EXPECT_TRUE(is(from(web, direct), DP_VERDICT_NODE));
  EXPECT_TRUE(drops(open(40000), DP_DROP_CONNTRACK_TUPLE_IN_USE));
}

TEST_P(Services, AReplyWithoutItsServiceAddressIsNotLetThrough) {
  put(one_backend());
  ASSERT_EQ(chosen(40000), 1u);
  erase(TableId::reverse_nat, dp_reverse_nat_key{70});
  EXPECT_TRUE(
      drops(to(web, tcp(of(far), 8080, of(web), 40000, syn | ack)), DP_DROP_REVERSE_NAT_NOT_FOUND));
}

TEST_P(Services, TheServiceEntryEndsWithItsFlow) {
  put(one_backend());
  const auto opening = tcp(of(web), 40000, vip(), 80);
  ASSERT_EQ(chosen(40000), 1u);
  ASSERT_TRUE(is(to(web, tcp(of(far), 8080, of(web), 40000, syn | ack)), DP_VERDICT_DELIVER));
  ASSERT_EQ(chosen(40000, ack), 1u);
  EXPECT_EQ(flow(opening, DP_CT_SERVICE)->expires_ns, datapath->env().now_ns + 8000'000'000'000);
  ASSERT_TRUE(is(to(web, tcp(of(far), 8080, of(web), 40000, rst)), DP_VERDICT_DELIVER));
  EXPECT_EQ(flow(opening, DP_CT_SERVICE)->expires_ns, datapath->env().now_ns + 10'000'000'000);
}

TEST_P(Services, AFullTableRefusesTheServiceFlowToo) {
  options.entries_max[TableId::conntrack] = 4;
  reload();
  put(one_backend());
  Outcome last;
  for (std::uint16_t port = 1; port < 64 && last.verdict.kind != DP_VERDICT_DROP; ++port)
    last = open(port);
  EXPECT_TRUE(drops(last, DP_DROP_CONNTRACK_FULL));
}

TEST_P(Services, UdpThereAndBackAgainAndAChecksumOfZeroStaysZero) {
  auto service = one_backend();
  service.protocol = IPPROTO_UDP;
  put(service);
  auto query = udp(of(web), 5000, vip(), 80);
  auto wanted = aged(udp(of(web), 5000, of(far), 8080));
  EXPECT_TRUE(gives(from(web, query), DP_VERDICT_NODE, wanted));
  if (family == Family::v6) return;
  query.udp_without_checksum = wanted.udp_without_checksum = true;
  EXPECT_TRUE(gives(from(web, query), DP_VERDICT_NODE, wanted));
}

TEST_P(Services, SctpIsTranslatedButNotItsPort) {
  auto service = one_backend();
  service.protocol = IPPROTO_SCTP;
  put(service);
  EXPECT_TRUE(drops(from(web, sctp(of(web), 5000, vip(), 80)), DP_DROP_SCTP_PORT_REWRITE));
  service.backends[0].port = 80;
  put(service);
  EXPECT_TRUE(gives(from(web, sctp(of(web), 5000, vip(), 80)), DP_VERDICT_NODE,
                    aged(sctp(of(web), 5000, of(far), 80))));
  EXPECT_TRUE(gives(to(web, sctp(of(far), 80, of(web), 5000)), DP_VERDICT_DELIVER,
                    sctp(vip(), 80, of(web), 5000)));
}

class Hairpin : public Services {
 protected:
  void SetUp() override {
    Bpf::SetUp();
    auto service = one_backend();
    service.backends[0].address = of(web);
    put(service);
    deny_all();
  }
};
WAGGLE_BOTH_FAMILIES(Hairpin);

TEST_P(Hairpin, APodReachesItselfThroughItsServiceWhateverPolicySays) {
  auto outcome = open(40000);
  auto wanted = tcp(hairpin(), 40000, of(web), 8080);
  wanted.source_mac = web.mac;
  wanted.destination_mac = web.host_mac;
  EXPECT_TRUE(gives(outcome, DP_VERDICT_DELIVER, wanted));
  EXPECT_EQ(outcome.verdict.target, web.ifindex);
  EXPECT_EQ(outcome.verdict.flags, std::uint32_t{DP_FLAG_HAIRPIN | DP_FLAG_TRANSLATED});
  EXPECT_TRUE(flow(tcp(hairpin(), 40000, of(web), 8080), DP_CT_EGRESS)->flags & DP_CT_HAIRPIN);

  outcome = from(web, tcp(of(web), 8080, hairpin(), 40000, syn | ack));
  wanted = tcp(vip(), 80, of(web), 40000, syn | ack);
  wanted.source_mac = web.mac;
  wanted.destination_mac = web.host_mac;
  EXPECT_TRUE(gives(outcome, DP_VERDICT_DELIVER, wanted));
  EXPECT_EQ(outcome.verdict.flags, std::uint32_t{DP_FLAG_HAIRPIN | DP_FLAG_REVERSED});
  EXPECT_EQ(outcome.verdict.backend, 1u);
}

TEST_P(Hairpin, TheHairpinAddressHasNoFlowsOfItsOwn) {
  EXPECT_TRUE(drops(from(web, tcp(of(web), 8080, hairpin(), 40000, syn | ack)),
                    DP_DROP_REVERSE_NAT_NOT_FOUND));
  ASSERT_TRUE(is(open(40000), DP_VERDICT_DELIVER));
  EXPECT_TRUE(drops(from(web, tcp(of(web), 8080, hairpin(), 40000)), DP_DROP_REVERSE_NAT_NOT_FOUND))
      << "a SYN is no reply";
}

}  // namespace
}  // namespace waggle::bpf
