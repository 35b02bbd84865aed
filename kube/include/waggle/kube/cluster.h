#pragma once
// A cluster's state: the objects, by kind and key, in a fixed order.

#include <functional>
#include <map>
#include <span>
#include <string>
#include <variant>

#include "waggle/kube/objects.h"

namespace waggle::kube {

using Object = std::variant<Namespace, Node, Pod, Service, EndpointSlice, NetworkPolicy>;

/// One change of one object, as a watch reports it. For `deleted` the object is its last state.
struct Change {
  enum class Kind : std::uint8_t { upserted, deleted };
  Kind kind = Kind::upserted;
  Object object;
};

struct Cluster {
  std::map<ObjectKey, Namespace> namespaces;
  std::map<ObjectKey, Node> nodes;
  std::map<ObjectKey, Pod> pods;
  std::map<ObjectKey, Service> services;
  std::map<ObjectKey, EndpointSlice> endpoint_slices;
  std::map<ObjectKey, NetworkPolicy> network_policies;
  /// complete() makes the pods of those that have none. Not part of a watch, so not of Object.
  std::map<std::pair<Workload::Kind, ObjectKey>, Workload> workloads;

  /// Puts the object in, in place of the one with its key, or takes it out.
  void apply(const Change& change);
  /// Labels of a pod's namespace; a namespace without an object has only its name label.
  [[nodiscard]] Labels namespace_labels(const std::string& name) const;
};

/// What a cluster that names no addresses or nodes is completed with. All blocks dual stack: one
/// a family, or several (a pod takes the node's first block that has room).
struct Defaults {
  std::vector<Cidr> pod_cidrs;          ///< default 10.244.0.0/16, fd00:10:244::/56
  std::vector<Cidr> node_cidrs;         ///< default 172.18.0.0/16, fd00:172:18::/64
  std::vector<Cidr> service_cidrs;      ///< default 10.96.0.0/16, fd00:10:96::/112
  unsigned pods_per_node_v4_bits = 24;  ///< a node's slice of the IPv4 pod block
  unsigned pods_per_node_v6_bits = 64;
  unsigned invented_nodes = 3;  ///< when no Node object is given
  unsigned invented_zones = 2;
  static Defaults standard();
};

/// Does what the controllers of a cluster would do, deterministically and for what is missing only:
/// - without Node objects, invents those that pods name, or else node-1, node-2, … in zone-a,
///   zone-b, …; node addresses and pod CIDRs, of the node's families;
/// - makes the pods of workloads that have none: web-0, web-1, …; of a DaemonSet web-NODE on each;
/// - schedules pods: the node whose pod CIDR holds the pod's address, or else fewest pods first,
///   then by name, among ready nodes that match nodeSelector (invented nodes match every one).
///   A pod whose status says Pending, or that has finished, stays as it is;
/// - gives addresses: a pod one of each family of its node's CIDRs, a host-network pod its node's,
///   a service one of each family it names (none named: that of the first of service_cidrs), but
///   for a second family that service_cidrs does not have;
/// - makes EndpointSlices for services with a selector and without slices.
/// What the input says is never changed; completing twice is the same as once; the order of the
/// input does not matter. After an error the cluster is completed in part.
/// Errors: a block that is too small, two holders of one address, a node name that does not exist,
/// a nodeSelector that no node matches, a made pod or slice whose name is taken.
[[nodiscard]] Checked<> complete(Cluster& cluster, const Defaults& defaults = Defaults::standard());

/// The slices that the EndpointSlice controller would keep for this service now: a family and a set
/// of resolved ports each, at most 100 endpoints, in the order of pod keys; an empty slice a family
/// when no pod matches; nothing without a selector. Exposed so that a simulation can follow a pod's
/// change.
[[nodiscard]] std::vector<EndpointSlice> endpoint_slices_for(const Cluster& cluster,
                                                             const Service& service);

}  // namespace waggle::kube
