#pragma once
#include "waggle/verifier/invariants/logic.h"

namespace waggle::verifier {

struct L1 {
  static constexpr const char* id = "L1";
  static constexpr const char* sentence = "Every selection ends at an existing backend.";
  /// Of a frontend and a backend number.
  template <class B>
  struct Facts {
    B at_position;  ///< one of the frontend's positions names the number
    B exists;       ///< `backends` has it
  };
  // An affinity entry is used only when its backend exists, so whatever `affinity` holds, the
  // positions are the last resort and the whole statement.
  template <class B>
  static B holds(const Facts<B>& f) {
    return implies(f.at_position, f.exists);
  }
};

}  // namespace waggle::verifier
