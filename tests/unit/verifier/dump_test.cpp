// bpftool's JSON in and out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "waggle/verifier/dump.h"
#include "world.h"

namespace waggle::verifier {
namespace {

class DumpFolder : public testing::Test {
 protected:
  DumpFolder()
      : folder_(std::filesystem::temp_directory_path() /
                ("waggle-dump-" + std::to_string(getpid()) + "-" +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(folder_);
  }
  ~DumpFolder() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& file, const std::string& text) const {
    std::ofstream(folder_ / file) << text;
  }
  [[nodiscard]] std::string refusal() const {
    const auto dump = read_dump(folder_);
    return dump ? "accepted" : to_string(dump.error().front());
  }
  std::filesystem::path folder_;
};

TEST_F(DumpFolder, WhatIsWrittenIsReadBack) {
  World world;
  add_teams(world.cluster, 3, 12, 2);
  add_pod(world.cluster, "shop", "web-0", {{"app", "web"}});
  add_pod(world.cluster, "shop", "web-1", {{"app", "web"}});
  add_service(world.cluster, "shop", "web");
  add_service(world.cluster, "shop", "none");
  world.build();
  Dump dump{world.tables, {}};
  dp_ct_key key{};
  key.zone = 3;
  dp_ct flow{};
  flow.expires_ns = 0x0102030405060708;
  dump.conntrack.emplace_back(key, flow);
  ASSERT_TRUE(write_dump(dump, folder_));
  const auto read = read_dump(folder_);
  ASSERT_TRUE(read) << to_string(read.error().front());
  EXPECT_EQ(read->tables, dump.tables);
  ASSERT_EQ(read->conntrack.size(), 1U);
  EXPECT_TRUE(agent::same_bytes(read->conntrack[0].second, flow));
}

TEST_F(DumpFolder, BpftoolsFormattedPartIsPassedOver) {
  write("nodes.json", R"([{
    "key": ["0x07","0x00","0x00","0x00"],
    "value": ["0x00","0x00","0x00","0x00","0x00","0x00","0x00","0x00","0x00","0x00","0xff","0xff",
              "0xac","0x12","0x00","0x02","0x00","0x00","0x00","0x00","0x00","0x00","0x00","0x00",
              "0x00","0x00","0x00","0x00","0x00","0x00","0x00","0x00"],
    "formatted": {"key": {"id": 7}, "value": {"address4": {"word": [0,0,4294901760,33559212]},
                  "address6": {"word": [0,0,0,0]}}}
  }])");
  const auto dump = read_dump(folder_);
  ASSERT_TRUE(dump) << to_string(dump.error().front());
  EXPECT_EQ(agent::from_abi(dump->tables.nodes.at({7}).address4), ip("172.18.0.2"));
}

TEST_F(DumpFolder, AKeyOfTheWrongSizeIsRefusedWithFileAndEntry) {
  write("nodes.json", R"([{"key":["0x07"],"value":[]}])");
  EXPECT_THAT(refusal(), testing::HasSubstr("nodes.json[0]: key has 1 bytes, not 4"));
}

TEST_F(DumpFolder, AByteThatIsNoneIsRefused) {
  write("nodes.json", R"([{"key":["0x07","0x1ff","zz","0x00"],"value":[]}])");
  EXPECT_THAT(refusal(), testing::HasSubstr("\"0x1ff\" is not a byte"));
}

TEST_F(DumpFolder, TextThatIsNotJsonIsRefused) {
  write("services.json", "[{\"key\":");
  EXPECT_THAT(refusal(), testing::HasSubstr("services.json: not JSON"));
}

TEST_F(DumpFolder, AnObjectInPlaceOfTheListIsRefused) {
  write("services.json", R"({"error":"no such map"})");
  EXPECT_THAT(refusal(), testing::HasSubstr("not a list of entries"));
}

TEST_F(DumpFolder, AFolderWithoutTablesIsRefused) {
  EXPECT_THAT(refusal(), testing::HasSubstr("no table's JSON file"));
}

TEST_F(DumpFolder, AllErrorsAreReportedAtOnce) {
  write("nodes.json", R"([{"key":["0x07"],"value":[]}])");
  write("policy.json", R"([{"key":["0x07"],"value":[]}])");
  const auto dump = read_dump(folder_);
  ASSERT_FALSE(dump);
  EXPECT_EQ(dump.error().size(), 2U);
}

TEST_F(DumpFolder, TablesOfUnknownOriginAreProvedAgainstTheirCluster) {
  World world;
  add_teams(world.cluster, 2, 6, 2);
  world.build();
  ASSERT_TRUE(write_dump({world.tables, {}}, folder_));
  const auto dump = read_dump(folder_);
  ASSERT_TRUE(dump);
  const auto nodes = local_nodes(world.cluster, dump->tables);
  EXPECT_EQ(nodes.size(), 2U);
  const PolicyQuestion question{world.cluster, dump->tables, nodes, {}, nullptr};
  for (const Answer& answer : judge(policy_obligations(question)))
    EXPECT_EQ(answer.state, State::proved) << answer.id;
}

}  // namespace
}  // namespace waggle::verifier
