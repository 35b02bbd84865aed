#pragma once
// The connectives that the generic formulas need, for bool. Z3's own, for z3::expr, are found by
// argument-dependent look-up.

namespace waggle::verifier {

inline bool implies(bool a, bool b) { return !a || b; }

template <class T>
T ite(bool condition, const T& then, const T& otherwise) {
  return condition ? then : otherwise;
}

}  // namespace waggle::verifier
