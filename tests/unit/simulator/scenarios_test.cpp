// Every shipped scenario and truth table, on the real object. A scenario runs twice: what happens
// is a function of the file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "waggle/kube/reader.h"
#include "waggle/simulator/reach.h"
#include "waggle/simulator/runner.h"

namespace waggle::simulator {
namespace {

namespace fs = std::filesystem;

std::string test_name(fs::path path) {
  std::string name = path.replace_extension().string();
  for (auto& letter : name)
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  return name;
}

std::string text_of(const Errors& errors) {
  std::string text;
  for (const auto& error : errors) text += to_string(error) + "\n";
  return text;
}

const fs::path folder = fs::path(WAGGLE_SOURCE_DIR) / "scenarios";

class Scenarios : public testing::TestWithParam<fs::path> {};

TEST_P(Scenarios, HoldTwiceAndAlike) {
  const auto scenario = read_scenario(folder / GetParam());
  ASSERT_TRUE(scenario) << text_of(scenario.error());
  const auto first = run_scenario(*scenario, {});
  if (first.state == ScenarioRun::State::skipped) GTEST_SKIP() << first.message;
  EXPECT_EQ(first.state, ScenarioRun::State::passed) << to_text(first);
  const auto second = run_scenario(*scenario, {});
  EXPECT_EQ(first.trace, second.trace) << "two runs of one scenario differ";
}

std::vector<fs::path> all_scenarios() {
  std::vector<fs::path> paths;
  for (const auto& path : find_scenarios({folder}).value_or(std::vector<fs::path>{}))
    paths.push_back(path.lexically_relative(folder));
  return paths;
}

INSTANTIATE_TEST_SUITE_P(All, Scenarios, testing::ValuesIn(all_scenarios()),
                         [](const auto& test) { return test_name(test.param); });

class TruthTables : public testing::TestWithParam<std::string> {};

TEST_P(TruthTables, AgreeWithRealPackets) {
  const auto at = folder / "truth" / GetParam();
  std::vector<fs::path> paths = {folder / "truth/base"};
  if (fs::exists(at / "policy.yaml")) paths.push_back(at / "policy.yaml");
  auto cluster = kube::read_cluster(paths);
  ASSERT_TRUE(cluster) << text_of(cluster.error());
  const auto completed = kube::complete(*cluster);
  ASSERT_TRUE(completed) << text_of(completed.error());
  const auto rows = read_reach_table(at / "table.csv");
  ASSERT_TRUE(rows) << text_of(rows.error());
  ASSERT_EQ(rows->size(), 486U);
  EngineOptions options;
  options.config = kernel::default_config();
  auto engine = TestRunEngine::create(*cluster, options);
  ASSERT_TRUE(engine) << text_of(engine.error());
  const auto got = measure(**engine, *rows);
  ASSERT_TRUE(got) << to_string(got.error());
  for (const auto& [expected, measured] : compare(*rows, *got).disagree)
    ADD_FAILURE() << expected.source.to_string() << " > " << expected.destination.to_string() << " "
                  << to_string(expected.protocol) << "/" << expected.port << " wanted "
                  << (expected.allowed ? "allow" : "deny") << ", got " << measured.because;
}

std::vector<std::string> all_tables() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder / "truth"))
    if (fs::exists(entry.path() / "table.csv")) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, TruthTables, testing::ValuesIn(all_tables()),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace waggle::simulator
