#pragma once
// IP addresses and blocks. Both families in one type, as in the datapath's ABI.

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "waggle/kube/result.h"

namespace waggle {

enum class Family : std::uint8_t { v4, v6 };

/// An IP address: 16 bytes in network order; IPv4 as ::ffff:a.b.c.d. Ordered bytewise.
class Address {
 public:
  Address() = default;  ///< "::"
  /// "10.0.0.1" or "fd00::1". Not a v4-mapped IPv6 text: that is bad_input.
  static Result<Address> parse(std::string_view text);
  static Address v4(std::uint32_t host_order);
  static Address from_bytes(const std::array<std::uint8_t, 16>& network_order);

  [[nodiscard]] Family family() const;
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  [[nodiscard]] bool is_unspecified() const { return *this == Address{}; }
  [[nodiscard]] std::string to_string() const;
  /// This address plus n, carried through all bytes of its family. Wraps.
  [[nodiscard]] Address plus(std::uint64_t n) const;

  auto operator<=>(const Address&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// An address block. Host bits are zero, so equal blocks compare equal.
class Cidr {
 public:
  Cidr() = default;  ///< "::/0"
  /// "10.0.0.0/8". Host bits set, as in "10.0.0.1/8", is bad_input: a typo, not a wish.
  static Result<Cidr> parse(std::string_view text);
  /// Host bits are cleared. Requires prefix_bits <= 32 for IPv4, 128 for IPv6.
  static Cidr of(const Address& address, unsigned prefix_bits);

  [[nodiscard]] Family family() const { return base_.family(); }
  [[nodiscard]] const Address& base() const { return base_; }
  /// 0..32 for IPv4, 0..128 for IPv6.
  [[nodiscard]] unsigned prefix_bits() const { return prefix_bits_; }
  [[nodiscard]] bool contains(const Address& address) const;
  [[nodiscard]] bool contains(const Cidr& other) const;
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const Cidr&) const = default;

 private:
  Address base_;
  unsigned prefix_bits_ = 0;
};

}  // namespace waggle
