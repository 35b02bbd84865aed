#pragma once
// Seeded random clusters and changes of one object each.

#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "world.h"

namespace waggle::agent {

/// Small and crowded: few names, addresses and labels, so that they meet and are used again.
class RandomCluster {
 public:
  explicit RandomCluster(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] kube::Cluster first();
  /// A change of one object that keeps the cluster valid.
  [[nodiscard]] kube::Change next(const kube::Cluster& cluster);
  /// Every node with every pod that could be there attached.
  [[nodiscard]] std::vector<NodeContext> all_contexts(std::size_t nodes) const;
  /// Between all pod addresses that could be there, nodes and the outside; never pod to itself.
  [[nodiscard]] std::vector<Flow> flows() const;

 private:
  std::size_t below(std::size_t n) { return random_() % n; }
  bool chance(unsigned percent) { return random_() % 100 < percent; }
  kube::Pod random_pod(std::size_t i);
  kube::Service random_service(std::size_t i);
  kube::EndpointSlice random_slice(std::size_t i, Family family, const kube::Cluster& cluster);
  kube::NetworkPolicy random_policy(std::size_t i);
  std::vector<kube::NetworkPolicy::Rule> random_rules();
  kube::NetworkPolicy::Peer random_peer();
  kube::NetworkPolicy::Port random_port();
  kube::Labels random_labels();

  std::mt19937_64 random_;
};

}  // namespace waggle::agent
