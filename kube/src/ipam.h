#pragma once
// Deterministic address allocation: the lowest free one, in the order asked.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "waggle/kube/objects.h"

namespace waggle::kube {

/// Who holds which address, so that none is given twice.
class AddressBook {
 public:
  struct Holder {
    const char* kind;        ///< "pod", "node", "service"
    const ObjectMeta* meta;  ///< outlives the book
  };
  /// The holder so far, if there is one; it stays.
  const Holder* claim(const Address& address, Holder holder);
  [[nodiscard]] bool taken(const Address& address) const { return holders_.contains(address); }

 private:
  struct Hash {
    std::size_t operator()(const Address& address) const;
  };
  std::unordered_map<Address, Holder, Hash> holders_;
};

/// Hands out the hosts of one block: not its first two addresses (network and gateway), nor the
/// last of an IPv4 block, unless the block is smaller than four.
class HostAllocator {
 public:
  explicit HostAllocator(const Cidr& block);
  /// The lowest address that was not handed out and that nobody holds; nothing when there is none.
  std::optional<Address> take(const AddressBook& book);

 private:
  Cidr block_;
  std::uint64_t next_;
  std::uint64_t end_;
};

/// Cuts blocks into equal slices, passing over what overlaps a block given elsewhere.
class BlockAllocator {
 public:
  /// Requires slice_bits to be possible in the blocks' family; larger prefixes count as themselves.
  BlockAllocator(std::vector<Cidr> blocks, unsigned slice_bits, std::set<Cidr> taken);
  std::optional<Cidr> take();

 private:
  std::vector<Cidr> blocks_;
  unsigned slice_bits_;
  std::set<Cidr> taken_;
  std::size_t block_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace waggle::kube
