#pragma once
// Port ranges as aligned prefixes, the form a longest-prefix-match trie can hold.

#include <cstdint>
#include <vector>

namespace waggle::agent {

struct PortPrefix {
  std::uint16_t base = 0;  ///< bits beyond `bits` are zero
  unsigned bits = 16;      ///< leading bits that count: 0 is every port, 16 is one
  bool operator==(const PortPrefix&) const = default;
};

/// The fewest disjoint prefixes that cover first..last and nothing else; at most 30.
/// Requires first <= last.
[[nodiscard]] std::vector<PortPrefix> port_prefixes(std::uint16_t first, std::uint16_t last);

}  // namespace waggle::agent
