#include "waggle/simulator/packet.h"

#include <gmock/gmock.h>

namespace waggle::simulator {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

PacketFields between(std::string_view source, std::string_view destination) {
  PacketFields fields;
  fields.source = Address::parse(source).value();
  fields.destination = Address::parse(destination).value();
  fields.source_mac = {2, 0, 0, 0, 0, 1};
  fields.destination_mac = {2, 0, 0, 0, 0, 2};
  fields.source_port = 40000;
  fields.destination_port = 80;
  return fields;
}

void comes_back(const PacketFields& fields) {
  const auto parsed = parse(build(fields));
  ASSERT_TRUE(parsed.has_value()) << to_string(parsed.error());
  EXPECT_THAT(differences(fields, *parsed), IsEmpty()) << to_line(fields);
}

class EveryProtocol : public testing::TestWithParam<std::tuple<int, const char*, const char*>> {};

TEST_P(EveryProtocol, ComesBackAsItWasBuilt) {
  const auto [protocol, source, destination] = GetParam();
  auto fields = between(source, destination);
  fields.protocol = static_cast<std::uint8_t>(protocol);
  if (protocol != 6) fields.tcp_flags = syn;
  if (protocol == 17) fields.payload = {1, 2, 3};
  if (protocol == protocol_icmp || protocol == protocol_icmp6) {
    fields.source_port = fields.destination_port = 0;
    fields.icmp_type = protocol == protocol_icmp ? 8 : 128;
    fields.icmp_id = 7;
    fields.icmp_sequence = 9;
  }
  if (protocol == 47) fields.source_port = fields.destination_port = 0;
  fields.payload.resize(33, 0xa5);
  comes_back(fields);
}

TEST_P(EveryProtocol, SpoiledChecksumIsSeen) {
  const auto [protocol, source, destination] = GetParam();
  auto fields = between(source, destination);
  fields.protocol = static_cast<std::uint8_t>(protocol);
  fields.icmp_type = 8;
  fields.checksums_ok = false;
  const auto parsed = parse(build(fields));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->checksums_ok, protocol == 47);
}

INSTANTIATE_TEST_SUITE_P(
    BothFamilies, EveryProtocol,
    testing::Values(std::tuple{6, "10.0.1.5", "10.0.2.7"}, std::tuple{17, "10.0.1.5", "10.0.2.7"},
                    std::tuple{132, "10.0.1.5", "10.0.2.7"}, std::tuple{1, "10.0.1.5", "10.0.2.7"},
                    std::tuple{47, "10.0.1.5", "10.0.2.7"}, std::tuple{6, "fd00::1", "fd00::2"},
                    std::tuple{17, "fd00::1", "fd00::2"}, std::tuple{132, "fd00::1", "fd00::2"},
                    std::tuple{58, "fd00::1", "fd00::2"}));

// A port unreachable that Linux 6.18 sent over its loopback, which leaves the quoted UDP checksum
// to a device that never comes.
TEST(Packet, ReadsBytesThatLinuxSent) {
  const Packet captured = {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                           0x00, 0x08, 0x00, 0x45, 0xc0, 0x00, 0x3f, 0x69, 0xfd, 0x00, 0x00,
                           0x40, 0x01, 0xb7, 0xd9, 0xac, 0x11, 0x00, 0x03, 0xac, 0x11, 0x00,
                           0x02, 0x03, 0x03, 0x9c, 0x01, 0x00, 0x00, 0x00, 0x00, 0x45, 0x00,
                           0x00, 0x23, 0xe0, 0x64, 0x40, 0x00, 0x40, 0x11, 0x02, 0x3e, 0xac,
                           0x11, 0x00, 0x02, 0xac, 0x11, 0x00, 0x03, 0x9c, 0x40, 0x00, 0x35,
                           0x00, 0x0f, 0x58, 0x48, 0x77, 0x61, 0x67, 0x67, 0x6c, 0x65, 0x21};
  const auto parsed = parse(captured);
  ASSERT_TRUE(parsed.has_value()) << to_string(parsed.error());
  EXPECT_EQ(to_line(*parsed),
            "172.17.0.3 > 172.17.0.2 icmp 3/3 about 172.17.0.2:40000 > 172.17.0.3:53 udp");
  EXPECT_TRUE(parsed->checksums_ok);
  EXPECT_FALSE(parsed->inner->checksums_ok);
  EXPECT_EQ(std::string(parsed->inner->payload.begin(), parsed->inner->payload.end()), "waggle!");
}

// RFC 3720, B.4: the CRC32c of 32 zero bytes is aa 36 91 8a in the order it is sent.
TEST(Packet, SctpChecksumIsCrc32c) {
  auto fields = between("10.0.1.5", "10.0.2.7");
  fields.protocol = 132;
  fields.source_port = fields.destination_port = 0;
  fields.payload.assign(20, 0);
  const auto packet = build(fields);
  EXPECT_THAT(Packet(packet.begin() + 14 + 20 + 8, packet.begin() + 14 + 20 + 12),
              ElementsAre(0xaa, 0x36, 0x91, 0x8a));
}

TEST(Packet, UdpMayComeWithoutChecksumOnIpv4Only) {
  auto fields = between("10.0.1.5", "10.0.2.7");
  fields.protocol = 17;
  fields.udp_without_checksum = true;
  comes_back(fields);
  auto six = between("fd00::1", "fd00::2");
  six.protocol = 17;
  six.udp_without_checksum = true;
  EXPECT_FALSE(parse(build(six))->checksums_ok);
}

TEST(Packet, OptionsAndExtensionHeadersComeBack) {
  auto four = between("10.0.1.5", "10.0.2.7");
  four.ip_options = {0x94, 4, 0, 0, 1, 1, 1, 0};
  comes_back(four);
  auto six = between("fd00::1", "fd00::2");
  six.first_extension = 0;
  six.extension_headers = {60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0};
  comes_back(six);
}

TEST(Packet, FragmentsComeBack) {
  for (auto fields : {between("10.0.1.5", "10.0.2.7"), between("fd00::1", "fd00::2")}) {
    fields.protocol = 17;
    fields.more_fragments = true;
    fields.ip_id = 99;
    fields.payload = {1, 2, 3, 4};
    comes_back(fields);
    fields.more_fragments = false;
    fields.fragment_offset_bytes = 1480;
    fields.source_port = fields.destination_port = 0;
    comes_back(fields);
  }
}

PacketFields error_about(const PacketFields& inner, std::uint8_t protocol, std::uint8_t type) {
  PacketFields fields = inner;
  std::swap(fields.source, fields.destination);
  fields.source_port = fields.destination_port = 0;
  fields.protocol = protocol;
  fields.icmp_type = type;
  fields.icmp_code = 3;
  fields.inner = std::make_shared<PacketFields>(inner);
  fields.inner->source_mac = fields.inner->destination_mac = {};
  return fields;
}

TEST(Packet, IcmpErrorsQuoteAPacket) {
  const auto four = error_about(between("10.0.1.5", "10.0.2.7"), protocol_icmp, 3);
  comes_back(four);
  EXPECT_EQ(to_line(four),
            "10.0.2.7 > 10.0.1.5 icmp 3/3 about 10.0.1.5:40000 > 10.0.2.7:80 tcp [S]");
  auto six = error_about(between("fd00::1", "fd00::2"), protocol_icmp6, 2);
  six.icmp_mtu = 1400;
  comes_back(six);
}

TEST(Packet, QuoteMayEndEightBytesIntoTheTransportHeader) {
  auto fields = error_about(between("10.0.1.5", "10.0.2.7"), protocol_icmp, 11);
  fields.quote_bytes = 28;
  const auto parsed = parse(build(fields));
  ASSERT_TRUE(parsed.has_value()) << to_string(parsed.error());
  EXPECT_EQ(parsed->quote_bytes, 28);
  EXPECT_EQ(parsed->inner->destination_port, 80);
  EXPECT_TRUE(parsed->checksums_ok);
  fields.quote_bytes = 27;
  EXPECT_FALSE(parse(build(fields)).has_value());
}

TEST(Packet, SpoiledQuoteIsSeen) {
  auto fields = error_about(between("10.0.1.5", "10.0.2.7"), protocol_icmp, 3);
  fields.inner->checksums_ok = false;
  const auto parsed = parse(build(fields));
  EXPECT_TRUE(parsed->checksums_ok);
  EXPECT_FALSE(parsed->inner->checksums_ok);
}

TEST(Packet, EveryCutIsRefused) {
  for (const auto& fields : {between("10.0.1.5", "10.0.2.7"), between("fd00::1", "fd00::2")}) {
    const auto packet = build(fields);
    for (std::size_t size = 0; size < packet.size(); ++size)
      EXPECT_FALSE(parse(std::span(packet).first(size)).has_value()) << size;
  }
}

TEST(Packet, ForeignEthertypeKeepsItsPayload) {
  PacketFields arp;
  arp.ethertype = 0x0806;
  arp.payload.assign(28, 7);
  comes_back(arp);
  auto wrong = between("fd00::1", "fd00::2");
  wrong.ethertype = 0x0800;
  EXPECT_FALSE(parse(build(wrong)).has_value());
}

TEST(Packet, DifferencesNameTheFieldAndBothValues) {
  const auto wanted = between("10.0.1.5", "10.0.2.7");
  auto got = wanted;
  got.destination = Address::parse("10.0.2.8").value();
  got.tcp_flags = syn | ack;
  got.ttl = 63;
  EXPECT_THAT(differences(wanted, got),
              ElementsAre("destination: 10.0.2.8 instead of 10.0.2.7", "TCP flags: SA instead of S",
                          "TTL: 63 instead of 64"));
}

}  // namespace
}  // namespace waggle::simulator
