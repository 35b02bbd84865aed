#pragma once
// P1: the tables' verdict is the objects' verdict. Both sides are written here, from the objects
// and from the tables alone; nothing is shared with agent::compile.

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "waggle/agent/compile.h"
#include "waggle/verifier/obligation.h"

namespace waggle::verifier {

/// Where the API leaves a choice. Fixed, and not a choice: a pod always reaches itself (#95879 in
/// Kubernetes leaves it open, practice allows), its own node always reaches it and it its node, and
/// host-network pods are never selected.
struct Modes {
  bool cidr_selects_pods = true;  ///< Kubernetes: an ipBlock covers pods too. Cilium: it does not
};

/// One direction's verdict and what decided it.
struct Decision {
  enum class Why : std::uint8_t {
    unmanaged,     ///< this end is no pod that policies apply to
    self,          ///< a pod to its own address
    own_node,      ///< the pod's own node
    not_isolated,  ///< no policy isolates the pod in this direction
    rule,          ///< a rule admits it
    no_rule,       ///< isolated, and no rule admits it
  };
  bool allowed = false;
  Why why = Why::no_rule;
  kube::ObjectKey policy;  ///< why == rule: whose
  unsigned rule_index = 0;
  kube::SourceRef source;
  std::string text;  ///< "shop/web ingress rule 1 (policies.yaml:12)"
};

/// A connection needs egress at its source and ingress at its destination.
struct Verdict {
  Decision egress, ingress;
  [[nodiscard]] bool allowed() const { return egress.allowed && ingress.allowed; }
};

/// NetworkPolicy v1 as a program, from the text of its API reference. Requires that the cluster
/// outlives it and is complete.
class Specification {
 public:
  explicit Specification(const kube::Cluster& cluster, Modes modes = {});

  /// The pod with network of its own that has this address; null for anything else.
  [[nodiscard]] const kube::Pod* pod_at(const Address& address) const;
  /// protocol is an IANA number; what is not TCP, UDP or SCTP passes by rules without ports only.
  [[nodiscard]] Verdict judge(const Address& source, const Address& destination,
                              std::uint8_t protocol, std::uint16_t port) const;
  [[nodiscard]] Decision judge(dp_direction direction, const kube::Pod& subject,
                               const Address& peer, std::uint8_t protocol,
                               std::uint16_t port) const;

  /// What one rule admits between a subject and a peer.
  struct Grant {
    const kube::NetworkPolicy* policy = nullptr;
    unsigned rule_index = 0;
    std::optional<std::uint8_t> protocol;  ///< absent: every protocol and port
    std::uint16_t first = 0, last = 65535;
  };
  [[nodiscard]] bool isolated(dp_direction direction, const kube::Pod& subject) const;
  [[nodiscard]] std::vector<Grant> grants(dp_direction direction, const kube::Pod& subject,
                                          const Address& peer) const;
  /// Those that select the pod.
  [[nodiscard]] std::vector<const kube::NetworkPolicy*> policies_of(const kube::Pod& pod) const;
  [[nodiscard]] bool is_own_node(const kube::Pod& subject, const Address& peer) const;
  [[nodiscard]] const kube::Cluster& cluster() const { return cluster_; }

 private:
  struct Selected {
    bool at_all = false;
    bool as_pod = false;  ///< by its labels or as everyone, so that port names have a meaning
  };
  [[nodiscard]] Selected selects(const kube::NetworkPolicy::Rule& rule, const std::string& home,
                                 const Address& peer) const;
  const kube::Cluster& cluster_;
  Modes modes_;
  std::map<Address, const kube::Pod*> pods_;
  std::map<std::string, kube::Labels> namespaces_;
  std::map<kube::ObjectKey, std::vector<const kube::NetworkPolicy*>> selected_by_;
};

/// The datapath's look-ups over tables as values: what from_container and to_container would find.
class TableSemantics {
 public:
  /// Requires that the tables outlive it.
  explicit TableSemantics(const agent::Tables& tables);

  /// ipcache exact, else its longest prefix, else WORLD.
  [[nodiscard]] std::uint32_t identity(const Address& address) const;
  struct Entry {
    dp_policy_key key;
    dp_policy value;
  };
  /// identity(), but HOST for an address that is the node's own (see own_addresses).
  [[nodiscard]] std::uint32_t peer_identity(const kube::Node* node, const Address& peer) const;
  /// The entry that decides, of the look-ups for `peer` and for ANY: higher precedence, then deny,
  /// then the named peer. None: denied.
  [[nodiscard]] std::optional<Entry> policy(std::uint32_t subject, std::uint32_t peer,
                                            dp_direction direction, std::uint8_t protocol,
                                            std::uint16_t port) const;
  /// Every entry that a look-up with these first fields may meet, longest prefix first.
  [[nodiscard]] std::vector<Entry> entries(std::uint32_t subject, std::uint32_t peer,
                                           dp_direction direction) const;
  [[nodiscard]] const agent::Tables& tables() const { return tables_; }

 private:
  const agent::Tables& tables_;
  std::vector<std::pair<dp_ipcache_prefix_key, dp_ipcache>> prefixes_;  ///< longest first
  using Fixed = std::tuple<std::uint32_t, std::uint32_t, std::uint8_t>;
  std::map<Fixed, std::vector<Entry>> by_fixed_;  ///< subject, peer, direction; longest first
  std::vector<Entry> short_;                      ///< malformed: these three are not matched whole
};

/// What node_config holds as the node's own: its first address of each family.
[[nodiscard]] std::vector<Address> own_addresses(const kube::Node& node);

/// What P1 is asked about.
struct PolicyQuestion {
  const kube::Cluster& cluster;
  const agent::Tables& tables;
  /// Whose pods: those with an attachment. See local_nodes for tables of unknown origin.
  std::span<const agent::NodeContext> nodes;
  Modes modes = {};
  const agent::Provenance* provenance = nullptr;  ///< for words only; may be null
};

/// The nodes and pods that tables of unknown origin (a dump) have endpoints for.
[[nodiscard]] std::vector<agent::NodeContext> local_nodes(const kube::Cluster& cluster,
                                                          const agent::Tables& tables);

/// One obligation for each class of local pods that neither the objects nor the tables can tell
/// apart, direction, protocol (TCP, UDP, SCTP, every other) and family: for all peer addresses and
/// ports the two verdicts are equal. Two more (P1/addresses/<family>) show for all addresses that
/// the cases which the others are split into are exact. The question's parts must outlive them.
[[nodiscard]] std::vector<Obligation> policy_obligations(const PolicyQuestion& question);

/// Both verdicts on one packet, by evaluation. What tests and replays hold Z3 against.
struct BothVerdicts {
  Decision objects;
  bool tables_allow = false;
  std::string tables_text;
};
[[nodiscard]] BothVerdicts evaluate(const PolicyQuestion& question,
                                    const Specification& specification,
                                    const TableSemantics& semantics, dp_direction direction,
                                    const kube::Pod& subject, const Address& peer,
                                    std::uint8_t protocol, std::uint16_t port);

}  // namespace waggle::verifier
