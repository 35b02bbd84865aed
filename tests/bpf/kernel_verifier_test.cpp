// The kernel's verifier, over the knobs: what is switched off is pruned before it is verified, so
// that one setting that loads says nothing about the next.

#include "fixture.h"

namespace waggle::bpf {
namespace {

struct Switch {
  const char* name;
  std::uint32_t dp_config::* field;
};

/// Every knob that is on or off.
std::vector<Switch> switches() {
  std::vector<Switch> found;
#define WAGGLE_SWITCH(type, name, initial, min, max, help) \
  if ((min) == 0 && (max) == 1) found.push_back({#name, &dp_config::name});
  DP_CONFIG(WAGGLE_SWITCH)
#undef WAGGLE_SWITCH
  return found;
}

/// The kernel stops at a million; growth is to be seen before that. It also refuses a call chain of
/// more than 512 bytes of stack, so loading is the proof of that one.
constexpr std::uint32_t instructions_verified_max = 300'000;

class KernelVerifier : public testing::Test {
 protected:
  static void loads(const std::vector<Switch>& all, unsigned long bits) {
    auto options = small_tables();
    std::string on;
    for (std::size_t i = 0; i < all.size(); ++i) {
      options.config.*all[i].field = bits >> i & 1U;
      if ((bits >> i & 1U) != 0) on += std::string(" ") + all[i].name;
    }
    const auto loaded = kernel::Datapath::load(options);
    ASSERT_TRUE(loaded) << "with" << on << ": " << to_string(loaded.error());
  }
};

/// Every pair of settings of every two knobs occurs: all on, all off, each alone on or off, each
/// two alone on or off. All 256 of eight knobs would take minutes.
TEST_F(KernelVerifier, LoadsEveryPairOfSwitches) {
  const auto all = switches();
  ASSERT_GE(all.size(), 8u);
  const unsigned long everything = (1UL << all.size()) - 1;
  std::vector<unsigned long> settings = {everything, 0};
  for (std::size_t i = 0; i < all.size(); ++i) {
    settings.push_back(1UL << i);
    settings.push_back(everything & ~(1UL << i));
    for (std::size_t j = 0; j < i; ++j) settings.push_back(everything & ~(1UL << i | 1UL << j));
  }
  for (const auto bits : settings) loads(all, bits);
}

TEST_F(KernelVerifier, EveryProgramStaysWellInsideItsLimits) {
  const auto loaded = kernel::Datapath::load(small_tables());
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  const auto figures = (*loaded)->figures();
  ASSERT_TRUE(figures) << to_string(figures.error());
  ASSERT_GE(figures->size(), 4u);
  for (const auto& program : *figures) {
    RecordProperty(program.name + "_instructions_verified",
                   std::to_string(program.instructions_verified));
    RecordProperty(program.name + "_stack_bytes", std::to_string(program.stack_bytes));
    EXPECT_LT(program.instructions_verified, instructions_verified_max) << program.name;
    EXPECT_GT(program.instructions, 0u) << program.name;
  }
}

}  // namespace
}  // namespace waggle::bpf
