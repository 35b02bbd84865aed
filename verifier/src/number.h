#pragma once
// Addresses as 128-bit numbers, so that blocks are intervals. IPv4 sits at ::ffff:0:0/96.

#include <cstdint>

#include "waggle/agent/tables.h"
#include "waggle/kube/address.h"

namespace waggle::verifier {

__extension__ using u128 = unsigned __int128;

inline constexpr u128 v4_first = static_cast<u128>(0xffff) << 32;
inline constexpr u128 v4_last = v4_first + 0xffffffffU;

inline u128 number_of(const Address& address) {
  u128 number = 0;
  for (const std::uint8_t byte : address.bytes()) number = number << 8 | byte;
  return number;
}

inline Address address_of(u128 number) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 16; i-- > 0; number >>= 8) bytes[i] = static_cast<std::uint8_t>(number);
  return Address::from_bytes(bytes);
}

/// An aligned block: bits leading bits of base, the rest zero.
struct Block {
  u128 base = 0;
  unsigned bits = 0;

  [[nodiscard]] static Block of(u128 address, unsigned bits) {
    Block block{0, bits};
    if (bits > 0) block.base = address >> (128 - bits) << (128 - bits);
    return block;
  }
  [[nodiscard]] static Block of(const Cidr& cidr) {
    const unsigned family_bits = cidr.family() == Family::v4 ? DP_V4_PREFIX_BITS : 0;
    return of(number_of(cidr.base()), family_bits + cidr.prefix_bits());
  }
  [[nodiscard]] u128 last() const {
    return bits == 0 ? ~static_cast<u128>(0)
                     : base | (bits == 128 ? 0 : ~static_cast<u128>(0) >> bits);
  }
  [[nodiscard]] bool contains(u128 address) const { return base <= address && address <= last(); }
};

}  // namespace waggle::verifier
