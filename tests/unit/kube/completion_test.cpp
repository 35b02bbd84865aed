#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "describe.h"

namespace waggle::kube {
namespace {

std::string pod(std::string_view name, std::string_view spec = "{}",
                std::string_view status = "{}") {
  return fmt::format(
      "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {}, labels: {{app: web}}}}, "
      "spec: {}, status: {}}}\n",
      name, spec, status);
}

std::string node(std::string_view name, std::string_view spec = "{}",
                 std::string_view status = "{}", std::string_view labels = "{}") {
  return fmt::format(
      "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {}, labels: {}}}, spec: {}, "
      "status: {}}}\n",
      name, labels, spec, status);
}

std::string service(std::string_view name, std::string_view spec) {
  return fmt::format("---\n{{apiVersion: v1, kind: Service, metadata: {{name: {}}}, spec: {}}}\n",
                     name, spec);
}

const Pod& pod_of(const Cluster& cluster, const std::string& name) {
  return cluster.pods.at({"default", name});
}

TEST(CompletedNodes, AreInventedInZonesWhenNoneIsGiven) {
  EXPECT_EQ(describe(completed("")),
            "node node-1 172.18.0.2,fd00:172:18::2 10.244.0.0/24,fd00:10:244::/64 zone-a true\n"
            "node node-2 172.18.0.3,fd00:172:18::3 10.244.1.0/24,fd00:10:244:1::/64 zone-b true\n"
            "node node-3 172.18.0.4,fd00:172:18::4 10.244.2.0/24,fd00:10:244:2::/64 zone-a true\n");
}

TEST(CompletedNodes, AreThoseThatPodsNameWhenNoneIsGiven) {
  const auto cluster = completed(pod("a", "{nodeName: east}") + pod("b", "{nodeName: west}"));
  EXPECT_EQ(cluster.nodes.size(), 2U);
  EXPECT_TRUE(cluster.nodes.contains({"", "east"}) && cluster.nodes.contains({"", "west"}));
}

TEST(CompletedNodes, KeepTheFamiliesTheyHave) {
  const auto cluster =
      completed(node("a", "{}", "{addresses: [{type: InternalIP, address: 192.168.0.5}]}") +
                node("b", "{podCIDR: \"fd01::/64\"}") + node("c") + pod("x", "{nodeName: a}") +
                pod("w", "{nodeName: b}") + pod("z", "{nodeName: c}"));
  EXPECT_EQ(cluster.nodes.at({"", "a"}).pod_cidrs.size(), 1U);
  EXPECT_EQ(cluster.nodes.at({"", "b"}).addresses.at(0).family(), Family::v6);
  EXPECT_EQ(pod_of(cluster, "x").addresses.size(), 1U);
  EXPECT_EQ(pod_of(cluster, "w").addresses.at(0).to_string(), "fd01::2");
  EXPECT_EQ(pod_of(cluster, "z").addresses.size(), 2U);
}

TEST(CompletedNodes, GetBlocksThatOverlapNoGivenOne) {
  const auto cluster = completed(node("a") + node("b", "{podCIDRs: [10.244.0.0/23]}") + node("c"));
  EXPECT_EQ(cluster.nodes.at({"", "a"}).pod_cidrs.at(0).to_string(), "10.244.2.0/24");
  EXPECT_EQ(cluster.nodes.at({"", "c"}).pod_cidrs.at(0).to_string(), "10.244.3.0/24");
}

TEST(CompletedNodes, TakeTheNextBlockOfAFamilyWhenOneIsUsedUp) {
  auto defaults = Defaults::standard();
  defaults.pod_cidrs = {Cidr::parse("10.1.0.0/24").value(), Cidr::parse("10.2.0.0/23").value()};
  Cluster cluster = cluster_of(node("a") + node("b") + node("c"));
  ASSERT_TRUE(complete(cluster, defaults).has_value());
  EXPECT_EQ(cluster.nodes.at({"", "a"}).pod_cidrs.at(0).to_string(), "10.1.0.0/24");
  EXPECT_EQ(cluster.nodes.at({"", "c"}).pod_cidrs.at(0).to_string(), "10.2.1.0/24");
}

TEST(Scheduling, SpreadsPodsFewestFirstAndThenByName) {
  std::string text = node("a") + node("b") + pod("p0", "{nodeName: a}");
  for (int i = 1; i < 5; ++i) text += pod(fmt::format("p{}", i));
  const auto cluster = completed(text);
  std::string places;
  for (const auto& [key, one] : cluster.pods) places += one.node_name;
  EXPECT_EQ(places, "ababa");
}

TEST(Scheduling, FollowsNodeSelectorsReadinessAndTheAddressAPodHas) {
  const auto cluster = completed(
      node("a", "{podCIDR: 10.1.0.0/24}", "{conditions: [{type: Ready, status: \"False\"}]}") +
      node("b", "{podCIDR: 10.2.0.0/24}", "{}", "{disk: ssd}") +
      node("c", "{podCIDR: 10.3.0.0/24}") + pod("p", "{nodeSelector: {disk: ssd}}") +
      pod("q", "{nodeSelector: {disk: ssd}}") + pod("r", "{}", "{podIP: 10.1.0.77}") + pod("s"));
  EXPECT_EQ(pod_of(cluster, "p").node_name, "b");
  EXPECT_EQ(pod_of(cluster, "q").node_name, "b");
  EXPECT_EQ(pod_of(cluster, "r").node_name, "a");
  EXPECT_EQ(pod_of(cluster, "s").node_name, "c");
}

TEST(Scheduling, RefusesAPodThatFitsNowhere) {
  EXPECT_EQ(incompletion_of(cluster_of(node("a") + pod("p", "{nodeSelector: {disk: ssd}}"))),
            "test.yaml:4: no ready node has the labels that pod default/p asks for (give the pod a "
            "nodeName, or a node these labels)\n");
}

TEST(Scheduling, LeavesPendingAndFinishedPodsAlone) {
  const auto cluster =
      completed(pod("a", "{}", "{phase: Pending}") + pod("b", "{}", "{phase: Failed}") + pod("c"));
  EXPECT_EQ(pod_of(cluster, "a").node_name + pod_of(cluster, "b").node_name, "");
  EXPECT_TRUE(pod_of(cluster, "a").addresses.empty() && pod_of(cluster, "b").addresses.empty());
  EXPECT_EQ(pod_of(cluster, "c").node_name, "node-1");
}

TEST(Scheduling, RefusesANodeThatDoesNotExist) {
  EXPECT_EQ(incompletion_of(cluster_of(node("a") + pod("p", "{nodeName: b}"))),
            "test.yaml:4: pod default/p is on node b, which does not exist\n");
}

TEST(PodAddresses, AreTheLowestThatNobodyHas) {
  const auto cluster = completed(node("a", "{podCIDR: 10.1.0.0/24}") + pod("p") +
                                 pod("q", "{nodeName: a}", "{podIP: 10.1.0.2}") + pod("r"));
  EXPECT_EQ(pod_of(cluster, "p").addresses.at(0).to_string(), "10.1.0.3");
  EXPECT_EQ(pod_of(cluster, "r").addresses.at(0).to_string(), "10.1.0.4");
}

TEST(PodAddresses, OfAHostNetworkPodAreItsNodes) {
  const auto cluster = completed(pod("p", "{hostNetwork: true}") + pod("q", "{hostNetwork: true}"));
  EXPECT_EQ(pod_of(cluster, "p").addresses, cluster.nodes.at({"", "node-1"}).addresses);
}

TEST(PodAddresses, RunOutWithAnErrorForEachPodThatGetsNone) {
  std::string text = node("a", "{podCIDR: 10.1.0.0/30}",
                          "{addresses: [{type: InternalIP, address: "
                          "172.18.0.9}]}");
  for (const auto* name : {"p", "q", "r"}) text += pod(name);
  EXPECT_EQ(incompletion_of(cluster_of(text)),
            "test.yaml:6: node a has no address left for pod default/q (a larger pod CIDR, or more "
            "nodes)\n"
            "test.yaml:8: node a has no address left for pod default/r (a larger pod CIDR, or more "
            "nodes)\n");
}

TEST(Addresses, ThatTwoObjectsHaveAreRefusedNamingBoth) {
  EXPECT_EQ(
      incompletion_of(
          cluster_of(pod("a", "{}", "{podIP: 10.0.0.1}") + pod("b", "{}", "{podIP: 10.0.0.1}"))),
      "test.yaml:4: pod default/b has address 10.0.0.1, which pod default/a (test.yaml:2) has "
      "too\n");
  EXPECT_NE(incompletion_of(cluster_of(pod("a", "{}", "{podIP: 10.0.0.1}") +
                                       service("s", "{clusterIP: 10.0.0.1, ports: [{port: 80}]}"))),
            "");
  EXPECT_EQ(incompletion_of(cluster_of(pod("a", "{nodeName: east}", "{podIP: 10.0.0.1}") +
                                       pod("b", "{}", "{podIP: 10.0.0.1, phase: Succeeded}"))),
            "")
      << "a finished pod's address is free again";
}

TEST(ServiceAddresses, FollowTheFamiliesAServiceNames) {
  const auto cluster = completed(
      service("a", "{ports: [{port: 80}]}") +
      service("b", "{ipFamilyPolicy: PreferDualStack, ports: [{port: 80}]}") +
      service("c", "{ipFamilies: [IPv6], ports: [{port: 80}]}") +
      service("d", "{ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6], ports: [{port: 80}]}") +
      service("e", "{clusterIP: 10.96.0.2, ports: [{port: 80}]}"));
  const auto addresses = [&](const std::string& name) {
    std::string all;
    for (const auto& address : cluster.services.at({"default", name}).cluster_ips)
      all += address.to_string() + " ";
    return all;
  };
  EXPECT_EQ(addresses("a"), "10.96.0.3 ");
  EXPECT_EQ(addresses("b"), "10.96.0.4 fd00:10:96::2 ");
  EXPECT_EQ(addresses("c"), "fd00:10:96::3 ");
  EXPECT_EQ(addresses("d"), "fd00:10:96::4 10.96.0.5 ");
  EXPECT_EQ(addresses("e"), "10.96.0.2 ");
}

TEST(ServiceAddresses, LeaveOutASecondFamilyThatHasNoBlock) {
  auto defaults = Defaults::standard();
  defaults.service_cidrs.resize(1);
  const auto only_v6 = service("a", "{ipFamilies: [IPv6], ports: [{port: 80}]}");
  EXPECT_NE(incompletion_of(cluster_of(only_v6), defaults), "");
  Cluster both = cluster_of(service("a", "{ipFamilyPolicy: PreferDualStack, ports: [{port: 80}]}"));
  ASSERT_TRUE(complete(both, defaults).has_value());
  const auto& made = both.services.at({"default", "a"});
  EXPECT_EQ(made.ip_families, std::vector{Family::v4});
  EXPECT_EQ(made.cluster_ips.size(), 1U);
}

TEST(ServiceAddresses, RunOutWithAnError) {
  auto defaults = Defaults::standard();
  defaults.service_cidrs = {Cidr::parse("10.96.0.0/30").value()};
  const auto errors = incompletion_of(
      cluster_of(service("a", "{ports: [{port: 80}]}") + service("b", "{ports: [{port: 80}]}")),
      defaults);
  EXPECT_EQ(errors,
            "test.yaml:4: no IPv4 address is left for service default/b (give "
            "Defaults::service_cidrs a larger block)\n");
}

TEST(NodeAddresses, RunOutWithAnError) {
  auto defaults = Defaults::standard();
  defaults.node_cidrs = {Cidr::parse("172.18.0.0/30").value()};
  EXPECT_EQ(
      incompletion_of({}, defaults),
      "(generated): no IPv4 address is left for node node-2 (give Defaults::node_cidrs a larger "
      "block)\n");
}

TEST(Completion, ScalesToAThousandNodesWithoutGivingAnAddressTwice) {
  auto defaults = Defaults::standard();
  defaults.pod_cidrs = {Cidr::parse("10.0.0.0/12").value(), Cidr::parse("fd00:10::/48").value()};
  defaults.invented_nodes = 1000;
  Cluster cluster;
  for (int i = 0; i < 20000; ++i) {
    Pod one;
    one.meta.name = fmt::format("pod-{}", i);
    one.meta.namespace_name = "default";
    cluster.pods.emplace(key_of(one.meta), one);
  }
  ASSERT_TRUE(complete(cluster, defaults).has_value());
  std::set<Address> seen;
  for (const auto& [key, one] : cluster.pods) {
    ASSERT_EQ(one.addresses.size(), 2U);
    for (const auto& address : one.addresses) EXPECT_TRUE(seen.insert(address).second);
    const auto& blocks = cluster.nodes.at({"", one.node_name}).pod_cidrs;
    EXPECT_TRUE(blocks.at(0).contains(one.addresses.at(0)));
    EXPECT_TRUE(blocks.at(1).contains(one.addresses.at(1)));
  }
}

}  // namespace
}  // namespace waggle::kube
