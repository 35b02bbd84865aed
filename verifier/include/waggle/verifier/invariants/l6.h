#pragma once
#include "waggle/verifier/invariants/logic.h"

namespace waggle::verifier {

struct L6 {
  static constexpr const char* id = "L6";
  static constexpr const char* sentence =
      "No entry leaks: at rest, the tables hold nothing that no object asks for.";
  /// Of a key of a table.
  template <class B>
  struct Facts {
    B present, asked_for;
  };
  template <class B>
  static B holds(const Facts<B>& f) {
    return implies(f.present, f.asked_for);
  }
};

}  // namespace waggle::verifier
