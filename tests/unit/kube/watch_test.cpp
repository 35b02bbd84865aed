#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "describe.h"

namespace waggle::kube {
namespace {

std::string describe_event(const WatchEvent& event) {
  static constexpr std::array types = {"added", "modified", "deleted", "bookmark", "error"};
  const auto key =
      event.object
          ? std::visit([](const auto& o) { return key_of(o.meta).to_string(); }, *event.object)
          : std::string("-");
  return fmt::format("{}:{} {} {} @{} {} {}", *event.source.file, event.source.line,
                     types.at(static_cast<std::size_t>(event.type)), key, event.resource_version,
                     event.error_code, event.error_message);
}

/// All events and errors of the stream, one a line.
std::string events_of(std::istream& in, const std::string& name) {
  WatchReader reader(in, name);
  std::string all;
  while (true) {
    const auto event = reader.next();
    if (!event)
      all += "! " + lines_of(event.error());
    else if (!*event)
      return all;
    else
      all += describe_event(**event) + "\n";
  }
}

std::string events_of(const std::string& text) {
  std::istringstream in(text);
  return events_of(in, "w");
}

std::string events_of_sample(const std::string& name) {
  std::ifstream in(std::filesystem::path(WAGGLE_SOURCE_DIR) / "tests/unit/kube/data" / name);
  return events_of(in, name);
}

std::string added(std::string_view name) {
  return fmt::format(R"({{"type":"ADDED","object":{{"apiVersion":"v1","kind":"Pod",)"
                     R"("metadata":{{"name":"{}"}}}}}})",
                     name);
}

TEST(WatchStream, KubectlsPrettyPrintedEventsAreRead) {
  EXPECT_EQ(events_of_sample("watch.json"),
            "watch.json:1 added shop/web-0 @101 0 \n"
            "watch.json:19 modified shop/web-0 @102 0 \n"
            "watch.json:38 deleted shop/web-0 @105 0 \n");
}

TEST(WatchStream, TheApiServersBookmarksAndErrorsAreRead) {
  EXPECT_EQ(events_of_sample("raw-watch.json"),
            "raw-watch.json:1 added shop/web @7 0 \n"
            "raw-watch.json:2 added - @8 0 \n"
            "raw-watch.json:3 bookmark - @12 0 \n"
            "raw-watch.json:4 error - @ 410 too old resource version: 7 (4711)\n");
}

TEST(WatchStream, EventsNeedNoLineOfTheirOwn) {
  EXPECT_EQ(events_of(added("a") + added("b") + "\n\n  " + added("c")),
            "w:1 added default/a @ 0 \nw:1 added default/b @ 0 \nw:3 added default/c @ 0 \n");
}

TEST(WatchStream, ReadingGoesOnBehindABadObjectWithItsLine) {
  EXPECT_EQ(
      events_of(added("a") + "\n" + added("Bad") + "\n" + added("c") + "\n"),
      "w:1 added default/a @ 0 \n"
      "! w:2: object.metadata.name: is \"Bad\", not a DNS name: lower case letters, digits, '-' "
      "and '.' inside\n"
      "w:3 added default/c @ 0 \n");
}

TEST(WatchStream, ReadingGoesOnBehindBrokenJson) {
  const auto broken = events_of("{\"type\":\"ADDED\",\"object\":{\n" + added("b") + "\ngarbage\n" +
                                added("c").substr(0, 40));
  EXPECT_NE(broken.find("! w:1: broken JSON"), std::string::npos) << broken;
  EXPECT_NE(broken.find("w:2 added default/b"), std::string::npos) << broken;
  EXPECT_NE(broken.find("! w:3: broken JSON"), std::string::npos) << broken;
  EXPECT_NE(broken.find("! w:4: broken JSON"), std::string::npos) << broken;
}

TEST(WatchStream, WhatIsNoEventIsRefused) {
  EXPECT_EQ(events_of(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}})"),
            "! w:1: the document: is an object, not a watch event (record with "
            "--output-watch-events)\n");
  EXPECT_EQ(events_of(R"({"type":"CHANGED","object":{"kind":"ConfigMap","apiVersion":"v1"}})"),
            "! w:1: type: \"CHANGED\" is not one of ADDED, MODIFIED, DELETED, BOOKMARK, ERROR\n");
  EXPECT_EQ(events_of(R"({"type":"ADDED"})"), "! w:1: object: is missing\n");
  EXPECT_EQ(events_of(R"({"type":"ADDED","object":{"kind":"PodList","apiVersion":"v1","items":[)"
                      R"({"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}})"),
            "! w:1: object: is a list, not one object\n");
}

TEST(WatchStream, AnEmptyStreamHasNoEvents) {
  EXPECT_EQ(events_of(""), "");
  EXPECT_EQ(events_of("\n \n"), "");
}

TEST(WatchStream, AppliedToAClusterGivesItsState) {
  std::ifstream in(std::filesystem::path(WAGGLE_SOURCE_DIR) / "tests/unit/kube/data/watch.json");
  WatchReader reader(in, "watch.json");
  Cluster cluster;
  std::string sizes;
  for (auto event = reader.next(); event && *event; event = reader.next()) {
    const auto gone = (*event)->type == WatchEvent::Type::deleted;
    cluster.apply({gone ? Change::Kind::deleted : Change::Kind::upserted, *(*event)->object});
    sizes += std::to_string(cluster.pods.size());
  }
  EXPECT_EQ(sizes, "110");
}

}  // namespace
}  // namespace waggle::kube
