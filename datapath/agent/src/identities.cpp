#include "identities.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "waggle/abi/identities.h"

namespace waggle::agent {

namespace {

// Neither can be part of a label, a name or a number.
constexpr char field_end = '\x1e';
constexpr char part_end = '\x1f';

void append(std::string& content, const kube::Labels& labels) {
  for (const auto& [key, value] : labels) {
    content += key;
    content += part_end;
    content += value;
    content += part_end;
  }
  content += field_end;
}

const Cidr& all_ipv4() {
  static const Cidr cidr = Cidr::of(Address::v4(0), 0);
  return cidr;
}

// In the trie, where ::/0 is a prefix of every IPv4 address too.
bool holds_mapped_ipv4(const Cidr& block) {
  if (block.family() == Family::v4 || block.prefix_bits() > DP_V4_PREFIX_BITS) return false;
  const auto& mapped = all_ipv4().base().bytes();
  const auto& base = block.base().bytes();
  for (unsigned bit = 0; bit < block.prefix_bits(); ++bit) {
    if (((base[bit / 8] ^ mapped[bit / 8]) >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

}  // namespace

void Blocks::add(const kube::NetworkPolicy& policy) {
  const auto insert = [this](const Cidr& cidr) {
    all_.insert(cidr);
    (cidr.family() == Family::v4 ? lengths4_ : lengths6_).insert(cidr.prefix_bits());
  };
  for (const auto* rules : {&policy.ingress, &policy.egress}) {
    for (const auto& rule : *rules) {
      for (const auto& peer : rule.peers) {
        if (!peer.ip_block) continue;
        insert(peer.ip_block->cidr);
        for (const auto& except : peer.ip_block->except) insert(except);
      }
    }
  }
}

void Blocks::add(const Blocks& other) {
  all_.insert(other.all_.begin(), other.all_.end());
  lengths4_.insert(other.lengths4_.begin(), other.lengths4_.end());
  lengths6_.insert(other.lengths6_.begin(), other.lengths6_.end());
}

std::optional<Cidr> Blocks::around(const Address& address) const {
  for (const auto bits : address.family() == Family::v4 ? lengths4_ : lengths6_) {
    const auto it = all_.find(Cidr::of(address, bits));
    if (it != all_.end()) return *it;
  }
  return std::nullopt;
}

std::string IdentityClass::content() const {
  if (!is_pods()) return block->to_string();
  std::string content = namespace_name;
  content += field_end;
  append(content, namespace_labels);
  append(content, labels);
  for (const auto& port : ports) {
    content += fmt::format("{}{}{}{}{}", port.name, part_end, port.port,
                           kube::to_string(port.protocol), part_end);
  }
  content += field_end;
  if (block) content += block->to_string();
  return content;
}

std::string IdentityClass::text() const {
  if (!is_pods()) return block->to_string();
  std::string text = namespace_name + "/{";
  const char* separator = "";
  for (const auto& [key, value] : labels) {
    text += fmt::format("{}{}={}", separator, key, value);
    separator = ",";
  }
  text += '}';
  if (block) text += " in " + block->to_string();
  return text;
}

IdentityClass class_of(const kube::Cluster& cluster, const kube::Pod& pod, const Address& address,
                       const Blocks& blocks, const Config& config) {
  IdentityClass identity{.namespace_name = pod.meta.namespace_name,
                         .namespace_labels = cluster.namespace_labels(pod.meta.namespace_name),
                         .labels = pod.meta.labels,
                         .ports = {},
                         .block = std::nullopt};
  std::ranges::copy_if(pod.ports, std::back_inserter(identity.ports),
                       [](const auto& port) { return !port.name.empty(); });
  const auto fields = [](const auto& port) {
    return std::tuple(port.name, port.protocol, port.port);
  };
  std::ranges::sort(identity.ports, {}, fields);
  const auto repeated = std::ranges::unique(identity.ports);
  identity.ports.erase(repeated.begin(), repeated.end());
  if (config.cidr_selects_pods) identity.block = blocks.around(address);
  return identity;
}

IdentityClass class_of(const Cidr& block) {
  IdentityClass identity;
  identity.block = block;
  return identity;
}

Result<std::uint32_t> number_of(const IdentityClass& identity, Ids& ids) {
  return (identity.is_pods() ? ids.identities : ids.cidr_identities).get(identity.content());
}

bool owns_addresses(const kube::Pod& pod) { return !pod.host_network && !pod.finished(); }

bool has_precedence(const kube::Pod& a, const kube::Pod& b) {
  if (a.terminating != b.terminating) return b.terminating;
  return kube::key_of(a.meta) < kube::key_of(b.meta);
}

std::map<Address, const kube::Pod*> owners_of(const kube::Cluster& cluster) {
  std::map<Address, const kube::Pod*> owners;
  for (const auto& [key, pod] : cluster.pods) {
    if (!owns_addresses(pod)) continue;
    for (const auto& address : pod.addresses) {
      auto& owner = owners[address];
      if (owner == nullptr || has_precedence(pod, *owner)) owner = &pod;
    }
  }
  return owners;
}

void tell_reserved(Provenance& provenance) {
  provenance.identities[DP_IDENTITY_HOST].text = "this node";
  provenance.identities[DP_IDENTITY_WORLD].text = "world";
  provenance.identities[DP_IDENTITY_REMOTE_NODE].text = "another node";
}

dp_ipcache_key exact_key(const Address& address) {
  return {.space = 0, .address = to_abi(address)};
}

dp_ipcache_prefix_key prefix_key(const Cidr& block) {
  const unsigned family_bits = block.family() == Family::v4 ? DP_V4_PREFIX_BITS : 0;
  return {.prefix_bits = DP_IPCACHE_STATIC_BITS + family_bits + block.prefix_bits(),
          .space = 0,
          .address = to_abi(block.base())};
}

Result<Table<dp_ipcache_prefix_key, dp_ipcache>> block_entries(const Blocks& blocks, Ids& ids) {
  Table<dp_ipcache_prefix_key, dp_ipcache> entries;
  for (const auto& block : blocks.all()) {
    const auto key = prefix_key(block);
    entries[key] = {.identity = TRY(number_of(class_of(block), ids)), .node = 0};
    if (holds_mapped_ipv4(block)) {
      entries.try_emplace(prefix_key(all_ipv4()),
                          dp_ipcache{.identity = DP_IDENTITY_WORLD, .node = 0});
    }
  }
  return entries;
}

Result<std::uint32_t> node_identity(const Address& address, const Blocks& blocks, Ids& ids) {
  const auto block = blocks.around(address);
  if (!block) return DP_IDENTITY_REMOTE_NODE;
  return number_of(class_of(*block), ids);
}

}  // namespace waggle::agent
