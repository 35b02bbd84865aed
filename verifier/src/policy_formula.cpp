#include "policy_formula.h"

#include <arpa/inet.h>

#include <algorithm>
#include <ranges>

namespace waggle::verifier {

namespace {

constexpr unsigned protocol_end = DP_POLICY_STATIC_BITS + DP_POLICY_PROTOCOL_BITS;

// The first `bits` bits of `value` are those of `fixed`.
z3::expr leading_bits(Prover& prover, const z3::expr& value, std::uint64_t fixed, unsigned bits) {
  const unsigned width = value.get_sort().bv_size();
  const unsigned kept = std::min(bits, width);
  if (kept == 0) return prover.z3().bool_val(true);
  return value.extract(width - 1, width - kept) == prover.number(fixed >> (width - kept), kept);
}

z3::expr matches(Prover& prover, const SymbolicPort& at, const dp_policy_key& key) {
  if (key.prefix_bits <= DP_POLICY_STATIC_BITS) return prover.z3().bool_val(true);
  const z3::expr protocol =
      leading_bits(prover, at.protocol, key.protocol, key.prefix_bits - DP_POLICY_STATIC_BITS);
  if (key.prefix_bits <= protocol_end) return protocol;
  return protocol && leading_bits(prover, at.port, ntohs(key.port), key.prefix_bits - protocol_end);
}

struct LookUp {
  z3::expr found, allow, deny, precedence;
};

LookUp look_up(Prover& prover, const SymbolicPort& at,
               std::span<const TableSemantics::Entry> entries) {
  auto& z3 = prover.z3();
  LookUp out{z3.bool_val(false), z3.bool_val(false), z3.bool_val(false), z3.bv_val(0, 32)};
  for (const auto& entry : entries | std::views::reverse) {  // the longest is asked first
    const z3::expr here = matches(prover, at, entry.key);
    out.found = here || out.found;
    out.allow = z3::ite(here, z3.bool_val(entry.value.verdict == DP_POLICY_ALLOW), out.allow);
    out.deny = z3::ite(here, z3.bool_val(entry.value.verdict == DP_POLICY_DENY), out.deny);
    out.precedence = z3::ite(here, prover.number(entry.value.precedence, 32), out.precedence);
  }
  return out;
}

}  // namespace

SymbolicPort::SymbolicPort(Prover& prover)
    : protocol(prover.z3().bv_const("protocol", 8)), port(prover.z3().bv_const("port", 16)) {}

z3::expr granted(Prover& prover, const SymbolicPort& at,
                 std::span<const Specification::Grant> grants) {
  z3::expr_vector any(prover.z3());
  for (const auto& grant : grants) {
    if (!grant.protocol) {
      any.push_back(prover.z3().bool_val(true));
    } else {
      any.push_back(at.protocol == prover.number(*grant.protocol, 8) &&
                    z3::uge(at.port, prover.number(grant.first, 16)) &&
                    z3::ule(at.port, prover.number(grant.last, 16)));
    }
  }
  return prover.either(any);
}

z3::expr admitted(Prover& prover, const SymbolicPort& at,
                  std::span<const TableSemantics::Entry> named,
                  std::span<const TableSemantics::Entry> any) {
  const LookUp n = look_up(prover, at, named);
  const LookUp a = look_up(prover, at, any);
  const z3::expr any_wins =
      z3::ugt(a.precedence, n.precedence) || (a.precedence == n.precedence && a.deny && !n.deny);
  const z3::expr both = z3::ite(any_wins, a.allow, n.allow);
  return z3::ite(n.found && a.found, both, z3::ite(n.found, n.allow, a.found && a.allow));
}

}  // namespace waggle::verifier
