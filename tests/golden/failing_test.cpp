// The text of a failed scenario, kept as a file. WAGGLE_UPDATE_GOLDEN=1 writes it anew; the change
// is then reviewed as a diff.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "waggle/simulator/runner.h"

namespace waggle::simulator {
namespace {

const std::filesystem::path folder = std::filesystem::path(WAGGLE_SOURCE_DIR) / "tests/golden";

std::string without_source_folder(std::string text) {
  const std::string prefix = WAGGLE_SOURCE_DIR "/";
  for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at))
    text.erase(at, prefix.size());
  return text;
}

TEST(FailedScenario, ReadsAsItDid) {
  const auto scenario = read_scenario(folder / "failing.yaml");
  ASSERT_TRUE(scenario) << to_string(scenario.error().front());
  const auto run = run_scenario(*scenario, {});
  EXPECT_EQ(run.state, ScenarioRun::State::failed);
  const auto text = without_source_folder(to_text(run));
  const auto file = folder / "failing.txt";
  if (std::getenv("WAGGLE_UPDATE_GOLDEN") != nullptr) std::ofstream(file) << text;
  std::ostringstream golden;
  golden << std::ifstream(file).rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(FailedScenario, NoExpectationOfItHolds) {
  const auto scenario = read_scenario(folder / "failing.yaml");
  ASSERT_TRUE(scenario) << to_string(scenario.error().front());
  RunOptions options;
  options.what_if = false;
  for (const auto& check : run_scenario(*scenario, options).checks)
    EXPECT_FALSE(check.ok) << "line " << check.line << ": " << check.expected;
}

}  // namespace
}  // namespace waggle::simulator
