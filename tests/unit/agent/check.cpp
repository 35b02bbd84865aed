#include "check.h"

#include <algorithm>
#include <set>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "waggle/abi/identities.h"

namespace waggle::agent {

namespace {

std::set<std::uint32_t, std::greater<>> lengths_of(const Tables& tables) {
  std::set<std::uint32_t, std::greater<>> lengths;
  for (const auto& [key, value] : tables.policy) lengths.insert(key.prefix_bits);
  return lengths;
}

std::optional<dp_policy> longest(const Tables& tables, dp_policy_key wanted,
                                 const std::set<std::uint32_t, std::greater<>>& lengths) {
  const auto port = ntohs(wanted.port);
  const auto protocol = wanted.protocol;
  for (const auto bits : lengths) {
    const auto port_bits = bits < 80 ? 0 : bits - 80;
    wanted.prefix_bits = bits;
    wanted.protocol = bits < 80 ? std::uint8_t{0} : protocol;
    wanted.port = htons(static_cast<std::uint16_t>(port & ~(0xffffU >> port_bits)));
    const auto it = tables.policy.find(wanted);
    if (it != tables.policy.end()) return it->second;
  }
  return std::nullopt;
}

std::optional<dp_policy> look_up(const Tables& tables, std::uint32_t subject, std::uint32_t peer,
                                 dp_direction direction, std::uint8_t protocol, std::uint16_t port,
                                 const std::set<std::uint32_t, std::greater<>>& lengths) {
  dp_policy_key key{};
  key.subject = htonl(subject);
  key.peer = htonl(peer);
  key.direction = static_cast<std::uint8_t>(direction);
  key.protocol = protocol;
  key.port = htons(port);
  const auto named = longest(tables, key, lengths);
  key.peer = htonl(DP_IDENTITY_ANY);
  const auto any = longest(tables, key, lengths);
  if (!named || !any) return named ? named : any;
  if (named->precedence != any->precedence) {
    return named->precedence > any->precedence ? named : any;
  }
  return any->verdict == DP_POLICY_DENY ? any : named;
}

const dp_endpoint* endpoint_of(const Tables& tables, const Address& address) {
  dp_endpoint_key key{};
  key.address = to_abi(address);
  for (; key.zone < 8; ++key.zone) {
    const auto it = tables.endpoints.find(key);
    if (it != tables.endpoints.end()) return &it->second;
  }
  return nullptr;
}

std::optional<bool> allows(const Tables& tables, const Flow& flow, dp_direction direction,
                           const std::set<std::uint32_t, std::greater<>>& lengths) {
  const bool in = direction == DP_INGRESS;
  const auto* endpoint = endpoint_of(tables, in ? flow.destination : flow.source);
  if (endpoint == nullptr) return std::nullopt;
  const auto peer = identity_of(tables, in ? flow.source : flow.destination);
  const auto entry =
      look_up(tables, endpoint->identity, peer, direction, flow.protocol, flow.port, lengths);
  return entry && entry->verdict == DP_POLICY_ALLOW;
}

std::string broken_service(const Tables& tables, const dp_service_key& key,
                           const dp_service& service) {
  const auto name = fmt::format("{}:{}", from_abi(key.address).to_string(), ntohs(key.port));
  const auto reverse = tables.reverse_nat.find({.frontend = service.frontend});
  if (reverse == tables.reverse_nat.end() || !same_bytes(reverse->second.address, key.address) ||
      reverse->second.port != key.port || reverse->second.protocol != key.protocol) {
    return fmt::format("L4: {} is not what reverse_nat says of frontend {}", name,
                       service.frontend);
  }
  if (service.size == 0) return {};
  const auto region = tables.maglev.find(service.base);
  for (std::uint32_t i = 0; i < service.size; ++i) {
    const bool held = region != tables.maglev.end() && i < region->second.size();
    const auto id = held ? region->second[i] : 0;
    const auto backend = tables.backends.find({.id = id});
    if (backend == tables.backends.end()) {
      return fmt::format("L1: {} position {} names backend {}, which is not there", name, i, id);
    }
    if (backend->second.service != service.service) {
      return fmt::format("L2: {} position {} names backend {} of another service", name, i, id);
    }
    const bool eligible =
        backend->second.state == DP_BACKEND_ACTIVE || (service.flags & DP_SERVICE_TERMINATING) != 0;
    if (!eligible) {
      return fmt::format("L2: {} position {} names backend {}, which is terminating", name, i, id);
    }
  }
  return {};
}

// After a store only the frontends that read the position have to be looked at.
std::string broken_after(const Tables& tables, const TableOp& op) {
  if (op.kind == TableOp::Kind::generation) return {};
  if (op.kind == TableOp::Kind::store) {
    const auto position = op.key.as<std::uint32_t>();
    for (const auto& [key, service] : tables.services) {
      if (position - service.base >= service.size) continue;
      if (auto broken = broken_service(tables, key, service); !broken.empty()) return broken;
    }
    return {};
  }
  const bool concerns_services = op.table == TableId::services || op.table == TableId::backends ||
                                 op.table == TableId::reverse_nat;
  return concerns_services ? broken_services(tables) : std::string{};
}

// The port below which verdicts lie: does this operation bear on one?
bool judges(const TableOp& op) {
  if (op.kind == TableOp::Kind::store || op.kind == TableOp::Kind::generation) return false;
  return op.table == TableId::policy || op.table == TableId::ipcache ||
         op.table == TableId::ipcache_prefix || op.table == TableId::endpoints;
}

struct Watched {
  Flow flow;
  dp_direction direction;
  std::optional<bool> before, after;
};

std::string text(const std::optional<bool>& verdict) {
  return verdict ? *verdict ? "allowed" : "denied" : "no endpoint";
}

std::string third_verdict(const Tables& tables, const std::vector<Watched>& watched) {
  const auto lengths = lengths_of(tables);
  for (const auto& one : watched) {
    const auto now = allows(tables, one.flow, one.direction, lengths);
    // A missing endpoint drops, as a denial does.
    const auto same = [&](const auto& verdict) {
      return now.value_or(false) == verdict.value_or(false);
    };
    if (same(one.before) || same(one.after)) continue;
    return fmt::format("P5: {} {} is {}, before {}, after {}", to_string(one.flow),
                       one.direction == DP_INGRESS ? "ingress" : "egress", text(now),
                       text(one.before), text(one.after));
  }
  return {};
}

std::string broken_generation(const Tables& before, std::span<const TableOp> ops,
                              const std::vector<Watched>& watched) {
  for (std::size_t i = 0; i + 1 < ops.size(); ++i) {
    if (ops[i].kind == TableOp::Kind::generation) return "the generation is not the last word";
  }
  const bool bumped = !ops.empty() && ops.back().kind == TableOp::Kind::generation &&
                      ops.back().value.as<std::uint32_t>() != before.policy_generation;
  const bool differs =
      std::ranges::any_of(watched, [](const Watched& one) { return one.before != one.after; });
  return differs && !bumped ? "a verdict changed under the same generation" : "";
}

}  // namespace

std::string to_string(const Flow& flow) {
  return fmt::format("{} > {} protocol {} port {}", flow.source.to_string(),
                     flow.destination.to_string(), flow.protocol, flow.port);
}

std::uint32_t identity_of(const Tables& tables, const Address& address) {
  const auto exact = tables.ipcache.find({.space = 0, .address = to_abi(address)});
  if (exact != tables.ipcache.end()) return exact->second.identity;
  // As the trie does it: bit by bit, whatever the family.
  const auto bytes = address.bytes();
  std::uint32_t identity = DP_IDENTITY_WORLD;
  std::uint32_t longest_bits = 0;
  for (const auto& [key, entry] : tables.ipcache_prefix) {
    const auto bits = key.prefix_bits - DP_IPCACHE_STATIC_BITS;
    const auto base = from_abi(key.address).bytes();
    bool covers = true;
    for (unsigned bit = 0; bit < bits && covers; ++bit) {
      covers = ((bytes[bit / 8] ^ base[bit / 8]) >> (7 - bit % 8) & 1) == 0;
    }
    if (!covers || key.prefix_bits < longest_bits) continue;
    longest_bits = key.prefix_bits;
    identity = entry.identity;
  }
  return identity;
}

std::optional<dp_policy> look_up(const Tables& tables, std::uint32_t subject, std::uint32_t peer,
                                 dp_direction direction, std::uint8_t protocol,
                                 std::uint16_t port) {
  return look_up(tables, subject, peer, direction, protocol, port, lengths_of(tables));
}

std::optional<bool> allows(const Tables& tables, const Flow& flow, dp_direction direction) {
  return allows(tables, flow, direction, lengths_of(tables));
}

bool passes(const Tables& tables, const Flow& flow) {
  return allows(tables, flow, DP_EGRESS).value_or(true) &&
         allows(tables, flow, DP_INGRESS).value_or(true);
}

std::string broken_services(const Tables& tables) {
  for (const auto& [key, service] : tables.services) {
    if (auto broken = broken_service(tables, key, service); !broken.empty()) return broken;
  }
  return {};
}

std::string broken_prefix(const Tables& before, std::span<const TableOp> ops, const Tables& after,
                          std::span<const Flow> flows) {
  std::vector<Watched> watched;
  for (const auto& flow : flows) {
    for (const auto direction : {DP_INGRESS, DP_EGRESS}) {
      watched.push_back({.flow = flow,
                         .direction = direction,
                         .before = allows(before, flow, direction),
                         .after = allows(after, flow, direction)});
    }
  }
  if (auto broken = broken_generation(before, ops, watched); !broken.empty()) return broken;

  Tables tables = before;
  MemorySink sink(tables);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (const auto applied = sink.apply(ops.subspan(i, 1)); !applied) {
      return fmt::format("operation {}: {}", i, waggle::to_string(applied.error()));
    }
    auto broken = broken_after(tables, ops[i]);
    if (broken.empty() && judges(ops[i])) broken = third_verdict(tables, watched);
    if (!broken.empty()) return fmt::format("after operation {} of {}: {}", i, ops.size(), broken);
  }
  if (!(tables == after)) return "the operations do not end at the desired tables";
  for (std::size_t i = ops.size(); i-- > 0;) {
    const auto inverse = ops[i].inverse();
    if (!sink.apply({&inverse, 1})) return fmt::format("operation {} cannot be undone", i);
  }
  return tables == before ? "" : "the operations undone do not lead back";
}

}  // namespace waggle::agent
