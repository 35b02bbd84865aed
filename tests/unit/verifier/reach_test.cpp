// The full table, by the objects and by the tables.

#include <gtest/gtest.h>

#include "waggle/verifier/reach.h"
#include "world.h"

namespace waggle::verifier {
namespace {

TEST(Reach, ObjectsAndTablesAgreeOnEveryPairAndPort) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Dice dice(seed);
    World world;
    randomise(world.cluster, dice);
    world.build();
    const PolicyQuestion question = world.question();
    const Reach reach(question);
    std::size_t allowed = 0, denied = 0;
    for (const auto& [from, source] : world.cluster.pods) {
      for (const auto& [to, destination] : world.cluster.pods) {
        for (const auto protocol :
             {kube::Protocol::tcp, kube::Protocol::udp, kube::Protocol::sctp}) {
          for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{8080}}) {
            const ReachQuery query{from, to, protocol, port};
            for (const Family family : {Family::v4, Family::v6}) {
              const auto spec = reach.by_spec(query, family);
              const auto tables = reach.by_tables(query, family);
              ASSERT_TRUE(spec && tables);
              EXPECT_EQ(spec->allowed, tables->allowed)
                  << seed << " " << from.to_string() << " > " << to.to_string() << ":" << port
                  << " " << spec->why << " | " << tables->why;
              ++(spec->allowed ? allowed : denied);
            }
          }
        }
      }
    }
    EXPECT_GT(allowed, 0U);
    EXPECT_GT(denied, 0U);
  }
}

TEST(Reach, AnUnknownPodIsAnError) {
  World world;
  add_pod(world.cluster, "shop", "web", {});
  world.build();
  const Reach reach(world.question());
  const auto verdict =
      reach.by_spec({{"shop", "web"}, {"shop", "nobody"}, kube::Protocol::tcp, 80});
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().what, "there is no pod shop/nobody");
}

TEST(Reach, TheSideThatDecidesIsNamed) {
  World world;
  add_pod(world.cluster, "shop", "web", {});
  add_pod(world.cluster, "shop", "db", {{"app", "db"}});
  add_policy(world.cluster, "shop", "closed", labelled({{"app", "db"}})).isolates_ingress = true;
  world.build();
  const Reach reach(world.question());
  const ReachQuery query{{"shop", "web"}, {"shop", "db"}, kube::Protocol::tcp, 80};
  const auto spec = reach.by_spec(query);
  const auto tables = reach.by_tables(query);
  ASSERT_TRUE(spec && tables);
  EXPECT_FALSE(spec->allowed);
  EXPECT_TRUE(spec->why.starts_with("ingress: shop/db is isolated for ingress by shop/closed"));
  EXPECT_FALSE(tables->allowed);
  EXPECT_TRUE(tables->why.starts_with("ingress: denied: no policy entry")) << tables->why;
}

}  // namespace
}  // namespace waggle::verifier
