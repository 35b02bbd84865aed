#pragma once
#include "waggle/verifier/invariants/logic.h"

namespace waggle::verifier {

struct P1 {
  static constexpr const char* id = "P1";
  static constexpr const char* sentence =
      "The tables' verdict is the objects' verdict, for every source, destination, protocol, port "
      "and direction.";
  template <class B>
  struct Facts {
    B objects_allow, tables_allow;
  };
  template <class B>
  static B holds(const Facts<B>& f) {
    return f.objects_allow == f.tables_allow;
  }
};

}  // namespace waggle::verifier
