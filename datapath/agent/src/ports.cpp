#include "ports.h"

#include <algorithm>
#include <bit>

#include "waggle/kube/result.h"

namespace waggle::agent {

std::vector<PortPrefix> port_prefixes(std::uint16_t first, std::uint16_t last) {
  WAGGLE_ASSERT(first <= last);
  std::vector<PortPrefix> prefixes;
  std::uint32_t next = first;
  while (next <= last) {
    const auto aligned = next == 0 ? 16 : std::countr_zero(next);
    const auto fitting = std::bit_width(last - next + 1U) - 1;
    const auto free_bits = std::min<int>(aligned, static_cast<int>(fitting));
    prefixes.push_back(
        {.base = static_cast<std::uint16_t>(next), .bits = static_cast<unsigned>(16 - free_bits)});
    next += 1U << free_bits;
  }
  return prefixes;
}

}  // namespace waggle::agent
