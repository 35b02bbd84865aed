#pragma once
// What Kubernetes says, typed. Values are valid by construction: the reader refuses the rest.
// Fields that the API leaves open are optional; defaults that the API documents are filled in.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "waggle/kube/address.h"

namespace waggle::kube {

/// Where an object or a part of it was written. line is 1-based; 0 when it was made, not read.
struct SourceRef {
  std::shared_ptr<const std::string> file;  ///< null when made, not read
  int line = 0;

  /// "shop/policies.yaml:12", or "(generated)".
  [[nodiscard]] std::string to_string() const;
};

using Labels = std::map<std::string, std::string>;

struct ObjectMeta {
  std::string name;
  /// Empty for cluster-scoped kinds; "default" where the file is silent.
  std::string namespace_name;
  Labels labels;
  Labels annotations;
  std::string resource_version;
  SourceRef source;
  /// "ReplicaSet/web-5d9f", from the owner reference that controls; or empty.
  std::string controller;
};

/// namespace/name; the namespace is empty for cluster-scoped kinds.
struct ObjectKey {
  std::string namespace_name;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
  [[nodiscard]] std::string to_string() const;
};
[[nodiscard]] ObjectKey key_of(const ObjectMeta& meta);

enum class Protocol : std::uint8_t { tcp = 6, udp = 17, sctp = 132 };  // IANA numbers
[[nodiscard]] std::string to_string(Protocol protocol);                // "TCP"

/// matchLabels and matchExpressions, ANDed. Empty selects everything.
struct LabelSelector {
  enum class Operator : std::uint8_t { in, not_in, exists, does_not_exist };
  struct Requirement {
    std::string key;
    Operator op = Operator::exists;
    std::vector<std::string> values;
    bool operator==(const Requirement&) const = default;
  };
  Labels match_labels;
  std::vector<Requirement> match_expressions;

  /// not_in holds when the key is absent.
  [[nodiscard]] bool matches(const Labels& labels) const;
  bool operator==(const LabelSelector&) const = default;
};

/// labels always hold kubernetes.io/metadata.name.
struct Namespace {
  ObjectMeta meta;
};

struct Node {
  ObjectMeta meta;
  std::vector<Address> addresses;  ///< InternalIP, at most one a family is used by the datapath
  std::vector<Cidr> pod_cidrs;
  bool ready = true;
  /// From topology.kubernetes.io/zone and /region; empty when the node does not say.
  std::string zone;
  std::string region;
};

struct ContainerPort {
  std::string name;  ///< may be empty
  std::uint16_t port = 0;
  Protocol protocol = Protocol::tcp;
  bool operator==(const ContainerPort&) const = default;
};

struct Pod {
  enum class Phase : std::uint8_t { pending, running, succeeded, failed, unknown };
  ObjectMeta meta;
  std::string node_name;             ///< empty until scheduled
  std::vector<Address> addresses;    ///< status.podIPs; one a family at most; none once finished
  std::vector<ContainerPort> ports;  ///< of all containers
  bool host_network = false;
  bool ready = true;         ///< condition Ready; a Running pod without conditions is ready
  bool terminating = false;  ///< metadata.deletionTimestamp is set
  Phase phase = Phase::running;
  Labels node_selector;  ///< spec.nodeSelector

  /// Succeeded or failed: it holds no address and takes no traffic.
  [[nodiscard]] bool finished() const {
    return phase == Phase::succeeded || phase == Phase::failed;
  }
};

/// What makes pods. Stands for them where none of them is given.
struct Workload {
  enum class Kind : std::uint8_t { deployment, stateful_set, daemon_set, replica_set, job };
  Kind kind = Kind::deployment;
  ObjectMeta meta;
  std::uint32_t replicas = 1;  ///< daemon_set: one a node instead
  LabelSelector selector;
  Pod pod;  ///< the template; its meta has labels and annotations only
};
[[nodiscard]] std::string to_string(Workload::Kind kind);  // "Deployment"

/// A port by number or by a container port's name.
using PortRef = std::variant<std::uint16_t, std::string>;

struct ServicePort {
  std::string name;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
  PortRef target_port;          ///< defaults to port
  std::uint16_t node_port = 0;  ///< 0: none
};

struct Service {
  enum class Type : std::uint8_t { cluster_ip, node_port, load_balancer, external_name };
  enum class Algorithm : std::uint8_t { by_default, random, maglev };
  ObjectMeta meta;
  Type type = Type::cluster_ip;
  std::vector<Address> cluster_ips;  ///< empty: headless ("None") or ExternalName
  bool headless = false;
  std::vector<ServicePort> ports;
  std::optional<Labels> selector;  ///< absent: EndpointSlices come from elsewhere
  bool client_ip_affinity = false;
  std::uint32_t affinity_timeout_s = 10800;  ///< API default
  bool publish_not_ready = false;
  bool internal_traffic_local = false;
  bool external_traffic_local = false;
  std::vector<Family> ip_families;
  /// Annotation waggle.io/lb-algorithm: random|maglev.
  Algorithm algorithm = Algorithm::by_default;
};

struct EndpointSlice {
  struct Endpoint {
    std::vector<Address> addresses;  ///< the API: the first one counts
    bool ready = true;               ///< null means true
    bool serving = true;             ///< null means: same as ready
    bool terminating = false;
    std::string node_name;
    std::string zone;
    std::optional<ObjectKey> target_pod;
  };
  struct Port {
    std::string name;
    Protocol protocol = Protocol::tcp;
    std::uint16_t port = 0;
  };
  ObjectMeta meta;
  std::string service_name;  ///< label kubernetes.io/service-name
  Family family = Family::v4;
  std::vector<Endpoint> endpoints;
  std::vector<Port> ports;
};

/// NetworkPolicy v1. Semantics: its API reference; see verifier/policy.h for the corners.
struct NetworkPolicy {
  struct Port {
    Protocol protocol = Protocol::tcp;
    std::optional<PortRef> port;            ///< absent: every port of the protocol
    std::optional<std::uint16_t> end_port;  ///< inclusive; only with a numeric port
    SourceRef source;
  };
  struct IpBlock {
    Cidr cidr;
    std::vector<Cidr> except;  ///< each strictly inside cidr
  };
  struct Peer {
    std::optional<LabelSelector> pod_selector;
    std::optional<LabelSelector> namespace_selector;
    std::optional<IpBlock> ip_block;  ///< excludes the selectors
    SourceRef source;
  };
  struct Rule {
    std::vector<Peer> peers;  ///< empty: every peer
    std::vector<Port> ports;  ///< empty: every port and protocol
    SourceRef source;
  };
  ObjectMeta meta;
  LabelSelector pod_selector;
  bool isolates_ingress = false;  ///< policyTypes, defaulted as the API does
  bool isolates_egress = false;
  std::vector<Rule> ingress;  ///< empty when ingress is not isolated
  std::vector<Rule> egress;
};

}  // namespace waggle::kube
