// The small languages inside a scenario: ends, packet lines, expectations, durations.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "waggle/abi/drop_reasons.h"
#include "waggle/simulator/scenario.h"

namespace waggle::simulator {
namespace {

using std::string;
using std::string_view;

std::unexpected<Error> bad(string what, string advice = {}) {
  return std::unexpected(Error{Error::Kind::bad_input, std::move(what), {}, std::move(advice)});
}

string_view trim(string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::vector<string_view> words_of(string_view text) {
  std::vector<string_view> words;
  for (std::size_t i = 0; i < text.size();) {
    const auto end = std::min(text.find(' ', i), text.size());
    if (end > i) words.push_back(text.substr(i, end - i));
    i = end + 1;
  }
  return words;
}

template <class T>
Result<T> number(string_view text, string_view what) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size())
    return bad(fmt::format("'{}' is no {}", text, what));
  return value;
}

Result<std::uint16_t> port_number(string_view text) {
  return number<std::uint16_t>(text, "port (0 to 65535)");
}

/// Takes "head(inner)" apart. Nothing when `text` does not start so.
std::optional<string_view> inside(string_view& text, string_view head) {
  if (!text.starts_with(head) || text.size() <= head.size() || text[head.size()] != '(') return {};
  const auto close = text.find(')');
  if (close == string_view::npos) return {};
  const auto inner = text.substr(head.size() + 1, close - head.size() - 1);
  text.remove_prefix(close + 1);
  return inner;
}

void parse_family(EndRef& end, string_view& text) {
  if (text.starts_with("/v4")) end.family = Family::v4;
  if (text.starts_with("/v6")) end.family = Family::v6;
  if (end.family) text.remove_prefix(3);
}

/// What is left behind the address: nothing, or ":PORT".
Result<EndRef> with_port(EndRef end, string_view rest) {
  if (rest.empty()) return end;
  if (rest.front() != ':') return bad(fmt::format("'{}' after an address is no port", rest));
  end.port = TRY(port_number(rest.substr(1)));
  return end;
}

Result<EndRef> parse_literal(string_view text) {
  EndRef end;
  end.kind = EndRef::Kind::address;
  if (text.starts_with("[")) {
    const auto close = text.find(']');
    if (close == string_view::npos) return bad(fmt::format("'{}' has no ']'", text));
    end.address = TRY(Address::parse(text.substr(1, close - 1)));
    return with_port(end, text.substr(close + 1));
  }
  // One colon parts address and port; more of them are an IPv6 address.
  const auto colon = text.find(':');
  const bool has_port = colon != string_view::npos && colon == text.rfind(':');
  end.address = TRY(Address::parse(has_port ? text.substr(0, colon) : text));
  return with_port(end, has_port ? text.substr(colon) : string_view{});
}

Result<EndRef> parse_object(string_view text) {
  EndRef end;
  const auto slash = text.find('/');
  end.object.namespace_name = text.substr(0, slash);
  auto rest = text.substr(slash + 1);
  const auto name_end = std::min(rest.find_first_of("/:"), rest.size());
  end.object.name = rest.substr(0, name_end);
  if (end.object.namespace_name.empty() || end.object.name.empty())
    return bad(fmt::format("'{}' is no NAMESPACE/NAME", text));
  rest.remove_prefix(name_end);
  parse_family(end, rest);
  return with_port(end, rest);
}

Result<> parse_icmp(PacketRef& packet, std::vector<string_view> words) {
  using Icmp = PacketRef::Icmp;
  packet.protocol = protocol_icmp;
  packet.tcp_flags = 0;
  const auto kind = words.empty() ? string_view{} : words[0];
  if ((kind == "echo" || kind == "echo-reply") && words.size() == 2) {
    packet.icmp = kind == "echo" ? Icmp::echo : Icmp::echo_reply;
    packet.icmp_id = TRY(number<std::uint16_t>(words[1], "ICMP id"));
    return {};
  }
  if (kind == "type" && words.size() == 4 && words[2] == "code") {
    packet.icmp = Icmp::other;
    packet.icmp_type = TRY(number<std::uint8_t>(words[1], "ICMP type"));
    packet.icmp_code = TRY(number<std::uint8_t>(words[3], "ICMP code"));
    return {};
  }
  if (kind == "too-big" && words.size() >= 2) {
    packet.icmp = Icmp::too_big;
    packet.icmp_mtu = TRY(number<std::uint32_t>(words[1], "MTU"));
    words.erase(words.begin());
  } else if (kind == "unreachable") {
    packet.icmp = Icmp::unreachable;
  } else if (kind == "ttl-exceeded") {
    packet.icmp = Icmp::ttl_exceeded;
  }
  if (packet.icmp != Icmp::none && words.size() == 3 && words[1] == "about") {
    packet.about = words[2];
    return {};
  }
  if (packet.icmp != Icmp::none && words.size() == 1) return {};  // `with: {quote: ...}`
  return bad(
      fmt::format("'icmp {}' is not understood", fmt::join(words, " ")),
      "echo ID, echo-reply ID, type N code N, unreachable|too-big MTU|ttl-exceeded about LABEL");
}

Result<std::uint8_t> parse_protocol(string_view text) {
  if (text == "tcp") return std::uint8_t{6};
  if (text == "udp") return std::uint8_t{17};
  if (text == "sctp") return std::uint8_t{132};
  return bad(fmt::format("protocol '{}' is not tcp, udp or sctp", text));
}

Result<> parse_transport(PacketRef& packet, string_view destination, string_view flags) {
  const auto slash = destination.rfind('/');
  if (slash == string_view::npos)
    return bad("the destination names no protocol", "write HOST:PORT/tcp");
  packet.protocol = TRY(parse_protocol(destination.substr(slash + 1)));
  packet.destination = TRY(parse_end(destination.substr(0, slash)));
  if (!packet.destination.port) return bad("the destination names no port", "write HOST:PORT/tcp");
  if (packet.protocol != 6) packet.tcp_flags = 0;
  if (flags.empty()) return {};
  if (packet.protocol != 6) return bad("only TCP has flags");
  if (!flags.starts_with('[') || !flags.ends_with(']'))
    return bad(fmt::format("'{}' is not flags in brackets", flags), "as in [SA]");
  packet.tcp_flags = TRY(parse_tcp_flags(flags.substr(1, flags.size() - 2)));
  return {};
}

Result<std::uint32_t> parse_reason(string_view name) {
#define WAGGLE_REASON(reason, number, text) \
  if (name == #reason) return std::uint32_t{number};
  DP_DROP_REASONS(WAGGLE_REASON)
#undef WAGGLE_REASON
  return bad(fmt::format("'{}' is no drop reason", name), "see waggle/abi/drop_reasons.h");
}

Result<> parse_drop_place(Expectation& expectation, string_view place) {
  const auto slash = place.find('/');
  if (slash != string_view::npos) expectation.node = place.substr(0, slash);
  expectation.hook = slash == string_view::npos ? place : place.substr(slash + 1);
  static constexpr std::array hooks = {"from_container", "to_container", "from_netdev",
                                       "to_netdev"};
  if (std::ranges::find(hooks, expectation.hook) == hooks.end())
    return bad(fmt::format("'{}' is no hook", expectation.hook));
  return {};
}

Result<> parse_delivery(Expectation& expectation, std::vector<string_view> words) {
  std::size_t i = 0;
  if (words.size() >= 2 && words[0] == "as") {
    expectation.as = words[1];
    i = 2;
  } else if (words.size() >= 3 && words[0] == "not" && words[1] == "as") {
    expectation.as = words[2];
    expectation.differs = true;
    i = 3;
  } else if (!words.empty() && words[0] != "from" && words[0] != "to") {
    expectation.where = words[0];
    i = 1;
    if (expectation.where.find('/') == string::npos)
      return bad(fmt::format("'{}' is no NAMESPACE/POD", expectation.where));
  }
  for (; i + 1 < words.size(); i += 2) {
    auto& end = words[i] == "from" ? expectation.from : expectation.to;
    if (words[i] != "from" && words[i] != "to")
      return bad(fmt::format("'{}' is neither 'from' nor 'to'", words[i]));
    end = TRY(parse_end(words[i + 1]));
  }
  if (i != words.size()) return bad(fmt::format("'{}' has nothing behind it", words[i]));
  return {};
}

}  // namespace

Result<EndRef> parse_end(string_view text) {
  text = trim(text);
  EndRef end;
  auto rest = text;
  if (const auto address = inside(rest, "world")) {
    end.kind = EndRef::Kind::world;
    end.address = TRY(Address::parse(*address));
    return with_port(end, rest);
  }
  if (const auto node = inside(rest, "node")) {
    end.kind = EndRef::Kind::node;
    end.node = *node;
    parse_family(end, rest);
    return with_port(end, rest);
  }
  if (text.find('/') != string_view::npos) return parse_object(text);
  return parse_literal(text);
}

Result<PacketRef> parse_packet_line(string_view text) {
  const auto arrow = text.find('>');
  if (arrow == string_view::npos) return bad("a packet needs 'SOURCE > DESTINATION'");
  PacketRef packet;
  packet.source = TRY(parse_end(text.substr(0, arrow)));
  auto words = words_of(text.substr(arrow + 1));
  if (words.empty()) return bad("a packet needs a destination");
  if (words.size() > 1 && words[1] == "icmp") {
    packet.destination = TRY(parse_end(words[0]));
    if (packet.source.port || packet.destination.port) return bad("ICMP has no ports");
    TRY(parse_icmp(packet, {words.begin() + 2, words.end()}));
    return packet;
  }
  if (words.size() > 2) return bad(fmt::format("'{}' is not understood", words[2]));
  TRY(parse_transport(packet, words[0], words.size() > 1 ? words[1] : string_view{}));
  return packet;
}

Result<std::uint8_t> parse_tcp_flags(string_view letters) {
  static constexpr std::array<std::pair<char, unsigned>, 5> all = {
      {{'F', fin}, {'S', syn}, {'R', rst}, {'P', psh}, {'A', ack}}};
  unsigned flags = 0;
  for (const char letter : letters) {
    const auto* found = std::ranges::find(all, letter, &std::pair<char, unsigned>::first);
    if (found == all.end()) return bad(fmt::format("'{}' is no TCP flag", letter), "F S R P A");
    flags |= found->second;
  }
  return static_cast<std::uint8_t>(flags);
}

Result<Expectation> parse_expectation(string_view text) {
  Expectation expectation;
  expectation.text = text;
  const auto words = words_of(text);
  if (words.empty()) return bad("an expectation is missing");
  const std::vector<string_view> rest(words.begin() + 1, words.end());
  if (words[0] == "delivered") {
    TRY(parse_delivery(expectation, rest));
  } else if (words[0] == "dropped") {
    expectation.fate = Walk::Fate::dropped;
    if (rest.size() != 1 && (rest.size() != 3 || rest[1] != "at"))
      return bad("a drop is 'dropped REASON [at [NODE/]HOOK]'");
    expectation.reason = TRY(parse_reason(rest[0]));
    if (rest.size() == 3) TRY(parse_drop_place(expectation, rest[2]));
  } else if (words[0] == "answered") {
    expectation.fate = Walk::Fate::answered;
    if (rest.size() != 1 || rest[0] != "icmp-unreachable")
      return bad("an answer is 'answered icmp-unreachable'");
  } else if (words[0] == "stack" || words[0] == "world") {
    expectation.fate = words[0] == "stack" ? Walk::Fate::stack : Walk::Fate::world;
    if (rest.size() > 1) return bad(fmt::format("'{}' is not understood", rest[1]));
    if (!rest.empty()) expectation.where = rest[0];
  } else {
    return bad(fmt::format("'{}' is no fate", words[0]),
               "delivered, dropped, answered, stack or world");
  }
  return expectation;
}

Result<Nanoseconds> parse_duration(string_view text) {
  static constexpr std::array<std::pair<string_view, std::int64_t>, 6> units = {
      {{"ns", 1},
       {"us", 1'000},
       {"ms", 1'000'000},
       {"s", 1'000'000'000},
       {"m", 60'000'000'000},
       {"h", 3'600'000'000'000}}};
  std::int64_t total = 0;
  auto rest = trim(text);
  if (rest.empty()) return bad("a duration is missing");
  for (std::int64_t sign = 1; !rest.empty();) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc{} || value < 0) return bad(fmt::format("'{}' is no duration", text));
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto unit_end = std::min(rest.find_first_of("+- "), rest.size());
    const auto* unit = std::ranges::find(units, rest.substr(0, unit_end),
                                         &std::pair<string_view, std::int64_t>::first);
    if (unit == units.end() || value > 1'000'000'000)
      return bad(fmt::format("'{}' is no duration", text), "as in 1s, 500ms or 60s-1ns");
    total += sign * value * unit->second;
    rest = trim(rest.substr(unit_end));
    if (rest.empty()) break;
    if (rest.front() != '+' && rest.front() != '-')
      return bad(fmt::format("'{}' is no duration", text), "as in 1s, 500ms or 60s-1ns");
    sign = rest.front() == '-' ? -1 : 1;
    rest = trim(rest.substr(1));
    if (rest.empty()) return bad(fmt::format("'{}' is no duration", text));
  }
  return Nanoseconds(total);
}

Result<> set_knob(dp_config& config, string_view name, std::uint32_t value) {
  if (name == "simulated") return bad("knob 'simulated' is the engine's own");
  const auto check = [&](std::uint32_t min, std::uint32_t max) -> Result<> {
    if (value >= min && value <= max) return {};
    return bad(fmt::format("{} {} is not in {} to {}", name, value, min, max));
  };
#define WAGGLE_KNOB(type, knob, initial, min, max, help) \
  if (name == #knob) {                                   \
    TRY(check(min, max));                                \
    config.knob = value;                                 \
    return {};                                           \
  }
  DP_CONFIG(WAGGLE_KNOB)
#undef WAGGLE_KNOB
  return bad(fmt::format("'{}' is no knob of the datapath", name), "see waggle/abi/config.h");
}

}  // namespace waggle::simulator
