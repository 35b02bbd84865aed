#pragma once
// Packets as fields: built, parsed, compared, printed.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "waggle/kube/address.h"
#include "waggle/kube/objects.h"

namespace waggle::simulator {

using Mac = std::array<std::uint8_t, 6>;
using Packet = std::vector<std::uint8_t>;

enum TcpFlag : std::uint8_t { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16 };

inline constexpr std::uint8_t protocol_icmp = 1;
inline constexpr std::uint8_t protocol_icmp6 = 58;

/// A packet's fields, host order. Defaults make a valid TCP SYN; tests set what they are about.
struct PacketFields {
  Mac source_mac{}, destination_mac{};
  std::uint16_t ethertype = 0;  ///< 0: by the addresses' family
  Address source, destination;  ///< of one family
  std::uint8_t protocol = 6;    ///< IANA; 1 and 58 are ICMP
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t tcp_flags = syn;
  std::uint32_t sequence = 0, acknowledgement = 0;
  std::uint8_t icmp_type = 0, icmp_code = 0;
  std::uint16_t icmp_id = 0, icmp_sequence = 0;
  std::uint32_t icmp_mtu = 0;           ///< in errors
  std::shared_ptr<PacketFields> inner;  ///< the quoted packet of an ICMP error (no Ethernet)
  std::uint16_t quote_bytes = 0;        ///< of the quoted packet, where it is cut short; 0: whole
  std::uint8_t ttl = 64;                ///< or hop limit
  std::uint16_t ip_id = 0;
  bool more_fragments = false, dont_fragment = true;
  std::uint16_t fragment_offset_bytes = 0;
  std::vector<std::uint8_t> ip_options;         ///< IPv4: a multiple of 4 bytes
  std::vector<std::uint8_t> extension_headers;  ///< IPv6: whole, chained; first one's type below
  std::uint8_t first_extension = 0;
  std::vector<std::uint8_t> payload;
  bool udp_without_checksum = false;  ///< the field is 0
  bool checksums_ok = true;  ///< parse: whether IP and L4 checksums hold; build: false spoils L4
};

/// Bytes with right checksums.
[[nodiscard]] Packet build(const PacketFields& fields);
[[nodiscard]] Result<PacketFields> parse(std::span<const std::uint8_t> packet);
/// "10.0.1.5:40000 > 10.0.2.7:80 tcp [S]"
[[nodiscard]] std::string to_line(const PacketFields& fields);
/// Field by field, one line each "destination: 10.0.0.1 instead of 10.0.0.2"; empty when equal.
[[nodiscard]] std::vector<std::string> differences(const PacketFields& wanted,
                                                   const PacketFields& got);

}  // namespace waggle::simulator
