#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "waggle/simulator/reach.h"

namespace waggle::simulator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string header = "src_ns,src_pod,dst_ns,dst_pod,protocol,port,verdict\n";

std::vector<std::string> refused(const std::string& text) {
  std::vector<std::string> lines;
  const auto rows = read_reach_text(text, "t.csv");
  if (rows) return lines;
  for (const auto& error : rows.error()) lines.push_back(to_string(error));
  return lines;
}

TEST(ReachTable, IsWrittenAsItIsRead) {
  const auto text = header + "x,a,y,b,TCP,80,allow\nx,a,y,b,SCTP,80,deny\n";
  const auto rows = read_reach_text(text, "t.csv");
  ASSERT_TRUE(rows);
  EXPECT_EQ(to_csv(*rows), text);
  EXPECT_EQ(rows->at(1).line, 3);
}

TEST(ReachTable, EveryBadRowIsAnErrorWithItsLine) {
  EXPECT_THAT(refused(""), ElementsAre("t.csv:1: the table is empty"));
  EXPECT_THAT(refused("a,b\n"), ElementsAre(HasSubstr("t.csv:1: the first line is not")));
  EXPECT_THAT(
      refused(header + "x,a,y,b,TCP,80\nx,a,y,b,GRE,80,allow\nx,a,y,b,TCP,0,allow\n"
                       "x,a,y,b,TCP,65536,allow\nx,a,y,b,TCP,80,maybe\nx,,y,b,TCP,80,allow\n"
                       "x,a,y,b,TCP,80,allow\nx,a,y,b,TCP,80,deny\n"),
      ElementsAre("t.csv:2: 6 cells instead of 7", HasSubstr("t.csv:3: protocol 'GRE'"),
                  HasSubstr("t.csv:4: port '0'"), HasSubstr("t.csv:5: port '65536'"),
                  HasSubstr("t.csv:6: verdict 'maybe'"), "t.csv:7: a cell is empty",
                  "t.csv:9: the row stands twice"));
}

TEST(ReachTable, PodsThatAreNotThereAreErrorsOnce) {
  const auto rows =
      read_reach_text(header + "x,a,y,b,TCP,80,allow\nx,a,y,b,TCP,81,allow\n", "t.csv");
  ASSERT_TRUE(rows);
  const auto checked = check_pods({}, *rows, "t.csv");
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().size(), 2U);
  EXPECT_EQ(to_string(checked.error().front()), "t.csv:2: there is no pod x/a");
}

TEST(ReachTable, DisagreementsAreCountedAndKept) {
  const auto rows =
      read_reach_text(header + "x,a,y,b,TCP,80,allow\nx,a,y,b,TCP,81,deny\n", "t.csv");
  ASSERT_TRUE(rows);
  auto got = *rows;
  got[1].allowed = true;
  const auto comparison = compare(*rows, got);
  EXPECT_EQ(comparison.agree, 1U);
  ASSERT_EQ(comparison.disagree.size(), 1U);
  EXPECT_EQ(comparison.disagree[0].expected.port, 81);
}

}  // namespace
}  // namespace waggle::simulator
