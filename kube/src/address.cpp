#include "waggle/kube/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace waggle {
namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Error bad(std::string what, std::string advice = {}) {
  return {.kind = Error::Kind::bad_input,
          .what = std::move(what),
          .where = {},
          .advice = std::move(advice)};
}

unsigned first_bit(Family family) { return family == Family::v4 ? 96 : 0; }

std::array<std::uint8_t, 16> masked(std::array<std::uint8_t, 16> bytes, unsigned bits) {
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned keep = bits > i * 8 ? std::min(8u, bits - i * 8) : 0;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00u >> keep));
  }
  return bytes;
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  const std::string owned(text);
  Address address;
  if (text.find('\0') != std::string_view::npos)
    return std::unexpected(bad("an address holds a zero byte"));
  if (inet_pton(AF_INET, owned.c_str(), address.bytes_.data() + 12) == 1) {
    std::copy(v4_prefix.begin(), v4_prefix.end(), address.bytes_.begin());
    return address;
  }
  if (inet_pton(AF_INET6, owned.c_str(), address.bytes_.data()) != 1)
    return std::unexpected(bad(fmt::format("\"{}\" is not an IP address", text)));
  if (address.family() == Family::v4)
    return std::unexpected(
        bad(fmt::format("\"{}\" is a v4-mapped address", text), "write it as IPv4"));
  return address;
}

Address Address::v4(std::uint32_t host_order) {
  Address address;
  std::copy(v4_prefix.begin(), v4_prefix.end(), address.bytes_.begin());
  for (unsigned i = 0; i < 4; ++i)
    address.bytes_[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return address;
}

Address Address::from_bytes(const std::array<std::uint8_t, 16>& network_order) {
  Address address;
  address.bytes_ = network_order;
  return address;
}

Family Address::family() const {
  return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes_.begin()) ? Family::v4 : Family::v6;
}

std::string Address::to_string() const {
  char text[INET6_ADDRSTRLEN];
  const bool is_v4 = family() == Family::v4;
  inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes_.data() + (is_v4 ? 12 : 0), text, sizeof text);
  return text;
}

Address Address::plus(std::uint64_t n) const {
  Address sum = *this;
  const unsigned low = family() == Family::v4 ? 12 : 0;
  std::uint64_t carry = n;
  for (unsigned i = 16; i-- > low && carry != 0;) {
    const std::uint64_t total = sum.bytes_[i] + (carry & 0xff);
    sum.bytes_[i] = static_cast<std::uint8_t>(total);
    carry = (carry >> 8) + (total >> 8);
  }
  return sum;
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return std::unexpected(
        bad(fmt::format("\"{}\" has no prefix length", text), "write ADDRESS/BITS"));
  const Address address = TRY(Address::parse(text.substr(0, slash)));
  const auto digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const unsigned bits_max = address.family() == Family::v4 ? 32 : 128;
  if (code != std::errc{} || end != digits.data() + digits.size() || bits > bits_max ||
      (digits.size() > 1 && digits[0] == '0'))
    return std::unexpected(
        bad(fmt::format("\"{}\" has a prefix length outside 0 to {}", text, bits_max)));
  const Cidr cidr = of(address, bits);
  if (cidr.base_ != address)
    return std::unexpected(bad(fmt::format("\"{}\" has host bits set", text),
                               fmt::format("write {}", cidr.to_string())));
  return cidr;
}

Cidr Cidr::of(const Address& address, unsigned prefix_bits) {
  WAGGLE_ASSERT(prefix_bits <= (address.family() == Family::v4 ? 32 : 128));
  Cidr cidr;
  cidr.base_ =
      Address::from_bytes(masked(address.bytes(), first_bit(address.family()) + prefix_bits));
  cidr.prefix_bits_ = prefix_bits;
  return cidr;
}

bool Cidr::contains(const Address& address) const {
  return address.family() == family() &&
         masked(address.bytes(), first_bit(family()) + prefix_bits_) == base_.bytes();
}

bool Cidr::contains(const Cidr& other) const {
  return other.prefix_bits_ >= prefix_bits_ && contains(other.base_);
}

std::string Cidr::to_string() const {
  return fmt::format("{}/{}", base_.to_string(), prefix_bits_);
}

}  // namespace waggle
