// P1 holds for what the agent compiles.

#include <gtest/gtest.h>

#include <chrono>

#include "world.h"

namespace waggle::verifier {
namespace {

void expect_proved(const World& world, const std::string& what) {
  const auto obligations = policy_obligations(world.question());
  for (const Answer& answer : judge(obligations)) {
    EXPECT_EQ(answer.state, State::proved)
        << what << ": " << answer.id << ": " << answer.detail
        << (answer.counterexample ? answer.counterexample->to_text() : "");
  }
}

/// Fifteen seeds a test, so that ctest runs them side by side.
class RandomClusters : public testing::TestWithParam<std::uint64_t> {
 protected:
  static void prove(bool cidr_selects_pods) {
    for (std::uint64_t seed = 15 * GetParam(); seed < 15 * GetParam() + 15; ++seed) {
      Dice dice(seed);
      World world;
      world.modes.cidr_selects_pods = cidr_selects_pods;
      randomise(world.cluster, dice);
      world.build();
      expect_proved(world, "seed " + std::to_string(seed));
      if (HasFailure()) return;
    }
  }
};

TEST_P(RandomClusters, CompileToTablesThatAreTheObjects) { prove(true); }
TEST_P(RandomClusters, CompileToTablesThatAreTheObjectsWhenBlocksDoNotSelectPods) { prove(false); }
INSTANTIATE_TEST_SUITE_P(Seeds, RandomClusters, testing::Range<std::uint64_t>(0, 8));

TEST(Proof, TeamsAreProvedOnceAClassOfPods) {
  World world;
  add_teams(world.cluster, 4, 24, 3);
  world.build();
  const auto obligations = policy_obligations(world.question());
  EXPECT_EQ(obligations.size(), 2 + 4 * 6 * 16U);  // 96 pods in 24 classes
  for (const Answer& answer : judge(obligations))
    EXPECT_EQ(answer.state, State::proved) << answer.id;
}

// The mode is part of the question: tables of one reading are not those of the other.
TEST(Proof, TablesOfTheOtherReadingOfBlocksAreRefuted) {
  World world;
  add_pod(world.cluster, "shop", "web", {});
  add_pod(world.cluster, "shop", "db", {});
  auto& policy = add_policy(world.cluster, "shop", "only-blocks", {});
  policy.isolates_ingress = true;
  policy.ingress.resize(1);
  policy.ingress[0].peers = {block("10.244.0.0/16")};
  world.build();
  expect_proved(world, "same reading");
  world.modes.cidr_selects_pods = false;
  std::size_t violated = 0;
  for (const Answer& answer : judge(policy_obligations(world.question())))
    violated += answer.state == State::violated;
  EXPECT_GT(violated, 0U);
}

TEST(Proof, ObligationsAreListedWithoutBeingJudged) {
  World world;
  add_pod(world.cluster, "shop", "web", {{"app", "web"}});
  add_pod(world.cluster, "shop", "web-2", {{"app", "web"}});
  world.build();
  const auto obligations = policy_obligations(world.question());
  // One class of pods, two families, two directions, four protocols; and the two address cases.
  ASSERT_EQ(obligations.size(), 2 + 16U);
  EXPECT_EQ(obligations[2].id, "P1/shop/web/ingress/TCP/v4");
  EXPECT_EQ(obligations[2].property, "P1");
}

TEST(Proof, AnswersKeepTheOrderOfObligationsOnAnyNumberOfThreads) {
  Dice dice(7);
  World world;
  randomise(world.cluster, dice);
  world.build();
  const auto obligations = policy_obligations(world.question());
  const auto one = judge(obligations, {.threads = 1});
  const auto four = judge(obligations, {.threads = 4});
  ASSERT_EQ(one.size(), obligations.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].id, obligations[i].id);
    EXPECT_EQ(four[i].id, obligations[i].id);
    EXPECT_EQ(one[i].state, four[i].state);
  }
}

}  // namespace
}  // namespace waggle::verifier
