#include "ipam.h"

#include <algorithm>
#include <limits>

namespace waggle::kube {
namespace {

__extension__ using Wide = unsigned __int128;

unsigned family_bits(Family family) { return family == Family::v4 ? 32 : 128; }

/// 2^bits, or the largest number where that is more.
std::uint64_t power_of_two(unsigned bits) {
  return bits >= 64 ? std::numeric_limits<std::uint64_t>::max() : std::uint64_t{1} << bits;
}

/// base + n * 2^shift. Requires a result inside the family's range.
Address shifted(const Address& base, std::uint64_t n, unsigned shift) {
  Wide value = 0;
  for (const auto byte : base.bytes()) value = (value << 8) | byte;
  value += Wide{n} << shift;
  std::array<std::uint8_t, 16> bytes{};
  for (unsigned i = 16; i-- > 0; value >>= 8) bytes[i] = static_cast<std::uint8_t>(value);
  return Address::from_bytes(bytes);
}

/// Requires blocks that do not overlap each other.
bool overlaps(const std::set<Cidr>& blocks, const Cidr& block) {
  const auto next = blocks.lower_bound(block);
  if (next != blocks.end() && (block.contains(*next) || next->contains(block))) return true;
  return next != blocks.begin() && std::prev(next)->contains(block);
}

}  // namespace

std::size_t AddressBook::Hash::operator()(const Address& address) const {
  std::size_t hash = 0;
  for (const auto byte : address.bytes()) hash = (hash ^ byte) * 0x100000001b3U;
  return hash;
}

const AddressBook::Holder* AddressBook::claim(const Address& address, Holder holder) {
  const auto [found, is_new] = holders_.try_emplace(address, holder);
  return is_new ? nullptr : &found->second;
}

HostAllocator::HostAllocator(const Cidr& block) : block_(block) {
  const unsigned host_bits = family_bits(block.family()) - block.prefix_bits();
  next_ = host_bits < 2 ? 0 : 2;
  end_ = power_of_two(host_bits);
  if (block.family() == Family::v4 && host_bits >= 2) --end_;
}

std::optional<Address> HostAllocator::take(const AddressBook& book) {
  while (next_ < end_) {
    const Address address = block_.base().plus(next_++);
    if (!book.taken(address)) return address;
  }
  return std::nullopt;
}

BlockAllocator::BlockAllocator(std::vector<Cidr> blocks, unsigned slice_bits, std::set<Cidr> taken)
    : blocks_(std::move(blocks)), slice_bits_(slice_bits), taken_(std::move(taken)) {}

std::optional<Cidr> BlockAllocator::take() {
  for (; block_ < blocks_.size(); ++block_, next_ = 0) {
    const Cidr& block = blocks_[block_];
    const unsigned bits = std::max(slice_bits_, block.prefix_bits());
    const std::uint64_t count = power_of_two(bits - block.prefix_bits());
    while (next_ < count) {
      const unsigned shift = family_bits(block.family()) - bits;
      const Cidr slice = Cidr::of(shifted(block.base(), next_++, shift), bits);
      if (!overlaps(taken_, slice)) return slice;
    }
  }
  return std::nullopt;
}

}  // namespace waggle::kube
