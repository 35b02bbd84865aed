#pragma once
// The verdicts as formulas over a symbolic protocol and port.

#include <span>

#include "prover.h"
#include "waggle/verifier/policy.h"

namespace waggle::verifier {

/// An 8-bit protocol and a 16-bit port.
struct SymbolicPort {
  z3::expr protocol, port;
  explicit SymbolicPort(Prover& prover);
};

/// Some grant admits it.
[[nodiscard]] z3::expr granted(Prover& prover, const SymbolicPort& at,
                               std::span<const Specification::Grant> grants);

/// The two look-ups and the choice between them. Requires entries in TableSemantics::entries'
/// order.
[[nodiscard]] z3::expr admitted(Prover& prover, const SymbolicPort& at,
                                std::span<const TableSemantics::Entry> named,
                                std::span<const TableSemantics::Entry> any);

}  // namespace waggle::verifier
