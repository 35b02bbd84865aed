#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "check.h"
#include "world.h"

namespace waggle::agent {
namespace {

struct Compiled {
  Tables tables;
  Provenance told;
};

Compiled compiled(const kube::Cluster& cluster, const Config& config = {}) {
  Ids ids{config};
  Compiled made;
  made.tables = compile(cluster, {}, config, ids, &made.told).value();
  return made;
}

dp_service entry_of(const Tables& tables, const std::string& address, std::uint16_t port) {
  dp_service_key key{};
  key.address = to_abi(ip(address));
  key.port = htons(port);
  key.protocol = 6;
  return tables.services.at(key);
}

std::vector<std::string> chosen(const Compiled& made, const dp_service& entry) {
  std::vector<std::string> names;
  if (entry.size == 0) return names;
  for (const auto id : made.tables.maglev.at(entry.base)) {
    names.push_back(made.told.backends.at(id).address);
  }
  return names;
}

TEST(Services, ADualStackServiceHasOneSetAFamily) {
  kube::Cluster cluster;
  put(cluster, service("web", {"10.96.0.1", "fd96::1"}));
  put(cluster, slice("web", Family::v4, {endpoint("10.0.0.1")}));
  put(cluster, slice("web", Family::v6, {endpoint("fd00::1"), endpoint("fd00::2")}));
  const auto made = compiled(cluster);
  const auto four = entry_of(made.tables, "10.96.0.1", 80);
  const auto six = entry_of(made.tables, "fd96::1", 80);
  EXPECT_NE(four.service, six.service);
  EXPECT_NE(four.frontend, six.frontend);
  EXPECT_EQ(chosen(made, four), (std::vector<std::string>{"10.0.0.1:8080/TCP"}));
  EXPECT_EQ(chosen(made, six),
            (std::vector<std::string>{"[fd00::1]:8080/TCP", "[fd00::2]:8080/TCP"}));
  EXPECT_EQ(broken_services(made.tables), "");
}

TEST(Services, TerminatingEndpointsStayForOpenConnectionsAndAreNotChosen) {
  kube::Cluster cluster;
  put(cluster, service("web", {"10.96.0.1"}));
  put(cluster, slice("web", Family::v4,
                     {endpoint("10.0.0.1"), endpoint("10.0.0.2", Health::terminating),
                      endpoint("10.0.0.3", Health::unready)}));
  const auto made = compiled(cluster);
  const auto entry = entry_of(made.tables, "10.96.0.1", 80);
  EXPECT_EQ(entry.flags, 0);
  EXPECT_EQ(chosen(made, entry), (std::vector<std::string>{"10.0.0.1:8080/TCP"}));
  EXPECT_EQ(made.tables.backends.size(), 2U);
}

TEST(Services, TerminatingEndpointsAreTheLastResort) {
  kube::Cluster cluster;
  put(cluster, service("web", {"10.96.0.1"}));
  put(cluster,
      slice("web", Family::v4,
            {endpoint("10.0.0.2", Health::terminating), endpoint("10.0.0.3", Health::unready)}));
  const auto made = compiled(cluster);
  const auto entry = entry_of(made.tables, "10.96.0.1", 80);
  EXPECT_EQ(entry.flags, DP_SERVICE_TERMINATING);
  EXPECT_EQ(chosen(made, entry), (std::vector<std::string>{"10.0.0.2:8080/TCP"}));
}

TEST(Services, WithoutEndpointsTheFrontendStaysWithNoPositions) {
  kube::Cluster cluster;
  put(cluster, service("web", {"10.96.0.1"}));
  const auto made = compiled(cluster);
  EXPECT_EQ(entry_of(made.tables, "10.96.0.1", 80).size, 0U);
  EXPECT_TRUE(made.tables.maglev.empty());
  EXPECT_EQ(made.tables.reverse_nat.size(), 1U);
}

TEST(Services, AnEndpointInTwoSlicesCountsOnceAndByItsBetterWord) {
  kube::Cluster cluster;
  put(cluster, service("web", {"10.96.0.1"}));
  put(cluster, slice("web", Family::v4, {endpoint("10.0.0.1", Health::terminating)}));
  auto second = slice("web", Family::v4, {endpoint("10.0.0.1")});
  second.meta.name = "web-other";
  put(cluster, second);
  const auto made = compiled(cluster);
  EXPECT_EQ(made.tables.backends.size(), 1U);
  EXPECT_EQ(made.tables.backends.begin()->second.state, DP_BACKEND_ACTIVE);
}

TEST(Services, HeadlessAndExternalServicesHaveNoFrontend) {
  kube::Cluster cluster;
  auto headless = service("headless", {});
  headless.headless = true;
  auto external = service("external", {"10.96.0.9"});
  external.type = kube::Service::Type::external_name;
  put(cluster, headless);
  put(cluster, external);
  EXPECT_TRUE(compiled(cluster).tables.services.empty());
}

TEST(Services, AffinityAndAlgorithmAreCarriedOver) {
  kube::Cluster cluster;
  auto sticky = service("web", {"10.96.0.1"});
  sticky.client_ip_affinity = true;
  sticky.affinity_timeout_s = 77;
  sticky.algorithm = kube::Service::Algorithm::maglev;
  put(cluster, sticky);
  put(cluster, slice("web", Family::v4, {endpoint("10.0.0.1"), endpoint("10.0.0.2")}));
  const auto entry = entry_of(compiled(cluster).tables, "10.96.0.1", 80);
  EXPECT_EQ(entry.flags, DP_SERVICE_AFFINITY);
  EXPECT_EQ(entry.affinity_timeout_s, 77U);
  EXPECT_EQ(entry.algorithm, DP_ALGORITHM_MAGLEV);
  EXPECT_EQ(entry.size, 251U);
}

TEST(Services, TwoThatClaimOneAddressAndPortAreAnError) {
  kube::Cluster cluster;
  put(cluster, service("a", {"10.96.0.1"}));
  put(cluster, service("b", {"10.96.0.1"}));
  Ids ids{Config{}};
  const auto made = compile(cluster, {}, {}, ids);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().front().what,
            "service default/b claims 10.96.0.1:80/TCP, which another service has");
}

TEST(Services, TooManyForATableIsAnErrorThatSaysWhichAndHowMany) {
  kube::Cluster cluster = many_services(3, 4, kube::Service::Algorithm::random);
  Config config;
  config.entries_max[TableId::backends] = 11;
  Ids ids{config};
  const auto made = compile(cluster, {}, config, ids);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().front().what, "12 entries do not fit into 11");
  EXPECT_EQ(made.error().front().where, "backends");
}

TEST(Compiler, AfterAnErrorNothingHasChanged) {
  Config config;
  config.entries_max[TableId::backends] = 3;
  Compiler compiler(config, {});
  kube::Cluster cluster;
  put(cluster, service("web", {"10.96.0.1"}));
  put(cluster, slice("web", Family::v4, {endpoint("10.0.0.1"), endpoint("10.0.0.2")}));
  ASSERT_TRUE(compiler.reset(cluster));
  const auto before = compiler.tables();
  const auto too_many =
      upserted(slice("web", Family::v4,
                     {endpoint("10.0.0.3"), endpoint("10.0.0.4"), endpoint("10.0.0.5"),
                      endpoint("10.0.0.6"), endpoint("10.0.0.7")}));
  ASSERT_FALSE(compiler.apply({&too_many, 1}));
  EXPECT_TRUE(compiler.tables() == before);
  EXPECT_EQ(compiler.cluster().endpoint_slices.begin()->second.endpoints.size(), 2U);

  const auto claim = upserted(service("thief", {"10.96.0.1"}));
  ASSERT_FALSE(compiler.apply({&claim, 1}));
  EXPECT_TRUE(compiler.tables() == before);

  const auto fits =
      upserted(slice("web", Family::v4, {endpoint("10.0.0.1"), endpoint("10.0.0.9")}));
  const auto ops = compiler.apply({&fits, 1});
  ASSERT_TRUE(ops);
  EXPECT_EQ(broken_prefix(before, *ops, compiler.tables(), {}), "");
}

TEST(Compiler, AReturningEndpointIsANewBackend) {
  Compiler compiler({}, {});
  kube::Cluster cluster;
  put(cluster, service("web", {"10.96.0.1"}));
  put(cluster, slice("web", Family::v4, {endpoint("10.0.0.1"), endpoint("10.0.0.2")}));
  ASSERT_TRUE(compiler.reset(cluster));
  const auto first = compiler.tables().backends.begin()->first.id;
  for (const auto& change :
       {upserted(slice("web", Family::v4, {endpoint("10.0.0.2")})),
        upserted(slice("web", Family::v4, {endpoint("10.0.0.1"), endpoint("10.0.0.2")}))}) {
    ASSERT_TRUE(compiler.apply({&change, 1}));
  }
  EXPECT_FALSE(compiler.tables().backends.contains({.id = first}));
  EXPECT_EQ(compiler.tables().backends.size(), 2U);
}

TEST(Compiler, AttachAndDetachWriteAndTakeOutTheEndpoint) {
  kube::Cluster cluster;
  put(cluster, node("node-1", {"172.18.0.1"}));
  put(cluster, pod("web", "node-1", {"10.0.0.1", "fd00::1"}));
  Compiler compiler({}, {NodeContext{.node_name = "node-1", .zone = 3, .attachments = {}}});
  ASSERT_TRUE(compiler.reset(cluster));
  EXPECT_TRUE(compiler.tables().endpoints.empty());
  EXPECT_FALSE(compiler.tables().policy.empty()) << "policy is there before the pod";
  const auto before = compiler.tables();
  const auto in = compiler.attach({"default", "web"}, "node-1", {.ifindex = 9});
  ASSERT_TRUE(in);
  EXPECT_EQ(compiler.tables().endpoints.size(), 2U);
  EXPECT_EQ(compiler.tables().endpoints.begin()->second.ifindex, 9U);
  EXPECT_EQ(broken_prefix(before, *in, compiler.tables(), {}), "");
  EXPECT_FALSE(compiler.attach({"default", "web"}, "node-2", {}));
  EXPECT_FALSE(compiler.detach({"default", "api"}, "node-1"));
  ASSERT_TRUE(compiler.detach({"default", "web"}, "node-1"));
  EXPECT_TRUE(compiler.tables().endpoints.empty());
}

TEST(NodeConfig, NamesTheNodeItsAddressesAndTheGeneration) {
  kube::Cluster cluster;
  put(cluster, node("node-1", {"172.18.0.1", "fd18::1"}));
  put(cluster, node("node-2", {"172.18.0.2"}));
  Ids ids{Config{}};
  auto tables = compile(cluster, {}, {}, ids).value();
  tables.policy_generation = 9;
  const NodeContext context{.node_name = "node-2", .zone = 5, .attachments = {}};
  const auto config = node_config_for(cluster, context, ids, tables).value();
  EXPECT_EQ(from_abi(config.address4), ip("172.18.0.2"));
  EXPECT_TRUE(same_bytes(config.address6, dp_addr{}));
  EXPECT_EQ(from_abi(config.hairpin4), ip("169.254.42.1"));
  EXPECT_TRUE(cidr("fc00::/7").contains(from_abi(config.hairpin6)));
  EXPECT_EQ(config.zone, 5);
  EXPECT_EQ(config.policy_generation, 9U);
  EXPECT_TRUE(tables.nodes.contains({.id = config.node_id}));
  EXPECT_FALSE(
      node_config_for(cluster, {.node_name = "node-3", .zone = 0, .attachments = {}}, ids, tables));
}

}  // namespace
}  // namespace waggle::agent
