// Z3's formulas and the evaluators are two judges: they agree on random points of random tables,
// also of tables that no compiler would write.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy_cases.h"
#include "policy_formula.h"
#include "waggle/abi/identities.h"
#include "world.h"

namespace waggle::verifier {
namespace {

constexpr std::uint8_t protocols[] = {6, 17, 132, 1};

dp_policy_key random_key(Dice& dice) {
  const std::uint32_t bits = dice.of(std::vector<std::uint32_t>{
      72, 80, 96, 80 + dice.below(17), 72 + dice.below(9), 8 * dice.below(9)});
  std::uint32_t port = dice.below(65536);
  if (bits < 96) port &= 0xffffU << (96 - std::max(bits, 80U));
  return {bits,
          htonl(256 + dice.below(2)),
          htonl(dice.chance(30) ? 0 : 256 + dice.below(2)),
          static_cast<__u8>(dice.below(2)),
          bits >= 80 ? protocols[dice.below(4)] : std::uint8_t{0},
          htons(static_cast<std::uint16_t>(port))};
}

TEST(SecondJudge, AgreesOnLookUpsInRandomPolicyTables) {
  Dice dice(11);
  std::size_t allowed = 0, points = 0;
  for (int round = 0; round < 60; ++round) {
    agent::Tables tables;
    for (std::uint32_t i = dice.below(30); i > 0; --i) {
      tables.policy[random_key(dice)] = {
          dice.below(3),
          16,
          dice.chance(70) ? std::uint8_t{DP_POLICY_ALLOW} : std::uint8_t{DP_POLICY_DENY},
          {}};
    }
    const TableSemantics semantics(tables);
    Prover prover(10000);
    const SymbolicPort at(prover);
    const auto direction = dice.chance(50) ? DP_INGRESS : DP_EGRESS;
    const auto named = semantics.entries(256, 257, direction);
    const auto any = semantics.entries(256, DP_IDENTITY_ANY, direction);
    const z3::expr formula = admitted(prover, at, named, any);
    for (int point = 0; point < 20; ++point) {
      const std::uint8_t protocol = protocols[dice.below(4)];
      // Half the points sit at an entry's edge.
      auto port = static_cast<std::uint16_t>(dice.below(65536));
      if (!named.empty() && dice.chance(50))
        port = static_cast<std::uint16_t>(ntohs(dice.of(named).key.port) - dice.below(2));
      const auto entry = semantics.policy(256, 257, direction, protocol, port);
      const bool evaluated = entry && entry->value.verdict == DP_POLICY_ALLOW;
      const z3::expr here =
          at.protocol == prover.number(protocol, 8) && at.port == prover.number(port, 16);
      EXPECT_EQ(prover.refute(here && formula), evaluated ? State::violated : State::proved);
      EXPECT_EQ(prover.refute(here && !formula), evaluated ? State::proved : State::violated);
      allowed += evaluated;
      ++points;
    }
  }
  EXPECT_GT(allowed, points / 10);
  EXPECT_LT(allowed, points * 9 / 10);
}

TEST(SecondJudge, AgreesOnGrantsOfRandomPolicies) {
  std::size_t granted_points = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Dice dice(seed);
    World world;
    randomise(world.cluster, dice);
    world.build();
    const Specification specification(world.cluster);
    Prover prover(10000);
    const SymbolicPort at(prover);
    std::vector<const kube::Pod*> pods;
    for (const auto& [key, pod] : world.cluster.pods) {
      if (!pod.host_network) pods.push_back(&pod);
    }
    for (int point = 0; point < 20; ++point) {
      const auto direction = dice.chance(50) ? DP_INGRESS : DP_EGRESS;
      const kube::Pod& subject = *dice.of(pods);
      const Address peer = dice.chance(60) ? dice.of(pods)->addresses[0] : ip("198.51.100.7");
      if (&subject == specification.pod_at(peer) || !specification.isolated(direction, subject))
        continue;
      const std::uint8_t protocol = protocols[dice.below(4)];
      const auto port = static_cast<std::uint16_t>(dice.chance(50) ? 8080 : dice.below(65536));
      const bool judged = specification.judge(direction, subject, peer, protocol, port).allowed;
      const z3::expr here =
          at.protocol == prover.number(protocol, 8) && at.port == prover.number(port, 16);
      const z3::expr formula = granted(prover, at, specification.grants(direction, subject, peer));
      EXPECT_EQ(prover.refute(here && formula), judged ? State::violated : State::proved);
      granted_points += judged;
    }
  }
  EXPECT_GT(granted_points, 20U);
}

TEST(SecondJudge, AgreesOnIdentitiesInRandomIpcaches) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Dice dice(seed);
    const kube::Cluster cluster;
    agent::Tables tables;
    const auto random_v4 = [&] { return Address::v4(0x0a000000 + dice.below(1 << 12)); };
    for (int i = 0; i < 12; ++i) {
      tables.ipcache[{0, agent::to_abi(random_v4())}] = {256 + dice.below(5), 1};
      const unsigned bits = 16 + dice.below(17);
      const Cidr block = Cidr::of(random_v4(), bits);
      tables.ipcache_prefix[{32 + 96 + bits, 0, agent::to_abi(block.base())}] = {
          300 + dice.below(5), 0};
    }
    // ::/0 holds the range that IPv4 addresses are mapped to.
    if (dice.chance(50)) tables.ipcache_prefix[{32, 0, {}}] = {400, 0};
    const Specification specification(cluster);
    const TableSemantics semantics(tables);
    for (const Family family : {Family::v4, Family::v6}) {
      Prover prover(10000);
      const AddressSpace space(specification, semantics, family);
      EXPECT_EQ(space.prove_exact(prover).state, State::proved) << seed;
    }
    EXPECT_EQ(semantics.identity(ip("203.0.113.1")), tables.ipcache_prefix.contains({32, 0, {}})
                                                         ? 400U
                                                         : std::uint32_t{DP_IDENTITY_WORLD});
  }
}

}  // namespace
}  // namespace waggle::verifier
