// Good input: what the fields become. data/kubectl-get.yaml is the input of most.

#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "describe.h"

namespace waggle::kube {
namespace {

const std::filesystem::path sample =
    std::filesystem::path(WAGGLE_SOURCE_DIR) / "tests/unit/kube/data/kubectl-get.yaml";

class KubectlOutput : public testing::Test {
 protected:
  void SetUp() override {
    auto read = read_cluster(std::array{sample});
    ASSERT_TRUE(read.has_value()) << lines_of(read.error());
    cluster = std::move(*read);
  }

  Cluster cluster;
};

TEST_F(KubectlOutput, APodHasItsAddressesPortsConditionsAndOwner) {
  const auto& pod = cluster.pods.at({"shop", "web-5d9f8c7b6-x2x9q"});
  EXPECT_EQ(pod.meta.labels, (Labels{{"app", "web"}, {"pod-template-hash", "5d9f8c7b6"}}));
  EXPECT_EQ(pod.meta.resource_version, "184467");
  EXPECT_EQ(pod.meta.controller, "ReplicaSet/web-5d9f8c7b6");
  EXPECT_EQ(pod.meta.source.to_string(), sample.string() + ":4");
  EXPECT_EQ(pod.node_name, "worker-1");
  ASSERT_EQ(pod.addresses.size(), 2U);
  EXPECT_EQ(pod.addresses[1].to_string(), "fd00:10:244:1::7");
  EXPECT_FALSE(pod.ready);
  EXPECT_FALSE(pod.terminating);
  const std::vector<ContainerPort> ports = {{"http", 8080, Protocol::tcp},
                                            {"metrics", 15090, Protocol::tcp}};
  EXPECT_EQ(pod.ports, ports) << "a sidecar's ports count, another init container's do not";
}

TEST_F(KubectlOutput, AFinishedPodHoldsNoAddress) {
  const auto& pod = cluster.pods.at({"shop", "migrate-kx7fp"});
  EXPECT_TRUE(pod.finished());
  EXPECT_TRUE(pod.addresses.empty());
  EXPECT_EQ(incompletion_of(cluster), "");
}

TEST_F(KubectlOutput, AServiceHasItsAddressesPortsAndPolicies) {
  const auto& service = cluster.services.at({"shop", "web"});
  EXPECT_EQ(service.type, Service::Type::node_port);
  EXPECT_EQ(service.algorithm, Service::Algorithm::maglev);
  EXPECT_EQ(service.cluster_ips.size(), 2U);
  EXPECT_EQ(service.ip_families, (std::vector{Family::v4, Family::v6}));
  EXPECT_TRUE(service.client_ip_affinity && service.affinity_timeout_s == 600);
  EXPECT_TRUE(service.internal_traffic_local && service.external_traffic_local);
  EXPECT_TRUE(service.publish_not_ready);
  ASSERT_EQ(service.ports.size(), 3U);
  EXPECT_EQ(service.ports[0].target_port, PortRef(std::string("http")));
  EXPECT_EQ(service.ports[0].node_port, 30080);
  EXPECT_EQ(service.ports[1].protocol, Protocol::udp);
  EXPECT_EQ(service.ports[2].target_port, PortRef(std::uint16_t{9000})) << "it defaults to port";
}

TEST_F(KubectlOutput, HeadlessAndExternalNameServicesHaveNoAddress) {
  const auto& headless = cluster.services.at({"shop", "peers"});
  EXPECT_TRUE(headless.headless && headless.cluster_ips.empty());
  const auto& outside = cluster.services.at({"shop", "outside"});
  EXPECT_EQ(outside.type, Service::Type::external_name);
  ASSERT_EQ(incompletion_of(cluster), "");
  ASSERT_TRUE(complete(cluster).has_value());
  EXPECT_TRUE(cluster.services.at({"shop", "peers"}).cluster_ips.empty());
  EXPECT_TRUE(cluster.services.at({"shop", "outside"}).cluster_ips.empty());
}

TEST_F(KubectlOutput, ANodeHasItsAddressesBlocksAndZone) {
  const auto& node = cluster.nodes.at({"", "worker-1"});
  EXPECT_EQ(node.addresses.size(), 2U);
  EXPECT_EQ(node.pod_cidrs.size(), 2U);
  EXPECT_EQ(node.zone, "eu-a");
  EXPECT_EQ(node.region, "eu");
  EXPECT_FALSE(node.ready) << "Ready is Unknown";
}

TEST_F(KubectlOutput, ASliceHasItsConditionsAndNumberedPorts) {
  ASSERT_EQ(cluster.endpoint_slices.size(), 1U) << "a slice of names concerns nobody";
  EXPECT_EQ(describe(cluster.endpoint_slices.at({"shop", "web-8x7qs"})),
            "slice shop/web-8x7qs of web v4 http:8080/TCP"
            " [10.244.1.7 -st worker-1 eu-a shop/web-5d9f8c7b6-x2x9q] [10.244.1.8 rs   ]");
}

TEST_F(KubectlOutput, KindsOfOtherGroupsArePassedOver) {
  EXPECT_TRUE(cluster.network_policies.empty());
}

TEST_F(KubectlOutput, GivenObjectsAreNotChangedByCompletion) {
  const auto pods = cluster.pods.size();
  const auto before = describe(cluster.endpoint_slices.at({"shop", "web-8x7qs"}));
  ASSERT_TRUE(complete(cluster).has_value());
  EXPECT_EQ(cluster.pods.size(), pods) << "the Deployment and its ReplicaSet have their pods";
  EXPECT_EQ(describe(cluster.endpoint_slices.at({"shop", "web-8x7qs"})), before);
  EXPECT_EQ(cluster.services.at({"shop", "web"}).cluster_ips.at(0).to_string(), "10.96.14.3");
}

TEST(Manifests, DefaultsAreThoseOfTheApi) {
  const auto cluster = cluster_of(R"(apiVersion: v1
kind: Pod
metadata: {name: a}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {ports: [{port: 80}]}
)");
  const auto& pod = cluster.pods.at({"default", "a"});
  EXPECT_TRUE(pod.ready && !pod.terminating && !pod.host_network);
  EXPECT_EQ(pod.phase, Pod::Phase::running);
  const auto& service = cluster.services.at({"default", "a"});
  EXPECT_EQ(service.type, Service::Type::cluster_ip);
  EXPECT_EQ(service.affinity_timeout_s, 10800U);
  EXPECT_EQ(service.ports.at(0).protocol, Protocol::tcp);
  EXPECT_EQ(service.algorithm, Service::Algorithm::by_default);
  EXPECT_FALSE(service.selector || service.client_ip_affinity || service.internal_traffic_local);
}

TEST(Manifests, AnEmptySelectorIsNoSelector) {
  const auto cluster = cluster_of(
      "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {}, "
      "ports: [{port: 80}]}}");
  EXPECT_FALSE(cluster.services.at({"default", "a"}).selector.has_value());
}

TEST(Manifests, ADeletionTimestampMeansTerminating) {
  const auto cluster = cluster_of(
      "{apiVersion: v1, kind: Pod, metadata: {name: a, deletionTimestamp: 2026-11-20T09:12:44Z}}");
  EXPECT_TRUE(cluster.pods.at({"default", "a"}).terminating);
}

TEST(Manifests, ItemsOfATypedListTakeItsKind) {
  const auto cluster = cluster_of(
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},
          "items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b","namespace":"x"}}]})");
  EXPECT_TRUE(cluster.pods.contains({"default", "a"}) && cluster.pods.contains({"x", "b"}));
}

TEST(Manifests, TheSameObjectTwiceNamesBothPlaces) {
  Cluster cluster = cluster_of("\n\n{apiVersion: v1, kind: Pod, metadata: {name: a}}");
  auto again = read_objects("{apiVersion: v1, kind: Pod, metadata: {name: a}}", "other.yaml");
  ASSERT_TRUE(again.has_value());
  const auto added = add_objects(cluster, std::move(*again));
  ASSERT_FALSE(added.has_value());
  EXPECT_EQ(lines_of(added.error()),
            "other.yaml:1: Pod default/a is given twice, first in test.yaml:3\n");
}

TEST(ClusterChanges, AnUpsertReplacesAndADeletionRemoves) {
  Cluster cluster = cluster_of("{apiVersion: v1, kind: Pod, metadata: {name: a}}");
  Pod pod = cluster.pods.at({"default", "a"});
  pod.node_name = "n";
  cluster.apply({Change::Kind::upserted, pod});
  EXPECT_EQ(cluster.pods.at({"default", "a"}).node_name, "n");
  cluster.apply({Change::Kind::deleted, pod});
  EXPECT_TRUE(cluster.pods.empty());
  cluster.apply({Change::Kind::deleted, pod});
  EXPECT_TRUE(cluster.pods.empty());
}

}  // namespace
}  // namespace waggle::kube
