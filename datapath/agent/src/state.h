#pragma once
// What Compiler remembers between transactions, and one transaction over it.

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "identities.h"
#include "policy.h"
#include "services.h"

namespace waggle::agent {

/// What a set of changes makes necessary to look at again.
struct Touched {
  std::set<kube::ObjectKey> services;
  std::set<std::string> nodes;
  std::set<Address> addresses;
  bool policies = false;
  Policies policies_before;  ///< when `policies`
};

/// Whose an address is and what the tables say of it.
struct Assignment {
  std::uint32_t identity = 0;
  std::shared_ptr<const IdentityClass> pods;  ///< null: a node's address
  kube::ObjectKey pod;
  bool local = false;  ///< its identity needs policy entries as a subject
  dp_ipcache entry{};
  std::optional<std::pair<dp_endpoint_key, dp_endpoint>> endpoint;
};

struct ClassUse {
  std::shared_ptr<const IdentityClass> identity;
  std::size_t uses = 0;
  std::size_t local_uses = 0;
  std::map<kube::ObjectKey, std::size_t> pods;
};

struct CompilerState {
  CompilerState(Config the_config, std::vector<NodeContext> nodes);

  Config config;
  std::map<std::string, NodeContext> contexts;
  kube::Cluster cluster;
  Ids ids;
  Tables tables;
  Provenance provenance;
  Compiler::Work work;

  // Derived from the cluster.
  std::map<kube::ObjectKey, std::set<kube::ObjectKey>> slices_of;
  std::map<Address, std::set<kube::ObjectKey>> claims;
  std::map<Address, std::size_t> node_claims;  ///< nodes with this address
  Blocks blocks;

  // Derived from the cluster and ids.
  std::map<kube::ObjectKey, ServicePart> parts;
  Table<dp_service_key, kube::ObjectKey> frontend_owner;
  std::map<Address, Assignment> assignments;
  std::map<std::uint32_t, ClassUse> uses;
  Classes subjects, peers;  ///< those with entries in tables.policy

  /// Puts a change into the cluster and the indices derived from it alone.
  void index(const kube::Change& change, Touched& touched);
  [[nodiscard]] Touched touched_by(const kube::ObjectKey& pod) const;
  /// Forgets everything but config, contexts and ids.
  void clear();
};

/// From touched objects to operations, and State's derived part brought up to date.
class Transaction {
 public:
  /// `fresh`: the State is empty, so nothing is planned; there is nobody to be safe for.
  Transaction(CompilerState& state, Touched touched, bool fresh = false)
      : state_(state), touched_(std::move(touched)), fresh_(fresh) {}
  /// After an Error the State is half changed.
  Result<std::vector<TableOp>> run();

 private:
  struct Partial {
    Tables before, after;
  };
  Result<> split(const Blocks& all);
  Result<> change_policies();
  Result<> change_objects(const Blocks& all);
  Result<> merge(const Blocks& all, const Blocks& later);
  Result<> sweep();
  void release();

  Result<> change_nodes(Partial& stage);
  Result<> change_services(Partial& stage);
  Result<> change_service(const kube::ObjectKey& key, Partial& stage);
  Result<> reclassify_all(const Blocks& blocks, Partial& stage);
  Result<std::optional<Assignment>> assignment_for(const Address& address, const Blocks& blocks);
  Result<Assignment> pod_assignment(const kube::Pod& pod, const Address& address,
                                    const Blocks& blocks);
  void assign(const Address& address, std::optional<Assignment> assignment, Partial& stage);
  void count(const Assignment& assignment, bool more);
  Result<> use_block(const Cidr& block, bool more);
  [[nodiscard]] bool is_subject(const ClassUse& use) const;
  void admit_classes(const Policies& policies, Partial& stage);
  void entries(const Policies& policies, const Classes& subjects, const Classes& peers,
               bool every_peer, Table<dp_policy_key, dp_policy>& entries);
  Result<> execute(Partial& stage);

  CompilerState& state_;
  Touched touched_;
  bool fresh_;
  std::vector<TableOp> ops_;
  bool verdicts_change_ = false;
  std::set<std::uint32_t> changed_classes_;
  std::vector<std::pair<IdSpace*, std::string>> releases_;
};

}  // namespace waggle::agent
