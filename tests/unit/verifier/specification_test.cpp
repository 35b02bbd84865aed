// NetworkPolicy's corners, one test each: the API reference and conformance tests.

#include <gtest/gtest.h>

#include "world.h"

namespace waggle::verifier {
namespace {

using kube::NetworkPolicy;
using kube::Protocol;
using Op = kube::LabelSelector::Operator;

/// Pods web (app=web), db (app=db, no tier) in shop; probe in ops (team=ops); node-1 and node-2.
class Corner : public testing::Test {
 protected:
  Corner() {
    add_namespace(cluster_, "shop", {});
    add_namespace(cluster_, "ops", {{"team", "ops"}});
    place(add_pod(cluster_, "shop", "web", {{"app", "web"}, {"tier", ""}}), "10.0.1.1", "node-1");
    place(add_pod(cluster_, "shop", "db", {{"app", "db"}},
                  {{"sql", 5432, Protocol::tcp}, {"sql-udp", 5432, Protocol::udp}}),
          "10.0.2.1", "node-2");
    place(add_pod(cluster_, "ops", "probe", {{"app", "web"}}), "10.0.2.2", "node-2");
    for (const auto& [name, address] :
         {std::pair("node-1", "172.18.0.1"), std::pair("node-2", "172.18.0.2")}) {
      kube::Node& node = cluster_.nodes[{"", name}];
      node.meta.name = name;
      node.addresses = {ip(address)};
    }
  }

  static void place(kube::Pod& pod, const std::string& address, const std::string& node) {
    pod.addresses = {ip(address)};
    pod.node_name = node;
  }
  /// Isolates db for ingress and hands out its only rule.
  NetworkPolicy::Rule& db_ingress() {
    auto& policy = add_policy(cluster_, "shop", "db", labelled({{"app", "db"}}));
    policy.isolates_ingress = true;
    policy.ingress.resize(1);
    return policy.ingress[0];
  }
  NetworkPolicy::Rule& web_egress() {
    auto& policy = add_policy(cluster_, "shop", "web", labelled({{"app", "web"}}));
    policy.isolates_egress = true;
    policy.egress.resize(1);
    return policy.egress[0];
  }
  [[nodiscard]] bool passes(const std::string& from, const std::string& to, std::uint16_t port = 80,
                            std::uint8_t protocol = 6, Modes modes = {}) const {
    return Specification(cluster_, modes).judge(ip(from), ip(to), protocol, port).allowed();
  }

  kube::Cluster cluster_;
  const std::string web_ = "10.0.1.1", db_ = "10.0.2.1", probe_ = "10.0.2.2",
                    world_ = "198.51.100.9";
};

TEST_F(Corner, WithoutPoliciesEverythingPasses) {
  EXPECT_TRUE(passes(web_, db_));
  EXPECT_TRUE(passes(world_, db_));
  EXPECT_TRUE(passes(web_, world_, 53, 17));
}

TEST_F(Corner, AnIsolatingPolicyWithoutRulesDeniesItsDirectionOnly) {
  auto& policy = add_policy(cluster_, "shop", "db", labelled({{"app", "db"}}));
  policy.isolates_ingress = true;
  EXPECT_FALSE(passes(web_, db_));
  EXPECT_FALSE(passes(world_, db_));
  EXPECT_TRUE(passes(db_, web_));
}

TEST_F(Corner, AnEmptyRuleAllowsEveryone) {
  db_ingress();
  EXPECT_TRUE(passes(web_, db_));
  EXPECT_TRUE(passes(world_, db_, 1, 132));
}

TEST_F(Corner, AnEmptyPodSelectorSelectsThePoliciesNamespaceOnly) {
  auto& policy = add_policy(cluster_, "shop", "all", {});
  policy.isolates_ingress = true;
  EXPECT_FALSE(passes(probe_, web_));
  EXPECT_FALSE(passes(probe_, db_));
  EXPECT_TRUE(passes(web_, probe_));
}

TEST_F(Corner, APodSelectorAloneMeansTheSameNamespace) {
  db_ingress().peers = {pods_of(labelled({{"app", "web"}}))};
  EXPECT_TRUE(passes(web_, db_));
  EXPECT_FALSE(passes(probe_, db_));
}

TEST_F(Corner, AnEmptyPodSelectorAsPeerMeansTheSameNamespace) {
  db_ingress().peers = {pods_of({})};
  EXPECT_TRUE(passes(web_, db_));
  EXPECT_FALSE(passes(probe_, db_));
  EXPECT_FALSE(passes(world_, db_));
}

TEST_F(Corner, AnEmptyNamespaceSelectorMeansEveryPodAndNothingElse) {
  NetworkPolicy::Peer peer;
  peer.namespace_selector.emplace();
  db_ingress().peers = {peer};
  EXPECT_TRUE(passes(web_, db_));
  EXPECT_TRUE(passes(probe_, db_));
  EXPECT_FALSE(passes(world_, db_));
}

TEST_F(Corner, BothSelectorsInOnePeerHaveToMatch) {
  NetworkPolicy::Peer peer = pods_of(labelled({{"app", "db"}}));
  peer.namespace_selector = labelled({{"team", "ops"}});
  db_ingress().peers = {peer};
  EXPECT_FALSE(passes(probe_, db_));
  cluster_.pods.at({"ops", "probe"}).meta.labels["app"] = "db";
  EXPECT_TRUE(passes(probe_, db_));
}

TEST_F(Corner, TwoPeersAreAlternatives) {
  NetworkPolicy::Peer space;
  space.namespace_selector = labelled({{"team", "ops"}});
  db_ingress().peers = {pods_of(labelled({{"app", "none"}})), space};
  EXPECT_TRUE(passes(probe_, db_));
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, NamespacesCarryTheirNameAsALabelWithoutBeingListed) {
  cluster_.namespaces.clear();
  NetworkPolicy::Peer peer;
  peer.namespace_selector = labelled({{"kubernetes.io/metadata.name", "ops"}});
  db_ingress().peers = {peer};
  EXPECT_TRUE(passes(probe_, db_));
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, NotInHoldsWhenTheKeyIsAbsent) {
  auto& rule = db_ingress();
  rule.peers = {pods_of(where("zone", Op::not_in, {"a"}))};
  EXPECT_TRUE(passes(web_, db_));
  cluster_.pods.at({"shop", "web"}).meta.labels["zone"] = "a";
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, InNeedsTheKey) {
  db_ingress().peers = {pods_of(where("tier", Op::in, {"front", ""}))};
  EXPECT_TRUE(passes(web_, db_));  // tier: ""
  cluster_.pods.at({"shop", "web"}).meta.labels.erase("tier");
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, AnEmptyLabelValueIsNotAnAbsentLabel) {
  auto& rule = db_ingress();
  rule.peers = {pods_of(labelled({{"tier", ""}}))};
  EXPECT_TRUE(passes(web_, db_));
  cluster_.pods.at({"shop", "web"}).meta.labels.erase("tier");
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, ExistsAndDoesNotExistLookAtTheKeyAlone) {
  auto& rule = db_ingress();
  rule.peers = {pods_of(where("tier", Op::exists))};
  EXPECT_TRUE(passes(web_, db_));
  rule.peers = {pods_of(where("tier", Op::does_not_exist))};
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, MatchLabelsAndExpressionsAreBothNeeded) {
  auto selector = where("tier", Op::does_not_exist);
  selector.match_labels["app"] = "web";
  db_ingress().peers = {pods_of(selector)};
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, PoliciesAddUp) {
  db_ingress().peers = {pods_of(labelled({{"app", "none"}}))};
  auto& other = add_policy(cluster_, "shop", "second", {});
  other.isolates_ingress = true;
  other.ingress.resize(1);
  other.ingress[0].peers = {pods_of(labelled({{"app", "web"}}))};
  EXPECT_TRUE(passes(web_, db_));
}

TEST_F(Corner, ARulesPeersAndPortsAreNotMixedWithAnotherRules) {
  auto& rule = db_ingress();
  rule.peers = {pods_of(labelled({{"app", "web"}}))};
  rule.ports = {tcp(80)};
  NetworkPolicy::Rule second;
  second.peers = {block("198.51.100.0/24")};
  second.ports = {tcp(443)};
  cluster_.network_policies.at({"shop", "db"}).ingress.push_back(second);
  EXPECT_TRUE(passes(web_, db_, 80));
  EXPECT_FALSE(passes(web_, db_, 443));
  EXPECT_TRUE(passes(world_, db_, 443));
  EXPECT_FALSE(passes(world_, db_, 80));
}

TEST_F(Corner, AConnectionNeedsEgressAtItsSourceAndIngressAtItsDestination) {
  web_egress().peers = {pods_of(labelled({{"app", "db"}}))};
  EXPECT_TRUE(passes(web_, db_));
  db_ingress().peers = {pods_of(labelled({{"app", "none"}}))};
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, SectionsOfUnlistedDirectionsDoNotCount) {
  auto& policy = add_policy(cluster_, "shop", "db", labelled({{"app", "db"}}));
  policy.isolates_ingress = true;
  policy.isolates_egress = false;
  EXPECT_TRUE(passes(db_, web_));
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, ExceptTakesAwayFromItsOwnPeerOnly) {
  auto& rule = db_ingress();
  rule.peers = {block("198.51.100.0/24", {"198.51.100.8/29"})};
  EXPECT_FALSE(passes(world_, db_));
  EXPECT_TRUE(passes("198.51.100.16", db_));
  rule.peers.push_back(block("198.51.100.9/32"));
  EXPECT_TRUE(passes(world_, db_));
}

TEST_F(Corner, ABlockCoversPodsUnlessTheModeSaysOtherwise) {
  db_ingress().peers = {block("10.0.0.0/16")};
  EXPECT_TRUE(passes(web_, db_));
  EXPECT_FALSE(passes(web_, db_, 80, 6, {.cidr_selects_pods = false}));
  EXPECT_TRUE(passes("10.0.9.9", db_, 80, 6, {.cidr_selects_pods = false}));
}

TEST_F(Corner, AnIPv6BlockCoversNoIPv4Address) {
  db_ingress().peers = {block("::/0")};
  EXPECT_FALSE(passes(world_, db_));
}

TEST_F(Corner, TheLastAddressOfABlockIsInAndTheNextIsNot) {
  db_ingress().peers = {block("198.51.100.0/25")};
  EXPECT_TRUE(passes("198.51.100.127", db_));
  EXPECT_FALSE(passes("198.51.100.128", db_));
}

TEST_F(Corner, APortWithoutNumberIsEveryPortOfItsProtocol) {
  db_ingress().ports = {NetworkPolicy::Port{}};
  EXPECT_TRUE(passes(web_, db_, 1));
  EXPECT_TRUE(passes(web_, db_, 65535));
  EXPECT_FALSE(passes(web_, db_, 1, 17));
}

TEST_F(Corner, SctpIsNeverReadAsTcp) {
  NetworkPolicy::Port port = tcp(80);
  port.protocol = Protocol::sctp;
  db_ingress().ports = {port};
  EXPECT_TRUE(passes(web_, db_, 80, 132));
  EXPECT_FALSE(passes(web_, db_, 80, 6));
}

TEST_F(Corner, ARangeHasBothItsEnds) {
  db_ingress().ports = {tcp(8000, 8003)};
  EXPECT_FALSE(passes(web_, db_, 7999));
  EXPECT_TRUE(passes(web_, db_, 8000));
  EXPECT_TRUE(passes(web_, db_, 8003));
  EXPECT_FALSE(passes(web_, db_, 8004));
}

TEST_F(Corner, ARangeOfOnePortIsLegal) {
  db_ingress().ports = {tcp(80, 80)};
  EXPECT_TRUE(passes(web_, db_, 80));
  EXPECT_FALSE(passes(web_, db_, 81));
}

TEST_F(Corner, AnIngressPortNameIsTheSubjectsOwn) {
  NetworkPolicy::Port port;
  port.port = "sql";
  db_ingress().ports = {port};
  EXPECT_TRUE(passes(web_, db_, 5432));
  EXPECT_FALSE(passes(web_, db_, 5433));
  EXPECT_FALSE(passes(web_, db_, 5432, 17));
}

TEST_F(Corner, AnEgressPortNameIsThePeers) {
  NetworkPolicy::Port port;
  port.port = "sql";
  web_egress().ports = {port};
  EXPECT_TRUE(passes(web_, db_, 5432));
  EXPECT_FALSE(passes(web_, probe_, 5432));
  EXPECT_FALSE(passes(web_, world_, 5432));
}

TEST_F(Corner, APortNameHasToBeOfTheRulesProtocol) {
  NetworkPolicy::Port port;
  port.port = "sql-udp";
  db_ingress().ports = {port};
  EXPECT_FALSE(passes(web_, db_, 5432));
  EXPECT_FALSE(passes(web_, db_, 5432, 17));
}

TEST_F(Corner, APortNameHasNoMeaningTowardsABlock) {
  auto& rule = web_egress();
  NetworkPolicy::Port port;
  port.port = "sql";
  rule.ports = {port};
  rule.peers = {block("10.0.0.0/16")};
  EXPECT_FALSE(passes(web_, db_, 5432));
  rule.peers.push_back(pods_of({}));
  EXPECT_TRUE(passes(web_, db_, 5432));
}

TEST_F(Corner, IcmpPassesByRulesWithoutPortsOnly) {
  auto& rule = db_ingress();
  EXPECT_TRUE(passes(web_, db_, 8 << 8, 1));
  rule.ports = {NetworkPolicy::Port{}};
  EXPECT_FALSE(passes(web_, db_, 8 << 8, 1));
}

TEST_F(Corner, APodReachesItself) {
  add_policy(cluster_, "shop", "none", {}).isolates_ingress = true;
  EXPECT_TRUE(passes(web_, web_));
}

TEST_F(Corner, ANodeAndItsOwnPodsAlwaysReachEachOther) {
  auto& policy = add_policy(cluster_, "shop", "none", {});
  policy.isolates_ingress = policy.isolates_egress = true;
  EXPECT_TRUE(passes("172.18.0.1", web_));
  EXPECT_TRUE(passes(web_, "172.18.0.1"));
  EXPECT_FALSE(passes("172.18.0.2", web_));
  EXPECT_FALSE(passes(web_, "172.18.0.2"));
}

TEST_F(Corner, HostNetworkPodsAreTheirNode) {
  auto& agent = add_pod(cluster_, "shop", "agent", {{"app", "web"}});
  agent.host_network = true;
  place(agent, "172.18.0.2", "node-2");
  auto& rule = db_ingress();
  rule.peers = {pods_of(labelled({{"app", "web"}}))};
  EXPECT_TRUE(passes("172.18.0.2", db_));   // its own node
  EXPECT_FALSE(passes("172.18.0.1", db_));  // no selector reaches another
  web_egress().peers = {pods_of(labelled({{"app", "web"}}))};
  EXPECT_FALSE(passes(web_, "172.18.0.2"));
  auto& selecting = add_policy(cluster_, "shop", "agent", labelled({{"app", "web"}}));
  selecting.isolates_ingress = true;
  EXPECT_TRUE(passes(db_, "172.18.0.2"));
}

TEST_F(Corner, OtherNodesAreCoveredByBlocks) {
  db_ingress().peers = {block("172.18.0.0/30")};
  EXPECT_TRUE(passes("172.18.0.1", db_));
}

TEST_F(Corner, FinishedPodsHaveNoAddress) {
  auto& job = add_pod(cluster_, "shop", "job", {{"app", "web"}});
  place(job, "10.0.1.9", "node-1");
  job.phase = kube::Pod::Phase::succeeded;
  db_ingress().peers = {pods_of(labelled({{"app", "web"}}))};
  EXPECT_FALSE(passes("10.0.1.9", db_));
}

TEST_F(Corner, ALabelChangeCounts) {
  db_ingress().peers = {pods_of(labelled({{"app", "web"}}))};
  EXPECT_TRUE(passes(web_, db_));
  cluster_.pods.at({"shop", "web"}).meta.labels["app"] = "other";
  EXPECT_FALSE(passes(web_, db_));
}

TEST_F(Corner, TheDecidingRuleIsNamed) {
  auto& rule = db_ingress();
  rule.peers = {pods_of(labelled({{"app", "none"}}))};
  cluster_.network_policies.at({"shop", "db"}).ingress.emplace_back();
  const auto verdict = Specification(cluster_).judge(ip(web_), ip(db_), 6, 80);
  EXPECT_EQ(verdict.egress.why, Decision::Why::not_isolated);
  EXPECT_EQ(verdict.ingress.why, Decision::Why::rule);
  EXPECT_EQ(verdict.ingress.policy, (kube::ObjectKey{"shop", "db"}));
  EXPECT_EQ(verdict.ingress.rule_index, 1U);
  EXPECT_EQ(verdict.ingress.text, "shop/db ingress rule 2 ((generated))");
}

}  // namespace
}  // namespace waggle::verifier
