#pragma once
// Clusters for tests, made in code, and the tables that the agent compiles for them.

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "waggle/agent/compile.h"
#include "waggle/kube/cluster.h"
#include "waggle/verifier/policy.h"
#include "waggle/verifier/tables.h"

namespace waggle::verifier {

/// A completed cluster, compiled. Moving it would leave questions dangling, so it stays put.
struct World {
  kube::Cluster cluster;
  std::vector<agent::NodeContext> nodes;
  agent::Tables tables;
  agent::Provenance provenance;
  Modes modes;

  World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// Completes the cluster, attaches every pod and compiles. Ends the test on an error.
  void build();
  [[nodiscard]] PolicyQuestion question() const {
    return {cluster, tables, nodes, modes, &provenance};
  }
  [[nodiscard]] Snapshot snapshot() const { return {tables, &cluster, &provenance, {}, 0}; }
  [[nodiscard]] const kube::Pod& pod(const std::string& space, const std::string& name) const {
    return cluster.pods.at({space, name});
  }
  [[nodiscard]] Address address(const std::string& space, const std::string& name,
                                Family family = Family::v4) const;
  [[nodiscard]] std::uint32_t identity(const std::string& space, const std::string& name,
                                       Family family = Family::v4) const;
};

kube::Pod& add_pod(kube::Cluster& cluster, const std::string& space, const std::string& name,
                   kube::Labels labels, std::vector<kube::ContainerPort> ports = {});
void add_namespace(kube::Cluster& cluster, const std::string& name, kube::Labels labels);
kube::NetworkPolicy& add_policy(kube::Cluster& cluster, const std::string& space,
                                const std::string& name, kube::LabelSelector pods);
/// A service over pods app=NAME of its namespace, port 80 to 8080.
kube::Service& add_service(kube::Cluster& cluster, const std::string& space,
                           const std::string& name);

[[nodiscard]] kube::LabelSelector labelled(kube::Labels labels);
[[nodiscard]] kube::LabelSelector where(const std::string& key, kube::LabelSelector::Operator op,
                                        std::vector<std::string> values = {});
[[nodiscard]] kube::NetworkPolicy::Peer pods_of(kube::LabelSelector pods);
[[nodiscard]] kube::NetworkPolicy::Peer block(const std::string& cidr,
                                              const std::vector<std::string>& except = {});
[[nodiscard]] kube::NetworkPolicy::Port tcp(std::uint16_t first, std::uint16_t last = 0);
[[nodiscard]] Address ip(const std::string& text);

/// Equal seeds, equal numbers, on every standard library.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(engine_() % n); }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  template <class T>
  const T& of(const std::vector<T>& list) {
    return list[below(static_cast<std::uint32_t>(list.size()))];
  }

 private:
  std::mt19937_64 engine_;
};

struct RandomSize {
  unsigned namespaces = 3, pods = 9, policies = 5, nodes = 3;
  unsigned apps = 3;  ///< values of the label app
};
/// Pods with labels from a small alphabet, policies of every construct over them.
void randomise(kube::Cluster& cluster, Dice& dice, const RandomSize& size = {});

/// Namespaces as teams write them: six apps in chains, isolated, DNS and one outside block allowed.
void add_teams(kube::Cluster& cluster, unsigned namespaces, unsigned pods_each, unsigned nodes);

}  // namespace waggle::verifier
