#include "runner_expect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace waggle::simulator {
namespace {

using std::string;
using Lines = std::vector<string>;

string end_text(const Address& address, std::uint16_t port) {
  if (port == 0) return address.to_string();
  if (address.family() == Family::v6) return fmt::format("[{}]:{}", address.to_string(), port);
  return fmt::format("{}:{}", address.to_string(), port);
}

void end_differs(Lines& lines, const char* what, const EndRef& wanted, const Address& address,
                 std::uint16_t port, const AddressNames& names) {
  const auto candidates = names.of(wanted);
  if (!candidates) {
    lines.push_back(fmt::format("{}: {}", what, candidates.error().what));
    return;
  }
  const bool there = std::ranges::any_of(*candidates, [&](const Address& candidate) {
    return candidate == address && (!wanted.family || *wanted.family == address.family());
  });
  if (there && (!wanted.port || *wanted.port == port)) return;
  string texts;
  for (const auto& candidate : *candidates)
    if (candidate.family() == address.family())
      texts += (texts.empty() ? "" : " or ") + end_text(candidate, wanted.port.value_or(0));
  lines.push_back(fmt::format("{}: {} instead of {}", what, end_text(address, port), texts));
}

bool matches(const string& pattern, const string& text) {
  if (pattern.ends_with('*')) return text.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == text;
}

bool unreachable(const PacketFields& fields) {
  if (fields.protocol == protocol_icmp) return fields.icmp_type == 3 && fields.icmp_code == 3;
  return fields.protocol == protocol_icmp6 && fields.icmp_type == 1 && fields.icmp_code == 4;
}

const char* connection_name(unsigned state) {
  static constexpr std::array names = {"none", "new", "established", "reply", "related"};
  return state < names.size() ? names[state] : "?";
}

string rule_name(const agent::Provenance& provenance, std::uint32_t rule) {
  if (rule == 0) return "none";
  if (rule == agent::rule_not_isolated) return "not-isolated";
  if (rule == agent::rule_host) return "host";
  const auto found = provenance.rules.find(rule);
  return found == provenance.rules.end() ? fmt::format("unknown rule {}", rule)
                                         : found->second.policy.to_string();
}

string backend_name(const agent::Provenance& provenance, std::uint32_t backend) {
  if (backend == 0) return "none";
  const auto found = provenance.backends.find(backend);
  if (found == provenance.backends.end()) return fmt::format("unknown backend {}", backend);
  if (found->second.pod.name.empty()) return found->second.address;
  return found->second.pod.to_string();
}

string flags_text(unsigned flags) {
  static constexpr std::array<std::pair<unsigned, const char*>, 6> names = {
      {{DP_FLAG_TRANSLATED, "translated"},
       {DP_FLAG_REVERSED, "reversed"},
       {DP_FLAG_HAIRPIN, "hairpin"},
       {DP_FLAG_CACHED, "cached"},
       {DP_FLAG_AFFINITY, "affinity"},
       {DP_FLAG_RATE_LIMITED, "rate-limited"}}};
  string text;
  for (const auto& [flag, name] : names)
    if ((flags & flag) != 0) text += (text.empty() ? "" : " ") + string(name);
  return text.empty() ? "none" : text;
}

template <class T>
void differs(Lines& lines, const char* what, const std::optional<T>& wanted, const T& got) {
  if (wanted && *wanted != got)
    lines.push_back(fmt::format("{}: {} instead of {}", what, got, *wanted));
}

}  // namespace

string outcome_of(const Walk& walk, const PacketFields* packet) {
  if (walk.fate == Walk::Fate::dropped)
    return fmt::format("dropped {} at {}", kernel::drop_name(walk.drop_reason()), walk.where);
  string text = fmt::format("{} {}", to_string(walk.fate), walk.where);
  if (packet != nullptr && walk.fate != Walk::Fate::lost)
    text += fmt::format(" from {} to {}", end_text(packet->source, packet->source_port),
                        end_text(packet->destination, packet->destination_port));
  return text;
}

Lines unmet(const Expectation& wanted, const string& as, const Judged& judged) {
  const auto& walk = judged.walk;
  if (walk.fate != wanted.fate)
    return {fmt::format("{} instead of {}", to_string(walk.fate), to_string(wanted.fate))};
  Lines lines;
  if (wanted.fate == Walk::Fate::dropped) {
    if (walk.drop_reason() != wanted.reason)
      lines.push_back(fmt::format("{} instead of {}", kernel::drop_name(walk.drop_reason()),
                                  kernel::drop_name(wanted.reason)));
    const auto slash = walk.where.find('/');
    if ((!wanted.node.empty() && wanted.node != walk.where.substr(0, slash)) ||
        (!wanted.hook.empty() && wanted.hook != walk.where.substr(slash + 1)))
      lines.push_back(fmt::format("at {}", walk.where));
    return lines;
  }
  if (wanted.fate == Walk::Fate::answered) {
    if (judged.packet == nullptr || !unreachable(*judged.packet))
      lines.push_back("the answer is not ICMP port unreachable");
    return lines;
  }
  if (!wanted.where.empty() && !matches(wanted.where, walk.where))
    lines.push_back(fmt::format("{} instead of {}", walk.where, wanted.where));
  if (!wanted.as.empty() && (as == walk.where) == wanted.differs)
    lines.push_back(fmt::format("{} {} {}", walk.where, wanted.differs ? "as" : "instead of", as));
  if (judged.packet == nullptr) return lines;
  const auto& packet = *judged.packet;
  if (wanted.from)
    end_differs(lines, "from", *wanted.from, packet.source, packet.source_port, judged.names);
  if (wanted.to)
    end_differs(lines, "to", *wanted.to, packet.destination, packet.destination_port, judged.names);
  return lines;
}

Lines unmet(const RecordExpectation& wanted, const Judged& judged) {
  const auto hop = std::ranges::find_if(judged.walk.hops, [&](const Hop& candidate) {
    return kernel::hook_name(candidate.hook) == wanted.hook;
  });
  if (hop == judged.walk.hops.end()) return {fmt::format("it did not pass {}", wanted.hook)};
  Lines lines;
  const auto& verdict = hop->verdict;
  differs(lines, "rule", wanted.rule, rule_name(judged.provenance, verdict.rule));
  differs(lines, "backend", wanted.backend, backend_name(judged.provenance, verdict.backend));
  differs(lines, "connection", wanted.connection, string(connection_name(verdict.ct_state)));
  const unsigned flags = verdict.flags;
  if ((flags & wanted.flags) != wanted.flags)
    lines.push_back(
        fmt::format("flags: {} lack {}", flags_text(flags), flags_text(wanted.flags & ~flags)));
  if ((flags & wanted.flags_absent) != 0)
    lines.push_back(fmt::format("flags: {} are set", flags_text(flags & wanted.flags_absent)));
  for (auto& line : lines) line = wanted.hook + " " + line;
  return lines;
}

Lines unmet(const PacketExpectation& wanted, const Judged& judged) {
  if (judged.packet == nullptr) return {"the packet cannot be parsed"};
  const auto& packet = *judged.packet;
  Lines lines;
  const auto end = [&](const char* what, const auto& ref, const Address& address,
                       std::uint16_t port) {
    if (ref) end_differs(lines, what, *ref, address, port, judged.names);
  };
  end("source", wanted.source, packet.source, packet.source_port);
  end("destination", wanted.destination, packet.destination, packet.destination_port);
  if (packet.inner) {
    end("inner source", wanted.inner_source, packet.inner->source, packet.inner->source_port);
    end("inner destination", wanted.inner_destination, packet.inner->destination,
        packet.inner->destination_port);
  } else if (wanted.inner_source || wanted.inner_destination) {
    lines.emplace_back("it quotes no packet");
  }
  differs(lines, "ttl", wanted.ttl, packet.ttl);
  differs(lines, "payload", wanted.payload_bytes,
          static_cast<std::uint16_t>(packet.payload.size()));
  differs(lines, "icmp mtu", wanted.icmp_mtu, packet.icmp_mtu);
  if (wanted.icmp &&
      (packet.icmp_type != wanted.icmp->first || packet.icmp_code != wanted.icmp->second))
    lines.push_back(fmt::format("icmp: {}/{} instead of {}/{}", packet.icmp_type, packet.icmp_code,
                                wanted.icmp->first, wanted.icmp->second));
  constexpr std::size_t ethernet_bytes = 14;
  const auto length = judged.walk.packet.size() - ethernet_bytes;
  if (wanted.length_bytes_max && length > *wanted.length_bytes_max)
    lines.push_back(fmt::format("length: {} is above {}", length, *wanted.length_bytes_max));
  return lines;
}

Lines hop_lines(const Judged& judged) {
  static constexpr std::array kinds = {"no verdict", "drop",    "local pod", "node",
                                       "stack",      "deliver", "answer",    "wire"};
  Lines lines;
  for (const auto& hop : judged.walk.hops) {
    const auto& verdict = hop.verdict;
    const unsigned kind = verdict.kind, flags = verdict.flags;
    string line = fmt::format("{}/{}: {}", hop.node, kernel::hook_name(hop.hook),
                              kind < kinds.size() ? kinds[kind] : "?");
    if (verdict.reason != 0) line += fmt::format(" {}", kernel::drop_name(verdict.reason));
    line += fmt::format(", identity {} to {}, connection {}", unsigned{verdict.source_identity},
                        unsigned{verdict.destination_identity}, connection_name(verdict.ct_state));
    if (verdict.rule != 0)
      line += fmt::format(", rule {}", rule_name(judged.provenance, verdict.rule));
    if (verdict.backend != 0)
      line += fmt::format(", backend {}", backend_name(judged.provenance, verdict.backend));
    if (flags != 0) line += fmt::format(", {}", flags_text(flags));
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace waggle::simulator
