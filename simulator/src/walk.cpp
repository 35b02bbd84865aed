#include "waggle/simulator/engine.h"

namespace waggle::simulator {

std::uint32_t Walk::drop_reason() const {
  return fate == Fate::dropped && !hops.empty() ? hops.back().verdict.reason : 0;
}

const char* to_string(Walk::Fate fate) {
  switch (fate) {
    case Walk::Fate::delivered:
      return "delivered";
    case Walk::Fate::dropped:
      return "dropped";
    case Walk::Fate::stack:
      return "stack";
    case Walk::Fate::world:
      return "world";
    case Walk::Fate::answered:
      return "answered";
    case Walk::Fate::lost:
      return "lost";
  }
  return "?";
}

}  // namespace waggle::simulator
