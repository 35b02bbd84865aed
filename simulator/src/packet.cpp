#include "waggle/simulator/packet.h"

#include <fmt/format.h>

#include <algorithm>

namespace waggle::simulator {
namespace {

constexpr std::uint16_t ethertype_v4 = 0x0800, ethertype_v6 = 0x86dd;
constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17, protocol_sctp = 132;
constexpr std::uint8_t header_hop_by_hop = 0, header_routing = 43, header_fragment = 44,
                       header_authentication = 51, header_destination = 60;
using Bytes = std::span<const std::uint8_t>;

void put8(Packet& to, unsigned value) { to.push_back(static_cast<std::uint8_t>(value)); }
void put16(Packet& to, unsigned value) {
  put8(to, value >> 8 & 255);
  put8(to, value & 255);
}
void put32(Packet& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}
void put(Packet& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }
void set16(Packet& in, std::size_t at, unsigned value) {
  in[at] = static_cast<std::uint8_t>(value >> 8 & 255);
  in[at + 1] = static_cast<std::uint8_t>(value & 255);
}
std::uint16_t get16(Bytes from, std::size_t at) {
  return static_cast<std::uint16_t>(from[at] << 8 | from[at + 1]);
}
std::uint32_t get32(Bytes from, std::size_t at) {
  return std::uint32_t{get16(from, at)} << 16 | get16(from, at + 2);
}

std::uint32_t sum(Bytes bytes, std::uint32_t start = 0) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) start += get16(bytes, i);
  if (bytes.size() % 2 != 0) start += std::uint32_t{bytes.back()} << 8;
  return start;
}
std::uint16_t folded(std::uint32_t total) {
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(~total & 0xffff);
}

std::uint32_t crc32c(Bytes bytes) {
  std::uint32_t crc = ~0U;
  for (const auto byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
  }
  return ~crc;
}

Bytes address_bytes(const Address& address) {
  const Bytes all = address.bytes();
  return address.family() == Family::v4 ? all.subspan(12) : all;
}

std::uint32_t pseudo_header(const Address& source, const Address& destination,
                            std::uint8_t protocol, std::size_t length) {
  const auto size = static_cast<std::uint32_t>(length);
  return sum(address_bytes(source)) + sum(address_bytes(destination)) + protocol + (size >> 16) +
         (size & 0xffff);
}

bool is_icmp(std::uint8_t protocol) {
  return protocol == protocol_icmp || protocol == protocol_icmp6;
}
bool is_icmp_error(std::uint8_t protocol, std::uint8_t type) {
  if (protocol == protocol_icmp6) return type >= 1 && type <= 4;
  return protocol == protocol_icmp && (type == 3 || type == 11 || type == 12);
}

/// Where the checksum of a transport header stands; 0: it has none.
std::size_t checksum_offset(std::uint8_t protocol) {
  switch (protocol) {
    case protocol_tcp:
      return 16;
    case protocol_udp:
      return 6;
    case protocol_sctp:
      return 8;
    case protocol_icmp:
    case protocol_icmp6:
      return 2;
    default:
      return 0;
  }
}

std::uint32_t start_sum(const PacketFields& fields, std::size_t length) {
  if (fields.protocol == protocol_icmp) return 0;
  return pseudo_header(fields.source, fields.destination, fields.protocol, length);
}

void put_checksum(const PacketFields& fields, Packet& segment) {
  const auto at = checksum_offset(fields.protocol);
  if (at == 0) return;
  if (fields.protocol == protocol_sctp) {
    const auto crc = crc32c(segment) ^ (fields.checksums_ok ? 0U : 1U);
    for (unsigned i = 0; i < 4; ++i)
      segment[at + i] = static_cast<std::uint8_t>(crc >> (8 * i) & 255);
    return;
  }
  unsigned value = folded(sum(segment, start_sum(fields, segment.size())));
  if (!fields.checksums_ok) value = value == 0x0101 ? 0x0202 : value ^ 0x0101;
  if (fields.protocol == protocol_udp && value == 0) value = 0xffff;
  if (fields.protocol == protocol_udp && fields.udp_without_checksum) value = 0;
  set16(segment, at, value);
}

Packet build_network(const PacketFields& fields);

Packet build_icmp(const PacketFields& fields) {
  Packet segment;
  put8(segment, fields.icmp_type);
  put8(segment, fields.icmp_code);
  put16(segment, 0);
  if (fields.inner) {
    put32(segment, fields.icmp_mtu);
    auto quote = build_network(*fields.inner);
    if (fields.quote_bytes != 0 && fields.quote_bytes < quote.size())
      quote.resize(fields.quote_bytes);
    put(segment, quote);
  } else {
    put16(segment, fields.icmp_id);
    put16(segment, fields.icmp_sequence);
  }
  return segment;
}

Packet build_transport(const PacketFields& fields) {
  Packet segment;
  if (fields.fragment_offset_bytes != 0) return fields.payload;
  if (is_icmp(fields.protocol)) {
    segment = build_icmp(fields);
  } else if (checksum_offset(fields.protocol) != 0) {
    put16(segment, fields.source_port);
    put16(segment, fields.destination_port);
  }
  if (fields.protocol == protocol_tcp) {
    put32(segment, fields.sequence);
    put32(segment, fields.acknowledgement);
    put8(segment, 5 << 4);
    put8(segment, fields.tcp_flags);
    put16(segment, 65535);
    put32(segment, 0);
  } else if (fields.protocol == protocol_udp) {
    put16(segment, static_cast<unsigned>(8 + fields.payload.size()));
    put16(segment, 0);
  } else if (fields.protocol == protocol_sctp) {
    put32(segment, fields.sequence);
    put32(segment, 0);
  }
  put(segment, fields.payload);
  put_checksum(fields, segment);
  return segment;
}

Packet build_v4(const PacketFields& fields, const Packet& segment) {
  Packet packet;
  const auto header = 20 + fields.ip_options.size();
  put8(packet, static_cast<unsigned>(4 << 4 | header / 4));
  put8(packet, 0);
  put16(packet, static_cast<unsigned>(header + segment.size()));
  put16(packet, fields.ip_id);
  put16(packet, (fields.dont_fragment ? 0x4000U : 0U) | (fields.more_fragments ? 0x2000U : 0U) |
                    fields.fragment_offset_bytes / 8U);
  put8(packet, fields.ttl);
  put8(packet, fields.protocol);
  put16(packet, 0);
  put(packet, address_bytes(fields.source));
  put(packet, address_bytes(fields.destination));
  put(packet, fields.ip_options);
  set16(packet, 10, folded(sum(packet)));
  put(packet, segment);
  return packet;
}

Packet build_v6(const PacketFields& fields, const Packet& segment) {
  Packet packet;
  const bool fragment = fields.more_fragments || fields.fragment_offset_bytes != 0;
  const std::uint8_t last = fragment ? header_fragment : fields.protocol;
  put32(packet, 6U << 28);
  put16(packet, static_cast<unsigned>(fields.extension_headers.size() + (fragment ? 8 : 0) +
                                      segment.size()));
  put8(packet, fields.extension_headers.empty() ? last : fields.first_extension);
  put8(packet, fields.ttl);
  put(packet, address_bytes(fields.source));
  put(packet, address_bytes(fields.destination));
  put(packet, fields.extension_headers);
  if (fragment) {
    put16(packet, unsigned{fields.protocol} << 8);
    put16(packet, fields.fragment_offset_bytes | (fields.more_fragments ? 1U : 0U));
    put32(packet, fields.ip_id);
  }
  put(packet, segment);
  return packet;
}

Packet build_network(const PacketFields& fields) {
  WAGGLE_ASSERT(fields.source.family() == fields.destination.family());
  const auto segment = build_transport(fields);
  return fields.source.family() == Family::v4 ? build_v4(fields, segment)
                                              : build_v6(fields, segment);
}

std::unexpected<Error> malformed(std::string what) {
  return std::unexpected(Error{Error::Kind::bad_input, std::move(what), "packet", ""});
}

Result<PacketFields> parse_network(Bytes bytes, bool quoted);

Result<> parse_icmp(PacketFields& fields, Bytes segment) {
  fields.icmp_type = segment[0];
  fields.icmp_code = segment[1];
  if (!is_icmp_error(fields.protocol, fields.icmp_type)) {
    fields.icmp_id = get16(segment, 4);
    fields.icmp_sequence = get16(segment, 6);
    return {};
  }
  fields.icmp_mtu = get32(segment, 4);
  const auto quote = segment.subspan(8);
  fields.inner = std::make_shared<PacketFields>(TRY(parse_network(quote, true)));
  if (fields.inner->quote_bytes != 0) {
    fields.quote_bytes = static_cast<std::uint16_t>(quote.size());
    fields.inner->quote_bytes = 0;
  }
  return {};
}

bool checksum_holds(const PacketFields& fields, Bytes segment) {
  const auto at = checksum_offset(fields.protocol);
  if (at == 0) return true;
  if (fields.protocol == protocol_sctp) {
    Packet copy(segment.begin(), segment.end());
    const std::uint32_t stored = std::uint32_t{copy[at]} | std::uint32_t{copy[at + 1]} << 8 |
                                 std::uint32_t{copy[at + 2]} << 16 |
                                 std::uint32_t{copy[at + 3]} << 24;
    std::fill_n(copy.begin() + static_cast<std::ptrdiff_t>(at), 4, std::uint8_t{0});
    return crc32c(copy) == stored;
  }
  if (fields.udp_without_checksum) return fields.source.family() == Family::v4;
  return folded(sum(segment, start_sum(fields, segment.size()))) == 0;
}

/// `whole`: the segment is all there, so that its checksum can be judged. A quote may end after
/// eight bytes (RFC 792).
Result<> parse_transport(PacketFields& fields, Bytes segment, bool whole) {
  std::size_t header = 8;
  if (fields.protocol == protocol_tcp) header = 20;
  if (fields.protocol == protocol_sctp) header = 12;
  if (checksum_offset(fields.protocol) == 0 || fields.fragment_offset_bytes != 0) header = 0;
  if (segment.size() < (whole ? header : std::min<std::size_t>(header, 8)))
    return malformed(
        fmt::format("{} bytes are too few for protocol {}", segment.size(), fields.protocol));
  if (header != 0 && is_icmp(fields.protocol)) {
    TRY(parse_icmp(fields, segment));
    if (fields.inner) header = segment.size();
  } else if (header != 0) {
    fields.source_port = get16(segment, 0);
    fields.destination_port = get16(segment, 2);
    if (fields.protocol != protocol_udp) fields.sequence = get32(segment, 4);
    if (fields.protocol == protocol_udp) fields.udp_without_checksum = get16(segment, 6) == 0;
  }
  if (fields.protocol == protocol_tcp && header != 0) {
    fields.tcp_flags = 0;
    if (segment.size() >= header) {
      fields.acknowledgement = get32(segment, 8);
      fields.tcp_flags = segment[13];
      header = std::max<std::size_t>(header, segment[12] >> 4 << 2);
      if (whole && header > segment.size()) return malformed("the TCP header is cut short");
    }
  }
  if (whole && header != 0 && !fields.more_fragments)
    fields.checksums_ok = fields.checksums_ok && checksum_holds(fields, segment);
  const auto rest = segment.subspan(std::min(header, segment.size()));
  fields.payload.assign(rest.begin(), rest.end());
  return {};
}

Result<PacketFields> parse_v4(Bytes bytes, bool quoted) {
  const std::size_t header = (bytes[0] & 15U) * 4U;
  if (bytes.size() < 20 || header < 20 || header > bytes.size())
    return malformed("the IPv4 header is cut short");
  const std::size_t total = get16(bytes, 2);
  if (total < header || (total > bytes.size() && !quoted))
    return malformed("the IPv4 total length contradicts the packet");
  PacketFields fields;
  const auto address = [&](std::size_t at) { return Address::v4(get32(bytes, at)); };
  fields.source = address(12);
  fields.destination = address(16);
  fields.ip_id = get16(bytes, 4);
  const auto fragment = get16(bytes, 6);
  fields.dont_fragment = (fragment & 0x4000) != 0;
  fields.more_fragments = (fragment & 0x2000) != 0;
  fields.fragment_offset_bytes = static_cast<std::uint16_t>((fragment & 0x1fff) * 8);
  fields.ttl = bytes[8];
  fields.protocol = bytes[9];
  fields.ip_options.assign(bytes.begin() + 20, bytes.begin() + static_cast<std::ptrdiff_t>(header));
  fields.checksums_ok = folded(sum(bytes.first(header))) == 0;
  const bool whole = total <= bytes.size();
  if (!whole) fields.quote_bytes = 1;
  TRY(parse_transport(fields, bytes.subspan(header, std::min(total, bytes.size()) - header),
                      whole));
  return fields;
}

bool is_extension(std::uint8_t next) {
  return next == header_hop_by_hop || next == header_routing || next == header_fragment ||
         next == header_authentication || next == header_destination;
}

/// Passes over extension headers; returns how many bytes. A real fragment's header becomes fields.
Result<std::size_t> parse_extensions(PacketFields& fields, Bytes rest) {
  std::size_t at = 0;
  while (is_extension(fields.protocol)) {
    if (at + 8 > rest.size()) return malformed("an IPv6 extension header is cut short");
    std::size_t length = 8;
    if (fields.protocol == header_authentication)
      length = (rest[at + 1] + 2U) * 4U;
    else if (fields.protocol != header_fragment)
      length = (rest[at + 1] + 1U) * 8U;
    if (at + length > rest.size()) return malformed("an IPv6 extension header is cut short");
    const auto offset = get16(rest, at + 2);
    if (fields.protocol == header_fragment && (offset & 0xfff9) != 0) {
      fields.fragment_offset_bytes = offset & 0xfff8;
      fields.more_fragments = (offset & 1) != 0;
      fields.ip_id = static_cast<std::uint16_t>(get32(rest, at + 4));
      fields.protocol = rest[at];
      return at + length;
    }
    if (fields.extension_headers.empty()) fields.first_extension = fields.protocol;
    put(fields.extension_headers, rest.subspan(at, length));
    fields.protocol = rest[at];
    at += length;
  }
  return at;
}

Result<PacketFields> parse_v6(Bytes bytes, bool quoted) {
  if (bytes.size() < 40) return malformed("the IPv6 header is cut short");
  const std::size_t length = get16(bytes, 4);
  if (length + 40 > bytes.size() && !quoted)
    return malformed("the IPv6 payload length contradicts the packet");
  PacketFields fields;
  std::array<std::uint8_t, 16> address{};
  std::copy_n(bytes.begin() + 8, 16, address.begin());
  fields.source = Address::from_bytes(address);
  std::copy_n(bytes.begin() + 24, 16, address.begin());
  fields.destination = Address::from_bytes(address);
  fields.ttl = bytes[7];
  fields.protocol = bytes[6];
  const bool whole = length + 40 <= bytes.size();
  if (!whole) fields.quote_bytes = 1;
  const auto rest = bytes.subspan(40, std::min(length, bytes.size() - 40));
  const auto skipped = TRY(parse_extensions(fields, rest));
  TRY(parse_transport(fields, rest.subspan(skipped), whole));
  return fields;
}

Result<PacketFields> parse_network(Bytes bytes, bool quoted) {
  if (bytes.empty()) return malformed("there is no IP header");
  if (bytes[0] >> 4 == 4) return parse_v4(bytes, quoted);
  if (bytes[0] >> 4 == 6) return parse_v6(bytes, quoted);
  return malformed(fmt::format("IP version {}", bytes[0] >> 4));
}

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case protocol_tcp:
      return "tcp";
    case protocol_udp:
      return "udp";
    case protocol_sctp:
      return "sctp";
    case protocol_icmp:
      return "icmp";
    case protocol_icmp6:
      return "icmp6";
    default:
      return fmt::format("protocol {}", protocol);
  }
}

std::string flag_letters(std::uint8_t flags) {
  std::string letters;
  constexpr std::string_view names = "FSRPAUEC";
  for (const unsigned bit : {1U, 0U, 2U, 3U, 4U, 5U, 6U, 7U})
    if ((flags >> bit & 1) != 0) letters += names[bit];
  return letters;
}

std::string end_text(const Address& address, bool with_port, std::uint16_t port) {
  if (!with_port) return address.to_string();
  if (address.family() == Family::v6) return fmt::format("[{}]:{}", address.to_string(), port);
  return fmt::format("{}:{}", address.to_string(), port);
}

std::string icmp_text(const PacketFields& fields) {
  const bool six = fields.protocol == protocol_icmp6;
  if (fields.icmp_type == (six ? 128 : 8)) return fmt::format(" echo request {}", fields.icmp_id);
  if (fields.icmp_type == (six ? 129 : 0)) return fmt::format(" echo reply {}", fields.icmp_id);
  auto text = fmt::format(" {}/{}", fields.icmp_type, fields.icmp_code);
  if (fields.inner) text += fmt::format(" about {}", to_line(*fields.inner));
  return text;
}

std::string mac_text(const Mac& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }
std::string hex_text(const Packet& bytes) {
  return bytes.empty() ? "nothing" : fmt::format("{:02x}", fmt::join(bytes, ""));
}

class Differences {
 public:
  void row(std::string_view name, const auto& wanted, const auto& got, auto&& text) {
    if (wanted != got)
      lines_.push_back(fmt::format("{}: {} instead of {}", name, text(got), text(wanted)));
  }
  void number(std::string_view name, std::uint32_t wanted, std::uint32_t got) {
    row(name, wanted, got, [](std::uint32_t value) { return std::to_string(value); });
  }
  std::vector<std::string> lines_;
};

}  // namespace

Packet build(const PacketFields& fields) {
  Packet packet;
  put(packet, fields.destination_mac);
  put(packet, fields.source_mac);
  if (fields.ethertype != 0 && fields.ethertype != ethertype_v4 &&
      fields.ethertype != ethertype_v6) {
    put16(packet, fields.ethertype);
    put(packet, fields.payload);
    return packet;
  }
  put16(packet, fields.ethertype != 0                  ? fields.ethertype
                : fields.source.family() == Family::v4 ? ethertype_v4
                                                       : ethertype_v6);
  put(packet, build_network(fields));
  return packet;
}

Result<PacketFields> parse(std::span<const std::uint8_t> packet) {
  if (packet.size() < 14) return malformed("the Ethernet header is cut short");
  const auto ethertype = get16(packet, 12);
  PacketFields fields;
  const auto rest = packet.subspan(14);
  if (ethertype == ethertype_v4 || ethertype == ethertype_v6) {
    fields = TRY(parse_network(rest, false));
    if ((fields.source.family() == Family::v4) != (ethertype == ethertype_v4))
      return malformed("the ethertype contradicts the IP version");
  } else {
    fields.ethertype = ethertype;
    fields.payload.assign(rest.begin(), rest.end());
  }
  std::copy_n(packet.begin(), 6, fields.destination_mac.begin());
  std::copy_n(packet.begin() + 6, 6, fields.source_mac.begin());
  return fields;
}

std::string to_line(const PacketFields& fields) {
  if (fields.ethertype != 0 && fields.ethertype != ethertype_v4 && fields.ethertype != ethertype_v6)
    return fmt::format("{} > {} ethertype {:#06x}", mac_text(fields.source_mac),
                       mac_text(fields.destination_mac), fields.ethertype);
  const bool ports = !is_icmp(fields.protocol) && checksum_offset(fields.protocol) != 0 &&
                     fields.fragment_offset_bytes == 0;
  auto line = fmt::format("{} > {} {}", end_text(fields.source, ports, fields.source_port),
                          end_text(fields.destination, ports, fields.destination_port),
                          protocol_name(fields.protocol));
  if (fields.protocol == protocol_tcp && ports)
    line += fmt::format(" [{}]", flag_letters(fields.tcp_flags));
  if (is_icmp(fields.protocol)) line += icmp_text(fields);
  if (fields.more_fragments || fields.fragment_offset_bytes != 0)
    line += fmt::format(" fragment at {}", fields.fragment_offset_bytes);
  return line;
}

std::vector<std::string> differences(const PacketFields& wanted, const PacketFields& got) {
  Differences all;
  const auto address = [](const Address& value) { return value.to_string(); };
  const auto yes_no = [](bool value) { return std::string(value ? "yes" : "no"); };
  all.row("destination MAC", wanted.destination_mac, got.destination_mac, mac_text);
  all.row("source MAC", wanted.source_mac, got.source_mac, mac_text);
  all.number("ethertype", wanted.ethertype, got.ethertype);
  all.row("source", wanted.source, got.source, address);
  all.row("destination", wanted.destination, got.destination, address);
  all.number("protocol", wanted.protocol, got.protocol);
  all.number("source port", wanted.source_port, got.source_port);
  all.number("destination port", wanted.destination_port, got.destination_port);
  if (wanted.protocol == protocol_tcp) {
    all.row("TCP flags", wanted.tcp_flags, got.tcp_flags, flag_letters);
    all.number("acknowledgement", wanted.acknowledgement, got.acknowledgement);
  }
  if (wanted.protocol != protocol_udp) all.number("sequence", wanted.sequence, got.sequence);
  if (is_icmp(wanted.protocol)) {
    all.number("ICMP type", wanted.icmp_type, got.icmp_type);
    all.number("ICMP code", wanted.icmp_code, got.icmp_code);
    all.number("ICMP id", wanted.icmp_id, got.icmp_id);
    all.number("ICMP sequence", wanted.icmp_sequence, got.icmp_sequence);
    all.number("ICMP MTU", wanted.icmp_mtu, got.icmp_mtu);
    all.number("quoted bytes", wanted.quote_bytes, got.quote_bytes);
  }
  all.number("TTL", wanted.ttl, got.ttl);
  all.number("IP id", wanted.ip_id, got.ip_id);
  all.row("more fragments", wanted.more_fragments, got.more_fragments, yes_no);
  all.row("do not fragment", wanted.dont_fragment, got.dont_fragment, yes_no);
  all.number("fragment offset", wanted.fragment_offset_bytes, got.fragment_offset_bytes);
  all.row("IP options", wanted.ip_options, got.ip_options, hex_text);
  all.number("first extension header", wanted.first_extension, got.first_extension);
  all.row("extension headers", wanted.extension_headers, got.extension_headers, hex_text);
  all.row("payload", wanted.payload, got.payload, hex_text);
  all.row("UDP without checksum", wanted.udp_without_checksum, got.udp_without_checksum, yes_no);
  all.row("checksums hold", wanted.checksums_ok, got.checksums_ok, yes_no);
  all.row("quotes a packet", wanted.inner != nullptr, got.inner != nullptr, yes_no);
  if (wanted.inner && got.inner)
    for (const auto& line : differences(*wanted.inner, *got.inner))
      all.lines_.push_back("quoted " + line);
  return all.lines_;
}

}  // namespace waggle::simulator
