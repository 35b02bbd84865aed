// Properties of completion, over random clusters.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "describe.h"

namespace waggle::kube {
namespace {

using Random = std::mt19937;

unsigned below(Random& random, unsigned limit) { return static_cast<unsigned>(random() % limit); }

bool one_in(Random& random, unsigned n) { return below(random, n) == 0; }

std::string random_pod(Random& random, unsigned number, bool nodes_given) {
  std::string spec = "containers: [{ports: [{name: http, containerPort: " +
                     std::to_string(8000 + below(random, 3)) + "}]}]";
  if (nodes_given && one_in(random, 3)) spec += fmt::format(", nodeName: n{}", below(random, 3));
  if (one_in(random, 6)) spec += ", hostNetwork: true";
  std::string status;
  if (one_in(random, 4)) status = fmt::format("podIP: 10.50.0.{}", number);
  if (one_in(random, 6)) status += std::string(status.empty() ? "" : ", ") + "phase: Succeeded";
  return fmt::format(
      "{{apiVersion: v1, kind: Pod, metadata: {{name: p{}, namespace: ns{}, labels: {{app: a{}, "
      "tier: "
      "t{}}}}}, spec: {{{}}}, status: {{{}}}}}\n",
      number, below(random, 2), below(random, 3), below(random, 2), spec, status);
}

std::vector<std::string> random_documents(Random& random) {
  std::vector<std::string> documents;
  const bool nodes_given = !one_in(random, 3);
  for (unsigned i = 0; nodes_given && i < 3; ++i)
    documents.push_back(
        fmt::format("{{apiVersion: v1, kind: Node, metadata: {{name: n{}}}, spec: "
                    "{{{}}}}}\n",
                    i, one_in(random, 2) ? fmt::format("podCIDR: 10.9.{}.0/24", i) : ""));
  const auto pods = 5 + below(random, 20);
  for (unsigned i = 0; i < pods; ++i) documents.push_back(random_pod(random, i + 1, nodes_given));
  const auto services = 1 + below(random, 4);
  for (unsigned i = 0; i < services; ++i)
    documents.push_back(fmt::format(
        "{{apiVersion: v1, kind: Service, metadata: {{name: s{}, namespace: ns{}}}, spec: "
        "{{ipFamilyPolicy: {}, selector: {{app: a{}}}, ports: [{{port: 80, targetPort: {}}}]}}}}\n",
        i, below(random, 2), one_in(random, 2) ? "PreferDualStack" : "SingleStack",
        below(random, 3), one_in(random, 2) ? "http" : "8080"));
  documents.push_back(
      fmt::format("{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d, namespace: ns0}}, "
                  "spec: {{replicas: "
                  "{}, selector: {{matchLabels: {{app: d}}}}, template: {{metadata: {{labels: "
                  "{{app: d}}}}}}}}}}\n",
                  below(random, 5)));
  return documents;
}

std::string joined(const std::vector<std::string>& documents) {
  std::string text;
  for (const auto& document : documents) text += "---\n" + document;
  return text;
}

class RandomClusters : public testing::TestWithParam<unsigned> {};

TEST_P(RandomClusters, CompletingTwiceIsTheSameAsOnce) {
  Random random(GetParam());
  Cluster cluster = completed(joined(random_documents(random)));
  const auto once = describe(cluster);
  ASSERT_TRUE(complete(cluster).has_value());
  EXPECT_EQ(describe(cluster), once);
}

TEST_P(RandomClusters, TheOrderOfDocumentsDoesNotMatter) {
  Random random(GetParam());
  auto documents = random_documents(random);
  const auto in_order = describe(completed(joined(documents)));
  std::ranges::shuffle(documents, random);
  EXPECT_EQ(describe(completed(joined(documents))), in_order);
}

TEST_P(RandomClusters, EveryRunningPodHasANodeAndAnAddressOfItsOwn) {
  Random random(GetParam());
  const auto cluster = completed(joined(random_documents(random)));
  std::set<Address> seen;
  for (const auto& [key, node] : cluster.nodes)
    for (const auto& address : node.addresses) EXPECT_TRUE(seen.insert(address).second);
  for (const auto& [key, service] : cluster.services)
    for (const auto& address : service.cluster_ips) EXPECT_TRUE(seen.insert(address).second);
  for (const auto& [key, pod] : cluster.pods) {
    if (pod.finished()) continue;
    EXPECT_TRUE(cluster.nodes.contains({"", pod.node_name})) << key.to_string();
    EXPECT_FALSE(pod.addresses.empty()) << key.to_string();
    if (pod.host_network) continue;
    for (const auto& address : pod.addresses)
      EXPECT_TRUE(seen.insert(address).second) << address.to_string();
  }
}

TEST_P(RandomClusters, SlicesHoldExactlyTheMatchingPods) {
  Random random(GetParam());
  const auto cluster = completed(joined(random_documents(random)));
  for (const auto& [key, service] : cluster.services) {
    std::multiset<ObjectKey> expected;
    for (const auto& [pod_key, pod] : cluster.pods)
      for (const auto family : service.ip_families)
        if (pod_key.namespace_name == key.namespace_name && !pod.finished() &&
            pod.meta.labels.at("app") == service.selector->at("app") &&
            std::ranges::count(pod.addresses, family, &Address::family) > 0)
          expected.insert(pod_key);
    std::multiset<ObjectKey> found;
    for (const auto& [slice_key, slice] : cluster.endpoint_slices)
      if (slice_key.namespace_name == key.namespace_name && slice.service_name == key.name)
        for (const auto& endpoint : slice.endpoints) found.insert(*endpoint.target_pod);
    EXPECT_EQ(found, expected) << key.to_string();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomClusters, testing::Range(1U, 26U));

}  // namespace
}  // namespace waggle::kube
