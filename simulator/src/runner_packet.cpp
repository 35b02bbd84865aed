#include "runner_packet.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace waggle::simulator {
namespace {

std::unexpected<Error> bad(std::string what) {
  return std::unexpected(Error{Error::Kind::bad_input, std::move(what), {}, {}});
}

bool has(const std::vector<Address>& addresses, Family family) {
  return std::ranges::any_of(addresses, [&](const auto& a) { return a.family() == family; });
}

std::optional<Family> named_family(const EndRef& end) {
  if (end.family) return end.family;
  if (end.kind == EndRef::Kind::address || end.kind == EndRef::Kind::world)
    return end.address.family();
  return {};
}

Result<Family> family_of(const AddressNames& names, const PacketRef& line) {
  const auto from = named_family(line.source), to = named_family(line.destination);
  if (from && to && *from != *to) return bad("source and destination are of two families");
  if (from || to) return from ? *from : *to;
  const auto sources = TRY(names.of(line.source));
  const auto destinations = TRY(names.of(line.destination));
  for (const auto family : {Family::v4, Family::v6})
    if (has(sources, family) && has(destinations, family)) return family;
  return bad("source and destination have no family in common");
}

Result<Origin> origin_of(const AddressNames& names, const EndRef& source) {
  Origin origin;
  switch (source.kind) {
    case EndRef::Kind::object:
      if (!names.is_pod(source.object))
        return bad(fmt::format("{} is no pod, it cannot send", source.object.to_string()));
      origin.pod = source.object;
      return origin;
    case EndRef::Kind::node:
      origin.kind = Origin::Kind::node;
      origin.node = source.node;
      return origin;
    case EndRef::Kind::world:
      origin.kind = Origin::Kind::world;
      return origin;
    case EndRef::Kind::address:
      break;
  }
  return bad("an address cannot send; write world(ADDRESS) or a pod with another source");
}

void set_icmp(PacketFields& fields, const PacketRef& line, Family family) {
  using Icmp = PacketRef::Icmp;
  const bool six = family == Family::v6;
  const auto set = [&](int type, int code) {
    fields.icmp_type = static_cast<std::uint8_t>(type);
    fields.icmp_code = static_cast<std::uint8_t>(code);
  };
  fields.protocol = six ? protocol_icmp6 : protocol_icmp;
  fields.icmp_id = line.icmp_id;
  fields.icmp_sequence = 1;
  fields.icmp_mtu = line.icmp_mtu;
  switch (line.icmp) {
    case Icmp::echo:
      return set(six ? 128 : 8, 0);
    case Icmp::echo_reply:
      return set(six ? 129 : 0, 0);
    case Icmp::unreachable:
      return six ? set(1, 4) : set(3, 3);
    case Icmp::too_big:
      return six ? set(2, 0) : set(3, 4);
    case Icmp::ttl_exceeded:
      return six ? set(3, 0) : set(11, 0);
    case Icmp::other:
    case Icmp::none:
      return set(line.icmp_type, line.icmp_code);
  }
}

bool quotes(const PacketRef& line) {
  using Icmp = PacketRef::Icmp;
  return line.icmp == Icmp::unreachable || line.icmp == Icmp::too_big ||
         line.icmp == Icmp::ttl_exceeded;
}

/// The chain as bytes. Each header's first byte names the next one; the last names `protocol`.
std::vector<std::uint8_t> extension_bytes(const std::vector<std::uint8_t>& types,
                                          std::uint8_t protocol) {
  constexpr std::uint8_t authentication = 51, hop_by_hop = 0, destination = 60, fragment = 44;
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const auto start = bytes.size();
    bytes.resize(start + (types[i] == authentication ? 24 : 8));
    bytes[start] = i + 1 < types.size() ? types[i + 1] : protocol;
    if (types[i] == authentication) bytes[start + 1] = 4;
    if (types[i] == fragment) bytes[start + 3] = 1;  // more fragments follow
    if (types[i] == hop_by_hop || types[i] == destination) {
      bytes[start + 2] = 1;  // PadN
      bytes[start + 3] = 4;
    }
  }
  return bytes;
}

void apply_overrides(PacketFields& fields, const Overrides& with) {
  const auto set = [](auto& field, const auto& value) {
    if (value) field = *value;
  };
  set(fields.source, with.source);
  set(fields.destination, with.destination);
  set(fields.source_mac, with.source_mac);
  set(fields.destination_mac, with.destination_mac);
  set(fields.ethertype, with.ethertype);
  set(fields.protocol, with.protocol);
  set(fields.ttl, with.ttl);
  set(fields.fragment_offset_bytes, with.fragment_offset_bytes);
  set(fields.more_fragments, with.more_fragments);
  set(fields.quote_bytes, with.quote_bytes);
  if (with.fragment_offset_bytes || with.more_fragments) fields.dont_fragment = false;
  if (with.ip_options_bytes) fields.ip_options.assign(*with.ip_options_bytes, 1);
  if (with.payload_bytes) {
    fields.payload.resize(*with.payload_bytes);
    for (std::size_t i = 0; i < fields.payload.size(); ++i)
      fields.payload[i] = static_cast<std::uint8_t>('a' + i % 26);
  }
  if (!with.extensions.empty()) {
    fields.first_extension = with.extensions.front();
    fields.extension_headers = extension_bytes(with.extensions, fields.protocol);
  }
  fields.udp_without_checksum = with.udp_without_checksum;
  fields.checksums_ok = !with.spoiled_checksum;
}

}  // namespace

void AddressNames::learn(const kube::Cluster& cluster) {
  for (const auto& [key, pod] : cluster.pods)
    if (!pod.addresses.empty()) pods_[key] = pod.addresses;
  for (const auto& [key, service] : cluster.services)
    if (!service.cluster_ips.empty()) services_[key] = service.cluster_ips;
  for (const auto& [key, node] : cluster.nodes) nodes_[key.name] = node.addresses;
}

Result<std::vector<Address>> AddressNames::of(const EndRef& end) const {
  if (end.kind == EndRef::Kind::address || end.kind == EndRef::Kind::world)
    return std::vector{end.address};
  if (end.kind == EndRef::Kind::node) {
    const auto found = nodes_.find(end.node);
    if (found == nodes_.end()) return bad(fmt::format("there is no node '{}'", end.node));
    return found->second;
  }
  for (const auto* objects : {&pods_, &services_})
    if (const auto found = objects->find(end.object); found != objects->end()) return found->second;
  return bad(fmt::format("there is no pod or service '{}'", end.object.to_string()));
}

Result<Address> AddressNames::in_family(const EndRef& end, Family family) const {
  for (const auto& address : TRY(of(end)))
    if (address.family() == family) return address;
  return bad(fmt::format("'{}' has no {} address",
                         end.kind == EndRef::Kind::node ? end.node : end.object.to_string(),
                         family == Family::v4 ? "IPv4" : "IPv6"));
}

Result<Outgoing> make_packet(const AddressNames& names, const PacketRef& line,
                             const Overrides& with, const PacketFields* quoted) {
  const auto family = TRY(family_of(names, line));
  Outgoing out;
  auto& fields = out.fields;
  fields.source = TRY(names.in_family(line.source, family));
  fields.destination = TRY(names.in_family(line.destination, family));
  fields.protocol = line.protocol;
  fields.tcp_flags = line.tcp_flags;
  if (line.icmp != PacketRef::Icmp::none) {
    set_icmp(fields, line, family);
  } else {
    fields.source_port = line.source.port.value_or(40000);
    fields.destination_port = line.destination.port.value_or(0);
  }
  if (with.quote) {
    const auto inner_line = TRY(parse_packet_line(*with.quote));
    auto inner = TRY(make_packet(names, inner_line, {}, nullptr));
    fields.inner = std::make_shared<PacketFields>(std::move(inner.fields));
  } else if (quotes(line)) {
    if (quoted == nullptr) return bad("the ICMP error quotes no packet");
    fields.inner = std::make_shared<PacketFields>(*quoted);
  }
  apply_overrides(fields, with);
  // A quoted packet may start from anywhere; only what is sent needs a sender.
  if (const auto origin = origin_of(names, line.source); origin)
    out.from = *origin;
  else if (line.source.kind != EndRef::Kind::object)
    return std::unexpected(origin.error());
  return out;
}

Result<Outgoing> make_reply(const Walk& walk, std::optional<std::uint8_t> tcp_flags,
                            const Overrides& with) {
  const auto request = TRY(parse(walk.packet));
  Outgoing out;
  auto& fields = out.fields;
  fields.source = request.destination;
  fields.destination = request.source;
  fields.protocol = request.protocol;
  fields.source_port = request.destination_port;
  fields.destination_port = request.source_port;
  fields.tcp_flags = request.protocol == 6 ? tcp_flags.value_or(syn | ack) : std::uint8_t{0};
  if (request.protocol == protocol_icmp || request.protocol == protocol_icmp6) {
    fields.icmp_type = request.protocol == protocol_icmp ? 0 : 129;
    fields.icmp_id = request.icmp_id;
    fields.icmp_sequence = request.icmp_sequence;
  }
  switch (walk.fate) {
    case Walk::Fate::delivered: {
      const auto slash = walk.where.find('/');
      out.from.pod = {walk.where.substr(0, slash), walk.where.substr(slash + 1)};
      break;
    }
    case Walk::Fate::stack:
      out.from.kind = Origin::Kind::node;
      out.from.node = walk.where;
      break;
    case Walk::Fate::world:
      out.from.kind = Origin::Kind::world;
      break;
    default:
      return bad(fmt::format("the packet was {}; nobody can reply to it", to_string(walk.fate)));
  }
  apply_overrides(fields, with);
  return out;
}

}  // namespace waggle::simulator
