// Tables that are wrong in one place, and tables of a compiler that reads objects wrongly: each has
// to be refuted, by a packet on which the two sides really differ.

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "waggle/abi/identities.h"
#include "world.h"

namespace waggle::verifier {
namespace {

using kube::NetworkPolicy;
using Op = kube::LabelSelector::Operator;

void build_shop(kube::Cluster& cluster) {
  add_namespace(cluster, "shop", {{"team", "shop"}});
  add_namespace(cluster, "ops", {{"team", "ops"}});
  const std::vector<kube::ContainerPort> ports = {{"http", 8080, kube::Protocol::tcp}};
  add_pod(cluster, "shop", "web", {{"app", "web"}}, ports);
  add_pod(cluster, "shop", "db", {{"app", "db"}, {"tier", "back"}}, ports);
  add_pod(cluster, "shop", "cache", {{"app", "cache"}}, ports);
  add_pod(cluster, "ops", "probe", {{"app", "probe"}}, ports);

  auto& db = add_policy(cluster, "shop", "db", labelled({{"app", "db"}}));
  db.isolates_ingress = db.isolates_egress = true;
  db.ingress.resize(3);
  db.ingress[0].peers = {pods_of(where("tier", Op::not_in, {"back"}))};
  db.ingress[0].ports = {tcp(8000, 8010)};
  db.ingress[1].peers = {block("198.51.100.0/24", {"198.51.100.128/25"})};
  db.ingress[1].ports = {tcp(443)};
  NetworkPolicy::Peer ops;
  ops.namespace_selector = labelled({{"team", "ops"}});
  db.ingress[2].peers = {ops};
  db.egress.resize(1);
  db.egress[0].peers = {pods_of(labelled({{"app", "cache"}}))};
  NetworkPolicy::Port http;
  http.port = "http";
  db.egress[0].ports = {http};
}

/// What is wrong, and how it is made. Edits the tables of the shop, or recompiles other objects.
struct Mutant {
  const char* name;
  void (*edit)(World&);
};

void each_policy(World& world, std::uint32_t subject, dp_direction direction,
                 const std::function<bool(dp_policy_key&, dp_policy&)>& keep) {
  agent::Table<dp_policy_key, dp_policy> out;
  for (const auto& [found, entry] : world.tables.policy) {
    dp_policy_key key = found;
    dp_policy value = entry;
    const bool ours = ntohl(key.subject) == subject && key.direction == direction;
    if (!ours || keep(key, value)) out[key] = value;
  }
  world.tables.policy = std::move(out);
}

/// Tables of objects that were changed before they were compiled: a compiler that misreads them.
void compile_otherwise(World& world, const std::function<void(kube::Cluster&)>& misread) {
  World other;
  other.cluster = world.cluster;
  misread(other.cluster);
  other.build();
  world.tables = other.tables;
}

NetworkPolicy& policy_of(kube::Cluster& cluster) {
  return cluster.network_policies.at({"shop", "db"});
}
std::uint32_t db(World& world) { return world.identity("shop", "db"); }

dp_policy_key key_of_entry(std::uint32_t bits, std::uint32_t subject, std::uint32_t peer,
                           dp_direction direction, std::uint8_t protocol, std::uint16_t port) {
  return {bits, htonl(subject), htonl(peer), static_cast<__u8>(direction), protocol, htons(port)};
}

const Mutant mutants[] = {
    {"an entry is missing",
     [](World& w) {
       each_policy(w, db(w), DP_INGRESS,
                   [&](auto& key, auto&) { return ntohl(key.peer) != w.identity("ops", "probe"); });
     }},
    {"a port prefix is one bit too short",
     [](World& w) {
       each_policy(w, db(w), DP_INGRESS, [](auto& key, auto&) {
         if (key.prefix_bits == 96) --key.prefix_bits;
         return true;
       });
     }},
    {"a port prefix is one bit too long",
     [](World& w) {
       each_policy(w, db(w), DP_INGRESS, [](auto& key, auto&) {
         if (key.prefix_bits > 80 && key.prefix_bits < 96) ++key.prefix_bits;
         return true;
       });
     }},
    {"the last port of a range is left out",
     [](World& w) {
       compile_otherwise(w, [](auto& c) { policy_of(c).ingress[0].ports[0].end_port = 8009; });
     }},
    {"ports are in the wrong byte order",
     [](World& w) {
       each_policy(w, db(w), DP_INGRESS, [](auto& key, auto&) {
         if (key.prefix_bits == 96) key.port = static_cast<__be16>(key.port << 8 | key.port >> 8);
         return true;
       });
     }},
    {"TCP entries are written for SCTP",
     [](World& w) {
       each_policy(w, db(w), DP_INGRESS, [](auto& key, auto&) {
         if (key.protocol == 6) key.protocol = 132;
         return true;
       });
     }},
    {"a TCP rule admits every protocol",
     [](World& w) {
       w.tables.policy[key_of_entry(72, db(w), w.identity("shop", "cache"), DP_EGRESS, 0, 0)] = {
           0, 16, DP_POLICY_ALLOW, {}};
     }},
    {"the directions are swapped",
     [](World& w) {
       agent::Table<dp_policy_key, dp_policy> out;
       for (const auto& [found, value] : w.tables.policy) {
         dp_policy_key key = found;
         key.direction ^= 1;
         out[key] = value;
       }
       w.tables.policy = std::move(out);
     }},
    {"NotIn does not hold for an absent key",
     [](World& w) {
       compile_otherwise(w, [](auto& c) {
         auto both = where("tier", Op::not_in, {"back"});
         both.match_expressions.push_back({"tier", Op::exists, {}});
         policy_of(c).ingress[0].peers = {pods_of(both)};
       });
     }},
    {"except leaks",
     [](World& w) {
       compile_otherwise(
           w, [](auto& c) { policy_of(c).ingress[1].peers[0].ip_block->except.clear(); });
     }},
    {"an address behind except is carved too wide",
     [](World& w) {
       compile_otherwise(w, [](auto& c) {
         policy_of(c).ingress[1].peers = {
             block("198.51.100.0/24", {"198.51.100.64/26", "198.51.100.128/25"})};
       });
     }},
    {"egress is isolated though policyTypes does not list it",
     [](World& w) {
       w.cluster.network_policies.at({"shop", "db"}).isolates_egress = false;
       w.cluster.network_policies.at({"shop", "db"}).egress.clear();
     }},
    {"egress is open though policyTypes lists it",
     [](World& w) {
       compile_otherwise(w, [](auto& c) {
         policy_of(c).isolates_egress = false;
         policy_of(c).egress.clear();
       });
     }},
    {"ipcache gives a pod another pod's identity",
     [](World& w) {
       const dp_ipcache_key key{0, agent::to_abi(w.address("shop", "web"))};
       w.tables.ipcache[key].identity = w.identity("shop", "db");
     }},
    {"ipcache has lost a pod",
     [](World& w) { w.tables.ipcache.erase({0, agent::to_abi(w.address("ops", "probe"))}); }},
    {"ipcache has lost a block",
     [](World& w) {
       std::erase_if(w.tables.ipcache_prefix, [](const auto& entry) {
         return agent::from_abi(entry.first.address) == ip("198.51.100.0");
       });
     }},
    {"a block in ipcache is one bit too short",
     [](World& w) {
       agent::Table<dp_ipcache_prefix_key, dp_ipcache> out;
       for (const auto& [found, value] : w.tables.ipcache_prefix) {
         dp_ipcache_prefix_key key = found;
         if (agent::from_abi(key.address) == ip("198.51.100.128")) --key.prefix_bits;
         out[key] = value;
       }
       w.tables.ipcache_prefix = std::move(out);
     }},
    {"a pod's endpoint has another identity than ipcache",
     [](World& w) {
       for (auto& [key, value] : w.tables.endpoints) {
         if (agent::from_abi(key.address) == w.address("shop", "db"))
           value.identity = w.identity("shop", "web");
       }
     }},
    {"a pod has no endpoint",
     [](World& w) {
       std::erase_if(w.tables.endpoints, [&](const auto& entry) {
         return agent::from_abi(entry.first.address) == w.address("shop", "web");
       });
     }},
    {"a deny of higher precedence was left behind",
     [](World& w) {
       w.tables.policy[key_of_entry(72, db(w), DP_IDENTITY_ANY, DP_INGRESS, 0, 0)] = {
           7, 16, DP_POLICY_DENY, {}};
     }},
    {"a deny for every peer stands at equal precedence",
     [](World& w) {
       w.tables.policy[key_of_entry(96, db(w), DP_IDENTITY_ANY, DP_INGRESS, 6, 8005)] = {
           0, 16, DP_POLICY_DENY, {}};
     }},
    {"a longer prefix shadows its range with a deny",
     [](World& w) {
       w.tables.policy[key_of_entry(96, db(w), w.identity("ops", "probe"), DP_INGRESS, 17, 53)] = {
           0, 16, DP_POLICY_DENY, {}};
     }},
    {"the node exemption is missing",
     [](World& w) {
       each_policy(w, db(w), DP_INGRESS,
                   [](auto& key, auto&) { return ntohl(key.peer) != DP_IDENTITY_HOST; });
     }},
    {"other nodes are exempt as well",
     [](World& w) {
       w.tables.policy[key_of_entry(72, db(w), DP_IDENTITY_REMOTE_NODE, DP_INGRESS, 0, 0)] = {
           0, 2, DP_POLICY_ALLOW, {}};
     }},
    {"a port name is resolved at the wrong pod",
     [](World& w) {
       compile_otherwise(w, [](auto& c) { policy_of(c).egress[0].ports = {tcp(80)}; });
     }},
    {"a namespace selector is ANDed with the policy's own namespace",
     [](World& w) {
       compile_otherwise(w, [](auto& c) {
         policy_of(c).ingress[2].peers = {pods_of(labelled({{"team", "ops"}}))};
       });
     }},
    {"an entry names fewer bits than its subject",
     [](World& w) {
       w.tables.policy[key_of_entry(16, db(w), 0, DP_INGRESS, 0, 0)] = {0, 16, DP_POLICY_ALLOW, {}};
     }},
};

class Refuted : public testing::TestWithParam<Mutant> {};

TEST_P(Refuted, ByAPacketOnWhichTheSidesReallyDiffer) {
  World world;
  build_shop(world.cluster);
  world.build();
  for (const Answer& answer : judge(policy_obligations(world.question())))
    ASSERT_EQ(answer.state, State::proved) << answer.id << " " << answer.detail;

  GetParam().edit(world);
  const auto question = world.question();
  const Specification specification(world.cluster, world.modes);
  const TableSemantics semantics(world.tables);
  std::size_t violated = 0;
  for (const Answer& answer : judge(policy_obligations(question))) {
    ASSERT_NE(answer.state, State::undecided) << answer.id << " " << answer.detail;
    if (answer.state != State::violated) continue;
    ++violated;
    ASSERT_TRUE(answer.counterexample && answer.counterexample->packet);
    const CounterexamplePacket& packet = *answer.counterexample->packet;
    const bool ingress = packet.direction == DP_INGRESS;
    const auto both = evaluate(
        question, specification, semantics, packet.direction, world.cluster.pods.at(packet.pod),
        ingress ? packet.source : packet.destination, packet.protocol, packet.destination_port);
    EXPECT_NE(both.objects.allowed, both.tables_allow) << answer.counterexample->to_text();
    EXPECT_EQ(both.tables_allow, packet.tables_admit);
  }
  EXPECT_GT(violated, 0U);
}

std::string name_of(const testing::TestParamInfo<Mutant>& mutant) {
  std::string name = mutant.param.name;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Mutants, Refuted, testing::ValuesIn(mutants), name_of);

TEST(Replay, FillsInWhatTheRealObjectDid) {
  World world;
  build_shop(world.cluster);
  world.build();
  world.tables.policy.clear();
  auto answers = judge(policy_obligations(world.question()));
  replay_violations(answers, [](const CounterexamplePacket& packet) -> Result<ReplayOutcome> {
    if (packet.destination.family() == Family::v6)
      return std::unexpected(Error{Error::Kind::unsupported, "no IPv6 here", "", ""});
    return ReplayOutcome{packet.tables_admit, "as predicted"};
  });
  std::size_t confirmed = 0, failed = 0;
  for (const Answer& answer : answers) {
    EXPECT_TRUE(answer.state == State::violated || !answer.replay);
    confirmed += answer.confirmed();
    failed += !answer.replay_error.empty();
  }
  EXPECT_GT(confirmed, 0U);
  EXPECT_GT(failed, 0U);
}

}  // namespace
}  // namespace waggle::verifier
