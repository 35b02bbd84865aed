// What a NetworkPolicy and a selector mean once read (API reference).

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "describe.h"

namespace waggle::kube {
namespace {

NetworkPolicy policy(std::string_view spec) {
  const auto cluster = cluster_of(fmt::format(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec: {}\n",
      spec));
  return cluster.network_policies.at({"default", "p"});
}

std::string isolation(std::string_view spec) {
  const auto read = policy(spec);
  return fmt::format("{}{} {} {}", read.isolates_ingress ? "I" : "-",
                     read.isolates_egress ? "E" : "-", read.ingress.size(), read.egress.size());
}

TEST(PolicyTypes, DefaultToIngressAndToEgressOnlyWithAnEgressRule) {
  EXPECT_EQ(isolation("{podSelector: {}}"), "I- 0 0");
  EXPECT_EQ(isolation("{podSelector: {}, policyTypes: []}"), "I- 0 0");
  EXPECT_EQ(isolation("{podSelector: {}, egress: []}"), "I- 0 0");
  EXPECT_EQ(isolation("{podSelector: {}, egress: [{}]}"), "IE 0 1");
  EXPECT_EQ(isolation("{podSelector: {}, ingress: [{}]}"), "I- 1 0");
  EXPECT_EQ(isolation("{podSelector: {}, ingress: null}"), "I- 0 0");
}

TEST(PolicyTypes, SectionsOfUnlistedDirectionsAreIgnored) {
  EXPECT_EQ(isolation("{policyTypes: [Egress], ingress: [{}]}"), "-E 0 0");
  EXPECT_EQ(isolation("{policyTypes: [Ingress], egress: [{}]}"), "I- 0 0");
  EXPECT_EQ(isolation("{policyTypes: [Egress, Ingress]}"), "IE 0 0");
}

TEST(PolicyPeers, AnAbsentSelectorDiffersFromAnEmptyOne) {
  const auto read = policy(
      "{ingress: [{from: [{podSelector: {}}, {namespaceSelector: {}},"
      " {podSelector: {}, namespaceSelector: {matchLabels: {a: b}}}]}]}");
  const auto& peers = read.ingress.at(0).peers;
  ASSERT_EQ(peers.size(), 3U);
  EXPECT_TRUE(peers[0].pod_selector && !peers[0].namespace_selector);
  EXPECT_TRUE(!peers[1].pod_selector && peers[1].namespace_selector);
  EXPECT_TRUE(peers[2].pod_selector && peers[2].namespace_selector);
  EXPECT_EQ(*peers[0].pod_selector, LabelSelector{});
}

TEST(PolicyPorts, ProtocolDefaultsToTcpAndEndPortMayEqualPort) {
  const auto read = policy(
      "{ingress: [{ports: [{}, {port: 80, endPort: 80}, {protocol: SCTP},"
      " {port: http, protocol: UDP}]}]}");
  const auto& ports = read.ingress.at(0).ports;
  ASSERT_EQ(ports.size(), 4U);
  EXPECT_TRUE(ports[0].protocol == Protocol::tcp && !ports[0].port && !ports[0].end_port);
  EXPECT_EQ(ports[1].port, PortRef(std::uint16_t{80}));
  EXPECT_EQ(ports[1].end_port, 80);
  EXPECT_TRUE(ports[2].protocol == Protocol::sctp && !ports[2].port);
  EXPECT_EQ(ports[3].port, PortRef(std::string("http")));
}

TEST(PolicySources, EachRulePeerAndPortKnowsItsLine) {
  const auto cluster = cluster_of(R"(apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p}
spec:
  ingress:
  - from:
    - podSelector: {}
    - ipBlock: {cidr: 10.0.0.0/8}
    ports:
    - port: 80
)");
  const auto& rule = cluster.network_policies.at({"default", "p"}).ingress.at(0);
  EXPECT_EQ(rule.source.to_string(), "test.yaml:6");
  EXPECT_EQ(rule.peers.at(1).source.to_string(), "test.yaml:8");
  EXPECT_EQ(rule.ports.at(0).source.to_string(), "test.yaml:10");
}

bool selects(std::string_view selector, const Labels& labels) {
  return policy(fmt::format("{{podSelector: {}}}", selector)).pod_selector.matches(labels);
}

TEST(Selectors, EmptySelectsEverything) {
  EXPECT_TRUE(selects("{}", {}));
  EXPECT_TRUE(selects("null", {{"a", "b"}}));
}

TEST(Selectors, TermsAreAnded) {
  constexpr auto both = "{matchLabels: {a: x}, matchExpressions: [{key: b, operator: Exists}]}";
  EXPECT_TRUE(selects(both, {{"a", "x"}, {"b", ""}}));
  EXPECT_FALSE(selects(both, {{"a", "x"}}));
  EXPECT_FALSE(selects(both, {{"a", "y"}, {"b", ""}}));
}

TEST(Selectors, NotInHoldsWhenTheKeyIsAbsentAndInDoesNot) {
  constexpr auto in = "{matchExpressions: [{key: a, operator: In, values: [x, w]}]}";
  constexpr auto not_in = "{matchExpressions: [{key: a, operator: NotIn, values: [x, w]}]}";
  EXPECT_FALSE(selects(in, {}));
  EXPECT_TRUE(selects(in, {{"a", "w"}}));
  EXPECT_TRUE(selects(not_in, {}));
  EXPECT_FALSE(selects(not_in, {{"a", "w"}}));
  EXPECT_TRUE(selects(not_in, {{"a", "z"}}));
}

TEST(Selectors, AnEmptyValueNeedsTheKey) {
  EXPECT_TRUE(selects("{matchLabels: {a: \"\"}}", {{"a", ""}}));
  EXPECT_FALSE(selects("{matchLabels: {a: \"\"}}", {}));
}

TEST(Selectors, ExistsAndDoesNotExistAreOpposites) {
  constexpr auto gone = "{matchExpressions: [{key: a, operator: DoesNotExist}]}";
  EXPECT_TRUE(selects(gone, {{"b", ""}}));
  EXPECT_FALSE(selects(gone, {{"a", ""}}));
}

TEST(NamespaceLabels, AlwaysHoldTheName) {
  const auto cluster = cluster_of(R"(apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {kubernetes.io/metadata.name: other, team: a}}
)");
  EXPECT_EQ(cluster.namespace_labels("shop"),
            (Labels{{"kubernetes.io/metadata.name", "shop"}, {"team", "a"}}));
  EXPECT_EQ(cluster.namespace_labels("none"), (Labels{{"kubernetes.io/metadata.name", "none"}}));
}

}  // namespace
}  // namespace waggle::kube
