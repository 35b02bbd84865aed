#pragma once
// Which addresses no policy can tell apart.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "waggle/agent/compile.h"
#include "waggle/kube/cluster.h"

namespace waggle::agent {

/// Every block that a policy names, cidr and except alike. Around an address these form a chain, so
/// the innermost one stands for the whole set that contains it.
class Blocks {
 public:
  void add(const kube::NetworkPolicy& policy);
  void add(const Blocks& other);
  [[nodiscard]] const std::set<Cidr>& all() const { return all_; }
  [[nodiscard]] std::optional<Cidr> around(const Address& address) const;
  bool operator==(const Blocks& other) const { return all_ == other.all_; }

 private:
  std::set<Cidr> all_;
  std::set<unsigned, std::greater<>> lengths4_, lengths6_;
};

/// A class of pod addresses, or (namespace_name empty) of the addresses of a policy's block.
struct IdentityClass {
  std::string namespace_name;
  kube::Labels namespace_labels;
  kube::Labels labels;
  std::vector<kube::ContainerPort> ports;  ///< the named ones, in order
  std::optional<Cidr> block;               ///< innermost policy block around the addresses

  [[nodiscard]] bool is_pods() const { return !namespace_name.empty(); }
  [[nodiscard]] std::string content() const;
  [[nodiscard]] std::string text() const;
};

using Classes = std::map<std::uint32_t, std::shared_ptr<const IdentityClass>>;

[[nodiscard]] IdentityClass class_of(const kube::Cluster& cluster, const kube::Pod& pod,
                                     const Address& address, const Blocks& blocks,
                                     const Config& config);
[[nodiscard]] IdentityClass class_of(const Cidr& block);

/// The number of a class, from the space it belongs to.
[[nodiscard]] Result<std::uint32_t> number_of(const IdentityClass& identity, Ids& ids);

/// Does the datapath carry this pod's addresses as its own? Host-network pods have their node's,
/// and a finished pod's address is free for the next one.
[[nodiscard]] bool owns_addresses(const kube::Pod& pod);

/// Two live pods with one address happen while a deletion and a reuse overlap in a watch: the one
/// that is not going away has it, then the first by name.
[[nodiscard]] bool has_precedence(const kube::Pod& a, const kube::Pod& b);

/// Who has each pod address of the cluster.
[[nodiscard]] std::map<Address, const kube::Pod*> owners_of(const kube::Cluster& cluster);

/// Names the identities that no object stands behind.
void tell_reserved(Provenance& provenance);

[[nodiscard]] dp_ipcache_key exact_key(const Address& address);
[[nodiscard]] dp_ipcache_prefix_key prefix_key(const Cidr& block);

/// ipcache_prefix of these blocks. When an IPv6 block holds the range that IPv4 addresses are
/// mapped to, as ::/0 does, that range gets an entry of its own: WORLD.
[[nodiscard]] Result<Table<dp_ipcache_prefix_key, dp_ipcache>> block_entries(const Blocks& blocks,
                                                                             Ids& ids);

/// REMOTE_NODE, or the identity of the policy block around a node's address.
[[nodiscard]] Result<std::uint32_t> node_identity(const Address& address, const Blocks& blocks,
                                                  Ids& ids);

}  // namespace waggle::agent
