#include "waggle/agent/ids.h"

#include <random>

#include <gtest/gtest.h>

namespace waggle::agent {
namespace {

TEST(IdSpace, KeepsOneNumberAContentAndOneContentANumber) {
  IdSpace space(10, 12);
  EXPECT_EQ(space.get("a").value(), 10U);
  EXPECT_EQ(space.get("b").value(), 11U);
  EXPECT_EQ(space.get("a").value(), 10U);
  EXPECT_EQ(space.find("c"), 0U);
}

TEST(IdSpace, DoesNotUseAReleasedNumberAgainBeforeTheSpaceIsThrough) {
  IdSpace space(1, 4);
  ASSERT_TRUE(space.get("a"));
  space.release("a");
  EXPECT_EQ(space.get("b").value(), 2U);
  EXPECT_EQ(space.get("a").value(), 3U);
  EXPECT_EQ(space.get("c").value(), 4U);
  EXPECT_EQ(space.get("d").value(), 1U);
}

TEST(IdSpace, SaysWhenItIsFull) {
  IdSpace space(1, 2);
  ASSERT_TRUE(space.get("a"));
  ASSERT_TRUE(space.get("b"));
  EXPECT_FALSE(space.get("c"));
  space.release("b");
  EXPECT_TRUE(space.get("c"));
}

TEST(IdSpace, RefusesANumberThatIsTakenOrOutside) {
  IdSpace space(10, 20);
  ASSERT_TRUE(space.adopt("a", 15));
  EXPECT_TRUE(space.adopt("a", 15));
  EXPECT_FALSE(space.adopt("b", 15));
  EXPECT_FALSE(space.adopt("a", 16));
  EXPECT_FALSE(space.adopt("b", 9));
  EXPECT_EQ(space.get("b").value(), 16U) << "numbers below may have been used before the restart";
}

TEST(IdSpace, RollsBackWhatItAllocatedAndNothingElse) {
  IdSpace space(1, 100);
  ASSERT_TRUE(space.get("kept"));
  space.begin();
  ASSERT_TRUE(space.get("kept"));
  ASSERT_TRUE(space.get("gone"));
  space.rollback();
  EXPECT_EQ(space.find("kept"), 1U);
  EXPECT_EQ(space.find("gone"), 0U);
}

TEST(Regions, StayDisjointAndInside) {
  std::mt19937 random(3);
  Regions regions(1000);
  std::vector<std::uint32_t> bases;
  for (int i = 0; i < 2000; ++i) {
    if (random() % 2 == 0 && !bases.empty()) {
      const auto k = random() % bases.size();
      regions.release(bases[k]);
      bases.erase(bases.begin() + static_cast<std::ptrdiff_t>(k));
    } else if (const auto base = regions.allocate(1 + static_cast<std::uint32_t>(random() % 100))) {
      bases.push_back(*base);
    }
    std::uint32_t end = 0;
    for (const auto& [base, size] : regions.live()) {
      ASSERT_GE(base, end);
      end = base + size;
    }
    ASSERT_LE(end, 1000U);
    ASSERT_EQ(regions.live().size(), bases.size());
  }
}

TEST(Regions, SayWhenThereIsNoRoomAndRefuseOverlap) {
  Regions regions(10);
  ASSERT_TRUE(regions.adopt(4, 3));
  EXPECT_FALSE(regions.adopt(6, 1));
  EXPECT_FALSE(regions.adopt(2, 3));
  EXPECT_FALSE(regions.adopt(8, 3));
  EXPECT_FALSE(regions.allocate(5));
  EXPECT_EQ(regions.allocate(4).value(), 0U);
  EXPECT_EQ(regions.allocate(3).value(), 7U);
}

TEST(Placements, NobodyMovesButIntoAHole) {
  Placements placements(1000);
  const std::vector<std::uint32_t> first{1, 2, 3, 4}, removed{1, 3, 4}, replaced{1, 9, 4};
  EXPECT_EQ(placements.random("set", first)->positions, first);
  EXPECT_EQ(placements.random("set", removed)->positions, (std::vector<std::uint32_t>{1, 4, 3}));
  EXPECT_EQ(placements.random("set", replaced)->positions, (std::vector<std::uint32_t>{1, 4, 9}));
}

TEST(Placements, ALeftRegionIsFreeOnlyAfterTheTransaction) {
  Placements placements(600);
  ASSERT_TRUE(placements.maglev("set", 1, 100));
  placements.commit();
  placements.remove("set");
  EXPECT_FALSE(placements.maglev("other", 5, 100)) << "509 positions beside 251 that packets read";
  placements.commit();
  EXPECT_TRUE(placements.maglev("other", 5, 100));
}

TEST(Placements, MaglevTablesGrowWhenOutgrownAndShrinkBelowAQuarter) {
  Placements placements(100000);
  EXPECT_EQ(placements.maglev("set", 10, 100)->capacity, 1021U);
  EXPECT_EQ(placements.maglev("set", 11, 100)->capacity, 2039U);
  EXPECT_EQ(placements.maglev("set", 10, 100)->capacity, 2039U);
  EXPECT_EQ(placements.maglev("set", 6, 100)->capacity, 2039U);
  EXPECT_EQ(placements.maglev("set", 5, 100)->capacity, 509U);
  EXPECT_EQ(placements.maglev("set", 2000, 100)->capacity, 65521U);
}

TEST(Placements, RollBackPutsEverySetWhereItWas) {
  Placements placements(1000);
  const std::vector<std::uint32_t> first{1, 2}, many{1, 2, 3, 4, 5, 6};
  ASSERT_TRUE(placements.random("set", first));
  placements.commit();
  const auto before = *placements.find("set");
  placements.begin();
  ASSERT_TRUE(placements.random("set", many));
  ASSERT_TRUE(placements.random("new", first));
  placements.rollback();
  EXPECT_EQ(*placements.find("set"), before);
  EXPECT_EQ(placements.find("new"), nullptr);
  EXPECT_EQ(placements.random("next", many)->base, before.base + before.capacity);
}

}  // namespace
}  // namespace waggle::agent
