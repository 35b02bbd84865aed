#pragma once
#include "waggle/verifier/invariants/logic.h"

namespace waggle::verifier {

struct L7 {
  static constexpr const char* id = "L7";
  static constexpr const char* sentence =
      "Translation ends: no backend is a frontend, and no frontend shadows a pod or node.";
  /// Of an address, port and protocol: it is a frontend, and it is a backend (or an address of a
  /// pod or node, whatever the port).
  template <class B>
  struct Facts {
    B is_frontend, is_end;
  };
  template <class B>
  static B holds(const Facts<B>& f) {
    return !(f.is_frontend && f.is_end);
  }
};

}  // namespace waggle::verifier
