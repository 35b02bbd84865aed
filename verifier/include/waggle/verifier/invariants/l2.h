#pragma once
#include "waggle/verifier/invariants/logic.h"

namespace waggle::verifier {

struct L2 {
  static constexpr const char* id = "L2";
  static constexpr const char* sentence =
      "The backend chosen belongs to the service and is eligible: ready, or terminating only when "
      "none is ready.";
  /// Of a frontend and a backend number.
  template <class B>
  struct Facts {
    B selectable;  ///< at a position; or, under affinity, of the service and in a state to be
                   ///< chosen
    B belongs;     ///< its entry names the frontend's service and protocol
    B eligible;    ///< the objects list its address and port as eligible
  };
  template <class B>
  static B holds(const Facts<B>& f) {
    return implies(f.selectable, f.belongs && f.eligible);
  }
};

}  // namespace waggle::verifier
