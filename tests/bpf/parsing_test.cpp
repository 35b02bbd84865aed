// What the datapath reads, and everything it refuses to read.

#include <netinet/in.h>

#include "fixture.h"

namespace waggle::bpf {
namespace {

using simulator::Packet;

class Parsing : public Bpf {};
class ParsingBoth : public BothFamilies {};
WAGGLE_BOTH_FAMILIES(ParsingBoth);

/// A packet from web with some bytes changed, and what has to become of it.
struct Broken {
  const char* name;
  Family family;
  std::function<void(Packet&)> spoil;
  dp_drop reason;
};
void PrintTo(const Broken& row, std::ostream* out) { *out << row.name; }

class Refused : public Bpf, public testing::WithParamInterface<Broken> {
 protected:
  Refused() { family = GetParam().family; }
};

constexpr std::size_t ip = 14;
const Broken broken[] = {
    {"VlanTag", Family::v4,
     [](Packet& p) {
       p[12] = 0x81;
       p[13] = 0;
     },
     DP_DROP_UNSUPPORTED_L2},
    {"LengthInsteadOfType", Family::v4,
     [](Packet& p) {
       p[12] = 0;
       p[13] = 40;
     },
     DP_DROP_UNSUPPORTED_L2},
    {"Version5", Family::v4, [](Packet& p) { p[ip] = 0x55; }, DP_DROP_INVALID_PACKET},
    {"ShortIhl", Family::v4, [](Packet& p) { p[ip] = 0x44; }, DP_DROP_INVALID_PACKET},
    {"TotalLengthAbovePacket", Family::v4, [](Packet& p) { p[ip + 2] = 9; },
     DP_DROP_INVALID_PACKET},
    {"TotalLengthBelowHeader", Family::v4, [](Packet& p) { p[ip + 3] = 19; },
     DP_DROP_INVALID_PACKET},
    {"CutInsideTcp", Family::v4,
     [](Packet& p) {
       p.resize(ip + 20 + 19);
       p[ip + 3] = 39;
     },
     DP_DROP_INVALID_PACKET},
    {"TcpOffsetTooSmall", Family::v4, [](Packet& p) { p[ip + 20 + 12] = 0x40; },
     DP_DROP_INVALID_PACKET},
    {"TcpOffsetBeyondPacket", Family::v4, [](Packet& p) { p[ip + 20 + 12] = 0xf0; },
     DP_DROP_INVALID_PACKET},
    {"FirstFragment", Family::v4, [](Packet& p) { p[ip + 6] = 0x20; }, DP_DROP_FRAGMENT},
    {"LaterFragment", Family::v4, [](Packet& p) { p[ip + 7] = 1; }, DP_DROP_FRAGMENT},
    {"Gre", Family::v4, [](Packet& p) { p[ip + 9] = 47; }, DP_DROP_UNSUPPORTED_L4},
    {"Igmp", Family::v4, [](Packet& p) { p[ip + 9] = 2; }, DP_DROP_UNSUPPORTED_L4},
    {"Icmp6InIpv4", Family::v4, [](Packet& p) { p[ip + 9] = 58; }, DP_DROP_UNSUPPORTED_L4},
    {"Version4InIpv6", Family::v6, [](Packet& p) { p[ip] = 0x40; }, DP_DROP_INVALID_PACKET},
    {"PayloadAbovePacket", Family::v6, [](Packet& p) { p[ip + 4] = 9; }, DP_DROP_INVALID_PACKET},
    {"NoNextHeader", Family::v6, [](Packet& p) { p[ip + 6] = 59; }, DP_DROP_EXTENSION_HEADER},
    {"Esp", Family::v6, [](Packet& p) { p[ip + 6] = 50; }, DP_DROP_EXTENSION_HEADER},
    {"Mobility", Family::v6, [](Packet& p) { p[ip + 6] = 135; }, DP_DROP_EXTENSION_HEADER},
    {"FragmentHeader", Family::v6, [](Packet& p) { p[ip + 6] = 44; }, DP_DROP_FRAGMENT},
    {"Icmp4InIpv6", Family::v6, [](Packet& p) { p[ip + 6] = 1; }, DP_DROP_UNSUPPORTED_L4},
    {"UnknownIpv6Protocol", Family::v6, [](Packet& p) { p[ip + 6] = 200; }, DP_DROP_UNSUPPORTED_L4},
    {"MappedIpv4Source", Family::v6,
     [](Packet& p) {
       std::fill_n(p.begin() + ip + 8, 10, std::uint8_t{0});
       p[ip + 18] = p[ip + 19] = 0xff;
     },
     DP_DROP_INVALID_PACKET},
};
INSTANTIATE_TEST_SUITE_P(Packet, Refused, testing::ValuesIn(broken),
                         [](const auto& row) { return row.param.name; });

TEST_P(Refused, WithItsReason) {
  const auto whole = tcp(of(web), 40000, of(api), 80);
  ASSERT_TRUE(is(from(web, whole), DP_VERDICT_LOCAL)) << "the packet is good before it is spoilt";
  auto packet = build(whole);
  GetParam().spoil(packet);
  EXPECT_TRUE(drops(run(DP_HOOK_from_container, web.ifindex, packet), GetParam().reason));
  EXPECT_TRUE(drops(run(DP_HOOK_to_container, api.ifindex, packet), GetParam().reason));
}

TEST_P(ParsingBoth, UdpLengthHasToFitThePacket) {
  for (const auto length : {std::uint8_t{7}, std::uint8_t{200}}) {
    auto packet = build(udp(of(web), 4000, of(api), 53));
    packet[packet.size() - 3 - 8 + 5] = length;
    EXPECT_TRUE(drops(run(DP_HOOK_from_container, web.ifindex, packet), DP_DROP_INVALID_PACKET));
  }
}

TEST_P(ParsingBoth, EthernetPaddingIsNotPartOfThePacket) {
  auto packet = build(tcp(of(web), 40000, of(api), 80));
  packet.resize(packet.size() + 9);
  EXPECT_TRUE(is(run(DP_HOOK_from_container, web.ifindex, packet), DP_VERDICT_LOCAL));
}

TEST_P(ParsingBoth, AFamilyThatIsOffIsRefusedFromAndToPodsAndLeftToTheStackOnTheUplink) {
  (family == Family::v4 ? options.config.ipv4 : options.config.ipv6) = 0;
  reload();
  EXPECT_TRUE(drops(from(web, tcp(of(web), 1, of(api), 80)), DP_DROP_IP_FAMILY_DISABLED));
  EXPECT_TRUE(drops(to(api, tcp(of(web), 1, of(api), 80)), DP_DROP_IP_FAMILY_DISABLED));
  EXPECT_TRUE(is(arrive(tcp(world(), 1, host(), 22)), DP_VERDICT_STACK));
}

TEST_F(Parsing, Ipv4OptionsArePassedOver) {
  auto packet = tcp(web.v4, 40000, api.v4, 80);
  packet.ip_options = {0x94, 4, 0, 0, 1, 1, 1, 1};
  EXPECT_TRUE(gives(from(web, packet), DP_VERDICT_LOCAL, routed(packet, api)));
  EXPECT_TRUE(flow(packet, DP_CT_EGRESS)) << "the ports were read behind the options";
}

TEST_F(Parsing, ArpIsNeverJudged) {
  Packet arp(42);
  arp[12] = 8;
  arp[13] = 6;
  EXPECT_TRUE(is(run(DP_HOOK_from_container, web.ifindex, arp), DP_VERDICT_STACK));
  EXPECT_TRUE(is(run(DP_HOOK_to_container, web.ifindex, arp), DP_VERDICT_DELIVER));
  EXPECT_TRUE(is(run(DP_HOOK_from_netdev, uplink, arp), DP_VERDICT_STACK));
  EXPECT_TRUE(is(run(DP_HOOK_to_netdev, uplink, arp), DP_VERDICT_WIRE));
}

class Ipv6 : public Bpf {
 protected:
  Ipv6() { family = Family::v6; }
};

TEST_F(Ipv6, UpToFourExtensionHeadersArePassedOver) {
  const std::vector<std::uint8_t> one_hop = {60, 0, 1, 4, 0, 0, 0, 0};
  const std::vector<std::uint8_t> destination = {43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const std::vector<std::uint8_t> routing = {51, 0, 2, 0, 0, 0, 0, 0};
  const std::vector<std::uint8_t> authentication = {6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1};
  auto packet = tcp(web.v6, 40000, api.v6, 80);
  packet.first_extension = 0;
  for (const auto* header : {&one_hop, &destination, &routing, &authentication})
    packet.extension_headers.insert(packet.extension_headers.end(), header->begin(), header->end());
  EXPECT_TRUE(gives(from(web, packet), DP_VERDICT_LOCAL, routed(packet, api)));
  EXPECT_TRUE(flow(packet, DP_CT_EGRESS));
}

TEST_F(Ipv6, AFifthExtensionHeaderIsRefused) {
  auto packet = tcp(web.v6, 40000, api.v6, 80);
  packet.first_extension = 60;
  for (int i = 0; i < 5; ++i) {
    const std::vector<std::uint8_t> header = {
        static_cast<std::uint8_t>(i < 4 ? 60 : 6), 0, 1, 4, 0, 0, 0, 0};
    packet.extension_headers.insert(packet.extension_headers.end(), header.begin(), header.end());
  }
  EXPECT_TRUE(drops(from(web, packet), DP_DROP_EXTENSION_HEADER));
}

TEST_F(Ipv6, AnExtensionHeaderThatEndsBehindThePacketIsRefused) {
  auto packet = tcp(web.v6, 40000, api.v6, 80);
  packet.first_extension = 60;
  packet.extension_headers = {6, 255, 1, 4, 0, 0, 0, 0};
  EXPECT_TRUE(drops(from(web, packet), DP_DROP_INVALID_PACKET));
}

TEST_F(Ipv6, NeighbourDiscoveryPassesOnlyWithItsHopLimit) {
  auto solicitation =
      echo(Address::parse("fe80::1").value(), Address::parse("ff02::1:ff00:7").value(), 0);
  solicitation.icmp_type = 135;
  solicitation.ttl = 255;
  EXPECT_TRUE(is(from(web, solicitation), DP_VERDICT_STACK));
  EXPECT_TRUE(is(to(web, solicitation), DP_VERDICT_DELIVER));
  EXPECT_TRUE(is(arrive(solicitation), DP_VERDICT_STACK));
  solicitation.ttl = 254;
  EXPECT_TRUE(drops(from(web, solicitation), DP_DROP_INVALID_SOURCE));
}

TEST_F(Ipv6, MulticastListenerReportsStayOnTheLink) {
  auto report = echo(Address::parse("fe80::1").value(), Address::parse("ff02::16").value(), 0);
  report.icmp_type = 143;
  report.ttl = 1;
  EXPECT_TRUE(is(from(web, report), DP_VERDICT_STACK));
  report.ttl = 2;
  EXPECT_TRUE(drops(from(web, report), DP_DROP_INVALID_SOURCE));
}

class Uplink : public BothFamilies {};
WAGGLE_BOTH_FAMILIES(Uplink);

TEST_P(Uplink, TheNodesOwnTrafficIsTheStacksToRead) {
  auto gre = tcp(world(), 1, host(), 2);
  auto packet = build(gre);
  packet[family == Family::v4 ? ip + 9 : ip + 6] = 47;
  EXPECT_TRUE(is(run(DP_HOOK_from_netdev, uplink, packet), DP_VERDICT_STACK));
  packet[12] = 0x88;
  packet[13] = 0xcc;  // LLDP
  EXPECT_TRUE(is(run(DP_HOOK_from_netdev, uplink, packet), DP_VERDICT_STACK));
  EXPECT_TRUE(is(run(DP_HOOK_to_netdev, uplink, packet), DP_VERDICT_WIRE));
}

TEST_P(Uplink, WhatAPodWouldGetIsRefusedUnread) {
  auto packet = build(tcp(world(), 1, of(web), 80));
  packet[family == Family::v4 ? ip + 9 : ip + 6] = 47;
  EXPECT_TRUE(drops(run(DP_HOOK_from_netdev, uplink, packet), DP_DROP_UNSUPPORTED_L4));
  auto fragment = tcp(world(), 1, of(web), 80);
  fragment.more_fragments = true;
  EXPECT_TRUE(drops(arrive(fragment), DP_DROP_FRAGMENT));
  fragment.destination = host();
  EXPECT_TRUE(is(arrive(fragment), DP_VERDICT_STACK));
}

}  // namespace
}  // namespace waggle::bpf
