// The datapath's look-ups, from the ABI headers' words.

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "number.h"
#include "waggle/abi/identities.h"
#include "waggle/verifier/policy.h"

namespace waggle::verifier {

namespace {

constexpr unsigned address_bits = 128;

// What an LPM trie does: the first `bits` bits of the data behind prefix_bits are equal.
template <class Key>
bool same_leading_bits(const Key& a, const Key& b, unsigned bits) {
  std::array<std::uint8_t, sizeof(Key)> x{}, y{};
  std::memcpy(x.data(), &a, sizeof(Key));
  std::memcpy(y.data(), &b, sizeof(Key));
  constexpr std::size_t skipped = sizeof(a.prefix_bits);
  const std::size_t whole = bits / 8;
  if (std::memcmp(x.data() + skipped, y.data() + skipped, whole) != 0) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - bits % 8));
  return ((x[skipped + whole] ^ y[skipped + whole]) & mask) == 0;
}

// Longest first. Two entries of equal prefix are one in a trie; here the later key stands for both.
template <class Key>
bool longer_key(const Key& a, const Key& b) {
  return a.prefix_bits != b.prefix_bits ? a.prefix_bits > b.prefix_bits : agent::Bytewise{}(b, a);
}
bool longer_entry(const TableSemantics::Entry& a, const TableSemantics::Entry& b) {
  return longer_key(a.key, b.key);
}

// Of the two look-ups' results. DATAPATH's order: precedence, deny, the named peer.
std::optional<TableSemantics::Entry> stronger(const std::optional<TableSemantics::Entry>& named,
                                              const std::optional<TableSemantics::Entry>& any) {
  if (!named || !any) return named ? named : any;
  if (named->value.precedence != any->value.precedence)
    return named->value.precedence > any->value.precedence ? named : any;
  return any->value.verdict == DP_POLICY_DENY && named->value.verdict != DP_POLICY_DENY ? any
                                                                                        : named;
}

}  // namespace

TableSemantics::TableSemantics(const agent::Tables& tables) : tables_(tables) {
  prefixes_.assign(tables.ipcache_prefix.begin(), tables.ipcache_prefix.end());
  std::ranges::sort(prefixes_,
                    [](const auto& a, const auto& b) { return longer_key(a.first, b.first); });
  for (const auto& [key, value] : tables.policy) {
    if (key.prefix_bits >= DP_POLICY_STATIC_BITS) {
      by_fixed_[{ntohl(key.subject), ntohl(key.peer), key.direction}].push_back({key, value});
    } else {
      short_.push_back({key, value});
    }
  }
  for (auto& [fixed, entries] : by_fixed_) std::ranges::sort(entries, longer_entry);
  std::ranges::sort(short_, longer_entry);
}

std::uint32_t TableSemantics::identity(const Address& address) const {
  const dp_ipcache_key exact{0, agent::to_abi(address)};
  if (const auto found = tables_.ipcache.find(exact); found != tables_.ipcache.end())
    return found->second.identity;
  const dp_ipcache_prefix_key wanted{DP_IPCACHE_STATIC_BITS + address_bits, 0,
                                     agent::to_abi(address)};
  for (const auto& [key, value] : prefixes_) {
    if (same_leading_bits(key, wanted, key.prefix_bits)) return value.identity;
  }
  return DP_IDENTITY_WORLD;
}

std::vector<Address> own_addresses(const kube::Node& node) {
  std::vector<Address> own;
  for (const Address& address : node.addresses) {
    const auto same_family = [&](const Address& a) { return a.family() == address.family(); };
    if (std::ranges::none_of(own, same_family)) own.push_back(address);
  }
  return own;
}

std::uint32_t TableSemantics::peer_identity(const kube::Node* node, const Address& peer) const {
  if (node && std::ranges::count(own_addresses(*node), peer) > 0) return DP_IDENTITY_HOST;
  return identity(peer);
}

std::vector<TableSemantics::Entry> TableSemantics::entries(std::uint32_t subject,
                                                           std::uint32_t peer,
                                                           dp_direction direction) const {
  std::vector<Entry> out;
  if (const auto own = by_fixed_.find({subject, peer, direction}); own != by_fixed_.end())
    out = own->second;
  const dp_policy_key wanted{0, htonl(subject), htonl(peer), static_cast<__u8>(direction), 0, 0};
  std::ranges::copy_if(short_, std::back_inserter(out), [&](const Entry& entry) {
    return same_leading_bits(entry.key, wanted, entry.key.prefix_bits);
  });
  return out;
}

std::optional<TableSemantics::Entry> TableSemantics::policy(std::uint32_t subject,
                                                            std::uint32_t peer,
                                                            dp_direction direction,
                                                            std::uint8_t protocol,
                                                            std::uint16_t port) const {
  const auto look_up = [&](std::uint32_t id) -> std::optional<Entry> {
    dp_policy_key wanted{0,        htonl(subject), htonl(id), static_cast<__u8>(direction),
                         protocol, htons(port)};
    for (const Entry& entry : entries(subject, id, direction)) {
      if (same_leading_bits(entry.key, wanted, entry.key.prefix_bits)) return entry;
    }
    return std::nullopt;
  };
  return stronger(look_up(peer), look_up(DP_IDENTITY_ANY));
}

}  // namespace waggle::verifier
