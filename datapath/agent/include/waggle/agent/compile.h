#pragma once
// Cluster state -> tables -> ordered operations.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "waggle/abi/node_config.h"
#include "waggle/agent/ids.h"
#include "waggle/agent/tables.h"
#include "waggle/kube/cluster.h"

namespace waggle::agent {

struct Config {
  /// Kubernetes: an ipBlock that covers a pod's address selects the pod. Cilium: it does not.
  bool cidr_selects_pods = true;
  kube::Service::Algorithm default_algorithm = kube::Service::Algorithm::random;
  /// A Maglev table has at least this many positions a backend (NSDI'16: 100 keeps imbalance at 1
  /// %).
  unsigned maglev_positions_per_backend = 100;
  /// Compile policy for every identity of the cluster, not only for those with a pod on `nodes`.
  bool policy_for_all_identities = false;
  std::map<TableId, std::uint32_t> entries_max;  ///< where they differ from the ABI's defaults
};

/// How a pod hangs on its node; what the CNI knows.
struct Attachment {
  std::uint32_t ifindex = 0;  ///< the host's end
  std::array<std::uint8_t, 6> pod_mac{};
  std::array<std::uint8_t, 6> host_mac{};
};

/// A node whose endpoints these tables hold: one in production, many where simulated nodes share
/// maps.
struct NodeContext {
  std::string node_name;
  std::uint16_t zone = 0;
  std::map<kube::ObjectKey, Attachment> attachments;  ///< pods without one get no endpoint entry
};

/// Rule numbers that no policy object stands behind.
enum ReservedRule : std::uint32_t {
  rule_not_isolated = 1,  ///< no policy isolates the pod in this direction
  rule_host = 2,          ///< a node always reaches its own pods, and they it
  rule_first = 16,        ///< first number of a policy's rule
};

/// From numbers back to what people wrote.
struct Provenance {
  struct Rule {
    kube::ObjectKey policy;
    dp_direction direction = DP_INGRESS;
    unsigned rule_index = 0;  ///< in spec.ingress / spec.egress
    kube::SourceRef source;   ///< the rule's own line
    std::string text;         ///< "ingress rule 1: from pods app=web, port 8080/TCP"
  };
  struct Frontend {
    kube::ObjectKey service;
    std::string port_name;
    kube::SourceRef source;
  };
  struct Backend {
    kube::ObjectKey service;
    kube::ObjectKey pod;  ///< empty name: an endpoint without a pod
    std::string address;  ///< "10.0.1.5:8080/TCP"
  };
  struct Identity {
    std::string text;  ///< "shop/{app=web}", "10.0.0.0/8 except …", "world"
    std::vector<kube::ObjectKey> pods;
  };
  std::map<std::uint32_t, Rule> rules;
  std::map<std::uint32_t, Frontend> frontends;
  std::map<std::uint32_t, Backend> backends;
  std::map<std::uint32_t, Identity> identities;
  std::map<std::uint32_t, std::string> nodes;  ///< node id -> name
};

/// The numbers in use. Copyable: a full compile with a copy is the specification of an incremental
/// one.
struct Ids {
  explicit Ids(const Config& config);
  IdSpace identities, cidr_identities, services, frontends, backends, rules, nodes;
  Placements placements;
  std::uint32_t policy_generation = 1;
  /// Takes over the numbers of tables found in the kernel after a restart, for all contents that
  /// the cluster still has; the others stay reserved. Never two contents with one number.
  Result<> adopt(const Tables& found, const kube::Cluster& cluster, const Config& config);

  /// From begin() on, rollback() takes back every allocation; commit() frees what was left.
  void begin();
  void rollback();
  void commit();
};

/// The whole: every table from the objects alone. Specification of Compiler.
/// Requires kube::complete(cluster). Errors: a table would not fit its entries_max (which, how
/// many).
[[nodiscard]] Checked<Tables> compile(const kube::Cluster& cluster,
                                      std::span<const NodeContext> nodes, const Config& config,
                                      Ids& ids, Provenance* provenance = nullptr);

/// Ordered operations that turn `before` into `after`. Every prefix is safe: a selection never ends
/// at an absent or foreign backend, an established reply stays reversible, and a policy verdict is
/// the old or the new one.
///
/// Order: nodes in; policy in; blocks in (inner first); endpoints and ipcache in and changed, pod
/// by pod; backends in; positions; reverse_nat in; frontends; frontends out; positions that nobody
/// names any more become 0; reverse_nat out; backends that retire, backends out; endpoints and
/// ipcache out; blocks out (outer first); policy out; nodes out; generation.
///
/// The generation comes last and once, so that a verdict that conntrack remembers is never asked
/// again of half the tables. It is after.policy_generation, or the one after
/// before.policy_generation when these are equal and a remembered verdict may be out of date.
///
/// Requires: a region that is new in `after` does not overlap one of `before`, and a number means
/// the same content in both; Ids keeps both. Policy entries all allow, so a union of old and new
/// entries is safe for every packet whose ends keep their identities. Where entries and identities
/// change at once, plan alone cannot be safe for a packet (the union may allow what neither side
/// does); Compiler goes through stages that change one of them at a time. Cost follows the
/// difference, not the tables, when both are partial.
[[nodiscard]] std::vector<TableOp> plan(const Tables& before, const Tables& after);

/// The incremental form: follows a stream of changes, one transaction a call.
///
/// Costs: an EndpointSlice or Service: its service's endpoints and ports. A pod, attach, detach:
/// its addresses; when its identity is new, also the policy entries of that identity. A namespace:
/// its pods. A policy: the whole policy table is computed again, only differing entries become
/// operations; when the set of its blocks changes, also every address is classified again.
///
/// A verdict is at every prefix that of the cluster before the transaction, after it, or, when one
/// transaction holds several changes, in between: policies first, then pod by pod. Stages:
/// addresses are split by the new policies' blocks; policies change; pods change; addresses that
/// only old blocks told apart are merged; entries of identities that nobody has any more go.
/// Identities of earlier and later stages have entries towards each other, so a packet meets no gap
/// while its two ends are switched one after the other. Not covered: two pods that change identity
/// in one transaction see each other for a moment as if only one had changed.
class Compiler {
 public:
  Compiler(Config config, std::vector<NodeContext> nodes);
  ~Compiler();
  Compiler(Compiler&&) noexcept;
  Compiler& operator=(Compiler&&) noexcept;

  /// Starts from this cluster (and, after a restart, from the tables found). Returns the operations
  /// from `found` to the desired tables.
  Checked<std::vector<TableOp>> reset(kube::Cluster cluster, const Tables& found = {});
  /// Applies the changes as one transaction. On Errors nothing has changed.
  Checked<std::vector<TableOp>> apply(std::span<const kube::Change> changes);
  /// A pod was wired to, or unwired from, a node of ours.
  Checked<std::vector<TableOp>> attach(const kube::ObjectKey& pod, const std::string& node_name,
                                       const Attachment& attachment);
  Checked<std::vector<TableOp>> detach(const kube::ObjectKey& pod, const std::string& node_name);

  /// What the last call did, to show that cost does not grow with the cluster.
  struct Work {
    std::size_t services = 0;        ///< compiled
    std::size_t addresses = 0;       ///< classified
    std::size_t policy_entries = 0;  ///< computed
    bool operator==(const Work&) const = default;
  };
  [[nodiscard]] const Work& work() const;

  [[nodiscard]] const Tables& tables() const;
  [[nodiscard]] const kube::Cluster& cluster() const;
  [[nodiscard]] const Provenance& provenance() const;
  [[nodiscard]] const Ids& ids() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// This node's variable part, policy_generation included. uplink fields are the caller's.
[[nodiscard]] Result<dp_node_config> node_config_for(const kube::Cluster& cluster,
                                                     const NodeContext& node, const Ids& ids,
                                                     const Tables& tables);

/// Maglev (NSDI'16, 3.4): fills `size` positions from the backends in canonical order (by name),
/// each position naming one of them; equal sets give equal tables whatever the order they came in.
/// Requires size prime and names distinct. `names` are "address:port/protocol", never ids.
[[nodiscard]] std::vector<std::uint32_t> maglev_table(
    std::span<const std::pair<std::string, std::uint32_t>> backends, std::uint32_t size);

}  // namespace waggle::agent
