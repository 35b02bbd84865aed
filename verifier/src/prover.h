#pragma once
// One Z3 context, used by one thread.

#include <z3++.h>

#include <optional>
#include <string>
#include <unordered_set>

#include "number.h"
#include "waggle/verifier/obligation.h"

namespace waggle::verifier {

class Prover {
 public:
  explicit Prover(unsigned timeout_ms) : timeout_ms_(timeout_ms) {}

  [[nodiscard]] z3::context& z3() { return context_; }

  /// Whether `violation` can be. proved: it cannot; violated: model() is one; undecided: no answer
  /// in time.
  [[nodiscard]] State refute(const z3::expr& violation);
  /// Requires that the last refute() returned violated.
  [[nodiscard]] std::uint64_t model_value(const z3::expr& e) const;
  [[nodiscard]] bool model_holds(const z3::expr& e) const;

  [[nodiscard]] z3::expr number(u128 value, unsigned bits = 128);
  [[nodiscard]] z3::expr either(const z3::expr_vector& any);

  /// Statements that this prover has shown before, by a text that says all there is to know of
  /// them.
  [[nodiscard]] bool knows(const std::string& statement) const {
    return known_.contains(statement);
  }
  void learn(std::string statement) { known_.insert(std::move(statement)); }

 private:
  z3::context context_;
  unsigned timeout_ms_;
  std::optional<z3::model> model_;
  std::unordered_set<std::string> known_;
};

}  // namespace waggle::verifier
