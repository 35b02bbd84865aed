// NetworkPolicy v1 at table level: the API reference and the conformance tests, line by
// line.

#include <gtest/gtest.h>

#include "check.h"
#include "waggle/abi/identities.h"
#include "world.h"

namespace waggle::agent {
namespace {

using kube::Protocol;

// Three namespaces; client and server pods on one node, and the outside.
class NetworkPolicies : public testing::Test {
 protected:
  NetworkPolicies() {
    put(cluster, node("node-1", {"172.18.0.1", "fd18::1"}));
    put(cluster, node("node-2", {"172.18.0.2"}));
    put(cluster, space("default"));
    put(cluster, space("shop", {{"team", "red"}}));
    put(cluster, space("bank", {{"team", "blue"}}));
    add("web", "10.0.0.1", {{"app", "web"}}, "default");
    add("api", "10.0.0.2", {{"app", "api"}}, "default", {{"http", 80, Protocol::tcp}});
    add("shop-web", "10.0.1.1", {{"app", "web"}}, "shop", {{"http", 8080, Protocol::tcp}});
    add("shop-api", "10.0.1.2", {{"app", "api"}}, "shop");
    add("bank-web", "10.0.2.1", {{"app", "web"}, {"empty", ""}}, "bank");
  }

  void add(const std::string& name, const std::string& address, const kube::Labels& labels,
           const std::string& namespace_name, std::vector<kube::ContainerPort> ports = {}) {
    auto made = pod(name, "node-1", {address}, labels, namespace_name);
    made.ports = std::move(ports);
    put(cluster, made);
  }

  Tables tables() {
    Ids ids{config};
    return compile(cluster, contexts(cluster, {"node-1"}), config, ids, &told).value();
  }

  bool allowed(const std::string& source, const std::string& destination, std::uint16_t port = 80,
               std::uint8_t protocol = 6) {
    return passes(
        tables(),
        {.source = ip(source), .destination = ip(destination), .protocol = protocol, .port = port});
  }

  // Ingress to app=api of default with one rule.
  kube::NetworkPolicy to_api(std::vector<kube::NetworkPolicy::Peer> peers,
                             std::vector<kube::NetworkPolicy::Port> ports = {}) {
    auto made = policy("to-api", {{"app", "api"}});
    made.isolates_ingress = true;
    made.ingress.emplace_back();
    made.ingress[0].peers = std::move(peers);
    made.ingress[0].ports = std::move(ports);
    return made;
  }

  kube::NetworkPolicy from_web(std::vector<kube::NetworkPolicy::Peer> peers,
                               std::vector<kube::NetworkPolicy::Port> ports = {}) {
    auto made = policy("from-web", {{"app", "web"}});
    made.isolates_egress = true;
    made.egress.emplace_back();
    made.egress[0].peers = std::move(peers);
    made.egress[0].ports = std::move(ports);
    return made;
  }

  static constexpr auto web = "10.0.0.1", api = "10.0.0.2", shop_web = "10.0.1.1",
                        shop_api = "10.0.1.2", bank_web = "10.0.2.1", outside = "8.8.8.8";
  kube::Cluster cluster;
  Config config;
  Provenance told;
};

TEST_F(NetworkPolicies, WithoutPolicyEverythingPasses) {
  EXPECT_TRUE(allowed(web, api));
  EXPECT_TRUE(allowed(outside, api, 0x0800, 1));
  EXPECT_EQ(
      look_up(tables(), identity_of(tables(), ip(api)), DP_IDENTITY_WORLD, DP_INGRESS, 6, 80)->rule,
      rule_not_isolated);
}

TEST_F(NetworkPolicies, AnEmptySelectorIsolatesEveryPodOfItsNamespaceAndNoOther) {
  auto deny = policy("deny", {});
  deny.isolates_ingress = true;
  put(cluster, deny);
  EXPECT_FALSE(allowed(web, api));
  EXPECT_FALSE(allowed(shop_web, web));
  EXPECT_TRUE(allowed(web, shop_api));
}

TEST_F(NetworkPolicies, IsolationIsForEachDirection) {
  auto deny = policy("deny", {{"app", "web"}});
  deny.isolates_egress = true;
  put(cluster, deny);
  EXPECT_FALSE(allowed(web, api));
  EXPECT_TRUE(allowed(api, web));
}

TEST_F(NetworkPolicies, AnEmptyRuleAllowsEveryoneAndEverything) {
  put(cluster, to_api({}));
  EXPECT_TRUE(allowed(web, api));
  EXPECT_TRUE(allowed(outside, api, 0x0800, 1));
}

TEST_F(NetworkPolicies, SeveralPoliciesAreAUnion) {
  put(cluster, to_api({pods({{"app", "web"}})}));
  EXPECT_FALSE(allowed(shop_web, api));
  auto second = to_api({spaces({{"team", "red"}})});
  second.meta.name = "second";
  put(cluster, second);
  EXPECT_TRUE(allowed(web, api));
  EXPECT_TRUE(allowed(shop_web, api));
  EXPECT_FALSE(allowed(bank_web, api));
}

TEST_F(NetworkPolicies, AConnectionNeedsBothEnds) {
  put(cluster, to_api({pods({{"app", "web"}})}));
  put(cluster, from_web({pods({{"app", "other"}})}));
  EXPECT_FALSE(allowed(web, api)) << "ingress allows, egress does not";
  put(cluster, from_web({pods({{"app", "api"}})}));
  EXPECT_TRUE(allowed(web, api));
}

TEST_F(NetworkPolicies, PeersAndPortsOfOneRuleCrossButNotThoseOfTwo) {
  auto made = to_api({pods({{"app", "web"}})}, {port(80)});
  made.ingress.emplace_back();
  made.ingress[1].peers = {spaces({{"team", "red"}})};
  made.ingress[1].ports = {port(81)};
  put(cluster, made);
  EXPECT_TRUE(allowed(web, api, 80));
  EXPECT_FALSE(allowed(web, api, 81));
  EXPECT_FALSE(allowed(shop_web, api, 80));
  EXPECT_TRUE(allowed(shop_web, api, 81));
}

TEST_F(NetworkPolicies, APodSelectorAloneMeansThePolicysNamespace) {
  put(cluster, to_api({pods({{"app", "web"}})}));
  EXPECT_TRUE(allowed(web, api));
  EXPECT_FALSE(allowed(shop_web, api));
}

TEST_F(NetworkPolicies, AnEmptyPodSelectorMeansEveryPodOfTheNamespaceAndNotTheOutside) {
  put(cluster, to_api({pods({})}));
  EXPECT_TRUE(allowed(web, api));
  EXPECT_FALSE(allowed(shop_web, api));
  EXPECT_FALSE(allowed(outside, api));
}

TEST_F(NetworkPolicies, AnEmptyNamespaceSelectorMeansEveryNamespaceAndNotTheOutside) {
  put(cluster, to_api({spaces({})}));
  EXPECT_TRUE(allowed(web, api));
  EXPECT_TRUE(allowed(bank_web, api));
  EXPECT_FALSE(allowed(outside, api));
}

TEST_F(NetworkPolicies, BothSelectorsInOneItemMustHoldTwoItemsAreAlternatives) {
  auto both = spaces({{"team", "red"}});
  both.pod_selector = labels({{"app", "web"}});
  put(cluster, to_api({both}));
  EXPECT_TRUE(allowed(shop_web, api));
  EXPECT_FALSE(allowed(shop_api, api));
  EXPECT_FALSE(allowed(web, api));
  put(cluster, to_api({spaces({{"team", "red"}}), pods({{"app", "web"}})}));
  EXPECT_TRUE(allowed(shop_api, api));
  EXPECT_TRUE(allowed(web, api));
}

TEST_F(NetworkPolicies, ExpressionsSelectByAbsenceToo) {
  using Operator = kube::LabelSelector::Operator;
  auto peer = spaces({});
  peer.pod_selector = kube::LabelSelector{};
  peer.pod_selector->match_expressions = {{"empty", Operator::not_in, {"x"}}};
  put(cluster, to_api({peer}));
  EXPECT_TRUE(allowed(web, api)) << "absent keys satisfy NotIn";
  peer.pod_selector->match_expressions = {{"empty", Operator::exists, {}}};
  put(cluster, to_api({peer}));
  EXPECT_TRUE(allowed(bank_web, api));
  EXPECT_FALSE(allowed(web, api));
  peer.pod_selector = labels({{"empty", ""}});
  put(cluster, to_api({peer}));
  EXPECT_TRUE(allowed(bank_web, api));
  EXPECT_FALSE(allowed(web, api)) << "an empty value is not an absent key";
}

TEST_F(NetworkPolicies, NamespacesAreSelectedByTheirNameLabelWithoutAnObject) {
  cluster.namespaces.clear();
  put(cluster, to_api({spaces({{"kubernetes.io/metadata.name", "shop"}})}));
  EXPECT_TRUE(allowed(shop_web, api));
  EXPECT_FALSE(allowed(bank_web, api));
}

TEST_F(NetworkPolicies, ABlockSelectsTheOutsideAndPodsButNotItsExceptions) {
  put(cluster, to_api({block("10.0.0.0/8", {"10.0.1.0/24"}), block("8.0.0.0/8")}));
  EXPECT_TRUE(allowed(web, api));
  EXPECT_FALSE(allowed(shop_web, api));
  EXPECT_TRUE(allowed(bank_web, api));
  EXPECT_TRUE(allowed(outside, api));
  EXPECT_FALSE(allowed("9.9.9.9", api));
}

TEST_F(NetworkPolicies, AnExceptionTakesNothingFromAnotherPeer) {
  put(cluster, to_api({block("10.0.0.0/8", {"10.0.1.0/24"}), block("10.0.1.1/32")}));
  EXPECT_TRUE(allowed(shop_web, api));
  EXPECT_FALSE(allowed(shop_api, api));
}

TEST_F(NetworkPolicies, BlocksOfTheOutsideOnlyWhenConfiguredLikeCilium) {
  config.cidr_selects_pods = false;
  put(cluster, to_api({block("0.0.0.0/0")}));
  EXPECT_TRUE(allowed(outside, api));
  EXPECT_FALSE(allowed(web, api));
}

TEST_F(NetworkPolicies, AnIPv6BlockThatHoldsTheMappedRangeDoesNotMatchIPv4) {
  put(cluster, to_api({block("::/0")}));
  EXPECT_FALSE(allowed(outside, api));
  EXPECT_FALSE(allowed(web, api));
  put(cluster, to_api({block("::/0"), block("8.0.0.0/8")}));
  EXPECT_TRUE(allowed(outside, api));
  EXPECT_FALSE(allowed("9.9.9.9", api));
}

TEST_F(NetworkPolicies, ABlockThatHoldsANodeSelectsIt) {
  EXPECT_EQ(identity_of(tables(), ip("172.18.0.2")), DP_IDENTITY_REMOTE_NODE);
  put(cluster, to_api({block("172.18.0.0/16", {"172.18.0.2/32"})}));
  EXPECT_FALSE(allowed("172.18.0.2", api));
  put(cluster, to_api({block("172.18.0.0/16")}));
  EXPECT_TRUE(allowed("172.18.0.2", api));
}

TEST_F(NetworkPolicies, PortsAreOfOneProtocolAndSctpIsNotTcp) {
  put(cluster, to_api({}, {port(80, Protocol::sctp)}));
  EXPECT_TRUE(allowed(web, api, 80, 132));
  EXPECT_FALSE(allowed(web, api, 80, 6));
}

TEST_F(NetworkPolicies, AProtocolWithoutAPortMeansAllItsPorts) {
  kube::NetworkPolicy::Port every;
  put(cluster, to_api({}, {every}));
  EXPECT_TRUE(allowed(web, api, 65535));
  EXPECT_FALSE(allowed(web, api, 80, 17));
}

TEST_F(NetworkPolicies, AnEndPortIsInclusive) {
  auto range = port(8000);
  range.end_port = 8010;
  put(cluster, to_api({}, {range}));
  EXPECT_FALSE(allowed(web, api, 7999));
  EXPECT_TRUE(allowed(web, api, 8000));
  EXPECT_TRUE(allowed(web, api, 8010));
  EXPECT_FALSE(allowed(web, api, 8011));
  range.end_port = 8000;
  put(cluster, to_api({}, {range}));
  EXPECT_TRUE(allowed(web, api, 8000));
  EXPECT_FALSE(allowed(web, api, 8001));
}

TEST_F(NetworkPolicies, AnIngressPortNameIsTheSelectedPodsOwn) {
  put(cluster, to_api({}, {port("http")}));
  EXPECT_TRUE(allowed(web, api, 80));
  EXPECT_FALSE(allowed(web, api, 8080));
  put(cluster, to_api({}, {port("http", Protocol::udp)}));
  EXPECT_FALSE(allowed(web, api, 80, 17)) << "name and protocol must both match";
}

TEST_F(NetworkPolicies, AnEgressPortNameIsThePeersAndDiffersBetweenPeers) {
  put(cluster, from_web({spaces({})}, {port("http")}));
  EXPECT_TRUE(allowed(web, api, 80));
  EXPECT_FALSE(allowed(web, api, 8080));
  EXPECT_TRUE(allowed(web, shop_web, 8080));
  EXPECT_FALSE(allowed(web, shop_web, 80));
  EXPECT_FALSE(allowed(web, shop_api, 80));
}

TEST_F(NetworkPolicies, AnEgressPortNameToEveryoneMeansThePodsThatHaveIt) {
  put(cluster, from_web({}, {port("http")}));
  EXPECT_TRUE(allowed(web, shop_web, 8080));
  EXPECT_FALSE(allowed(web, outside, 8080));
}

TEST_F(NetworkPolicies, APortNameMeansNothingToABlock) {
  put(cluster, from_web({block("10.0.0.0/8")}, {port("http")}));
  EXPECT_FALSE(allowed(web, api, 80));
}

TEST_F(NetworkPolicies, IcmpPassesOnlyWhereEveryProtocolDoes) {
  put(cluster, to_api({pods({{"app", "web"}})}));
  EXPECT_TRUE(allowed(web, api, 0x0800, 1));
  put(cluster, to_api({pods({{"app", "web"}})}, {port(80)}));
  EXPECT_FALSE(allowed(web, api, 0x0800, 1));
}

TEST_F(NetworkPolicies, ANodeAlwaysReachesItsPods) {
  auto deny = policy("deny", {});
  deny.isolates_ingress = deny.isolates_egress = true;
  put(cluster, deny);
  const auto compiled = tables();
  const auto subject = identity_of(compiled, ip(api));
  for (const auto direction : {DP_INGRESS, DP_EGRESS}) {
    EXPECT_EQ(look_up(compiled, subject, DP_IDENTITY_HOST, direction, 6, 80)->rule, rule_host);
    EXPECT_FALSE(look_up(compiled, subject, DP_IDENTITY_REMOTE_NODE, direction, 6, 80));
  }
}

TEST_F(NetworkPolicies, HostNetworkPodsAreTheirNode) {
  auto agent = pod("agent", "node-1", {"172.18.0.1"}, {{"app", "web"}});
  agent.host_network = true;
  put(cluster, agent);
  put(cluster, to_api({pods({{"app", "web"}})}));
  const auto compiled = tables();
  EXPECT_EQ(identity_of(compiled, ip("172.18.0.1")), DP_IDENTITY_REMOTE_NODE);
  EXPECT_EQ(compiled.endpoints.size(), 5U);
}

TEST_F(NetworkPolicies, DeletionAndRelabellingTakeEffect) {
  put(cluster, to_api({pods({{"app", "web"}})}));
  EXPECT_TRUE(allowed(web, api));
  add("web", web, {{"app", "other"}}, "default");
  EXPECT_FALSE(allowed(web, api));
  put(cluster, to_api({spaces({{"team", "red"}})}));
  EXPECT_TRUE(allowed(shop_web, api));
  put(cluster, space("shop", {{"team", "blue"}}));
  EXPECT_FALSE(allowed(shop_web, api));
  cluster.network_policies.clear();
  EXPECT_TRUE(allowed(shop_web, api));
}

TEST_F(NetworkPolicies, AFinishedPodHasNoAddressAndTheNextOwnerGetsIt) {
  auto job = pod("job", "node-1", {web}, {{"app", "job"}});
  put(cluster, job);
  const auto shared = identity_of(tables(), ip(web));
  EXPECT_EQ(told.identities.at(shared).text, "default/{app=job}") << "the first by name";
  job.terminating = true;
  put(cluster, job);
  EXPECT_EQ(told.identities.at(identity_of(tables(), ip(web))).text, "default/{app=web}");
  job.terminating = false;
  job.phase = kube::Pod::Phase::succeeded;
  put(cluster, job);
  EXPECT_EQ(told.identities.at(identity_of(tables(), ip(web))).text, "default/{app=web}");
}

TEST_F(NetworkPolicies, PodsAreOneIdentityUntilSomethingTellsThemApart) {
  add("web-2", "10.0.0.9", {{"app", "web"}}, "default");
  EXPECT_EQ(identity_of(tables(), ip(web)), identity_of(tables(), ip("10.0.0.9")));
  put(cluster, to_api({block("10.0.0.9/32")}));
  EXPECT_NE(identity_of(tables(), ip(web)), identity_of(tables(), ip("10.0.0.9")));
  EXPECT_TRUE(allowed("10.0.0.9", api));
  EXPECT_FALSE(allowed(web, api));
}

TEST_F(NetworkPolicies, OnlyLocalIdentitiesAreSubjectsUnlessAskedFor) {
  put(cluster, pod("far", "node-2", {"10.0.9.1"}, {{"app", "far"}}));
  const auto subject_entries = [&] {
    const auto compiled = tables();
    return look_up(compiled, identity_of(compiled, ip("10.0.9.1")), DP_IDENTITY_WORLD, DP_INGRESS,
                   6, 80)
        .has_value();
  };
  EXPECT_FALSE(subject_entries());
  config.policy_for_all_identities = true;
  EXPECT_TRUE(subject_entries());
}

TEST_F(NetworkPolicies, ARuleIsToldInWordsWithItsLine) {
  auto made = to_api({pods({{"app", "web"}}), block("10.0.0.0/8", {"10.1.0.0/16"})},
                     {port(80), port("http", Protocol::udp)});
  made.ingress[0].ports[0].end_port = 90;
  made.ingress[0].source = {.file = std::make_shared<const std::string>("shop.yaml"), .line = 12};
  put(cluster, made);
  const auto compiled = tables();
  const auto entry = look_up(compiled, identity_of(compiled, ip(api)),
                             identity_of(compiled, ip(web)), DP_INGRESS, 6, 85);
  ASSERT_TRUE(entry);
  const auto& rule = told.rules.at(entry->rule);
  EXPECT_EQ(rule.text,
            "ingress rule 1: from pods app=web or 10.0.0.0/8 except 10.1.0.0/16, "
            "ports 80-90/TCP, port http/UDP");
  EXPECT_EQ(rule.source.to_string(), "shop.yaml:12");
  EXPECT_EQ(rule.policy.to_string(), "default/to-api");
}

}  // namespace
}  // namespace waggle::agent
