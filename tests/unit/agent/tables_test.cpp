#include "waggle/agent/tables.h"

#include <set>

#include <gtest/gtest.h>

#include "world.h"

namespace waggle::agent {
namespace {

TableOp store(std::uint32_t position, std::uint32_t before, std::uint32_t after) {
  return {.kind = TableOp::Kind::store,
          .table = TableId::maglev,
          .key = Bytes::of(position),
          .value = Bytes::of(after),
          .old_value = Bytes::of(before)};
}

TableOp frontend(std::uint32_t base, std::uint32_t size) {
  dp_service service{};
  service.base = base;
  service.size = size;
  return {.kind = TableOp::Kind::upsert,
          .table = TableId::services,
          .key = Bytes::of(dp_service_key{}),
          .value = Bytes::of(service),
          .old_value = {}};
}

TEST(AllTables, AreNamedOnceAndSizedAsTheAbiSays) {
  std::set<std::string_view> names;
  for (const auto& table : all_tables()) {
    EXPECT_TRUE(names.insert(table.name).second);
    EXPECT_EQ(&info(table.id), &table);
    EXPECT_LE(table.key_bytes, 40U);
  }
  EXPECT_EQ(info(TableId::policy).key_bytes, sizeof(dp_policy_key));
  EXPECT_TRUE(info(TableId::services).agent_writes);
  EXPECT_FALSE(info(TableId::conntrack).agent_writes);
}

TEST(MemorySink, MakesThePositionsThatAFrontendNamesOneRegion) {
  Tables tables;
  MemorySink sink(tables);
  const std::vector<TableOp> ops{store(10, 0, 1), store(11, 0, 2), frontend(10, 2)};
  ASSERT_TRUE(sink.apply(ops));
  EXPECT_EQ(sink.applied(), 3U);
  using Words = std::map<std::uint32_t, std::vector<std::uint32_t>>;
  EXPECT_EQ(tables.maglev, (Words{{10, {1, 2}}}));
  const std::vector<TableOp> shrink{store(10, 1, 2), frontend(10, 1), store(11, 2, 0)};
  ASSERT_TRUE(sink.apply(shrink));
  EXPECT_EQ(tables.maglev, (Words{{10, {2}}}));
}

TEST(MemorySink, RefusesToEraseWhatIsAbsentAndSaysHowFarItCame) {
  Tables tables;
  MemorySink sink(tables);
  auto erase = frontend(0, 0);
  erase.kind = TableOp::Kind::erase;
  const std::vector<TableOp> ops{store(3, 0, 1), erase};
  EXPECT_FALSE(sink.apply(ops));
  EXPECT_EQ(sink.applied(), 1U);
}

TEST(TableOps, UndoWhatTheyDo) {
  const auto insert = frontend(1, 2);
  EXPECT_EQ(insert.inverse().kind, TableOp::Kind::erase);
  EXPECT_EQ(insert.inverse().inverse(), insert);
  auto replace = insert;
  replace.old_value = Bytes::of(dp_service{});
  EXPECT_EQ(replace.inverse().kind, TableOp::Kind::upsert);
  EXPECT_EQ(replace.inverse().value, replace.old_value);
  EXPECT_EQ(store(1, 2, 3).inverse(), store(1, 3, 2));
}

TEST(Addresses, GoToTheAbiAndBack) {
  for (const auto* text : {"10.1.2.3", "fd00::1", "0.0.0.0", "::"}) {
    EXPECT_EQ(from_abi(to_abi(ip(text))), ip(text));
  }
}

}  // namespace
}  // namespace waggle::agent
