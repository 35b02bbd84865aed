// The scenario loader is the format's schema: what it refuses, and where it says so.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "waggle/simulator/scenario.h"

namespace waggle::simulator {
namespace {

using std::chrono::nanoseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string head = "name: x\nwhy: because\n";
const std::string one_step =
    "steps:\n- {as: a, send: \"app/a:1 > app/b:80/tcp [S]\", expect: delivered app/b}\n";

std::vector<std::string> refused(const std::string& text) {
  std::vector<std::string> lines;
  const auto scenario = read_scenario_text("dir/x.yaml", text);
  if (scenario) return lines;
  for (const auto& error : scenario.error()) lines.push_back(to_string(error));
  return lines;
}

TEST(ScenarioLoader, TakesASmallScenario) { EXPECT_THAT(refused(head + one_step), ElementsAre()); }

TEST(ScenarioLoader, UnknownKeysAreErrorsWithTheirLine) {
  EXPECT_THAT(refused(head + "colour: red\n" + one_step),
              ElementsAre("dir/x.yaml:3: a scenario has no key 'colour'"));
  EXPECT_THAT(refused(head + "steps:\n- send: \"app/a:1 > app/b:80/tcp\"\n  expect: delivered\n"
                             "  wiht: {ttl: 1}\n"),
              ElementsAre("dir/x.yaml:6: a step has no key 'wiht'"));
  EXPECT_THAT(refused(head + "steps:\n- send: \"app/a:1 > app/b:80/tcp\"\n  expect: delivered\n"
                             "  with: {tlt: 1}\n"),
              ElementsAre("dir/x.yaml:6: with has no key 'tlt'"));
}

TEST(ScenarioLoader, TheSameKeyTwiceIsAnError) {
  EXPECT_THAT(refused(head + "why: again\n" + one_step),
              ElementsAre("dir/x.yaml:3: key 'why' stands twice"));
}

TEST(ScenarioLoader, AllErrorsComeAtOnce) {
  EXPECT_THAT(
      refused("name: x\nwhy: because\nseed: -1\nconfig: {ipv4: 7, nonsense: 1}\n" + one_step),
      ElementsAre(HasSubstr("dir/x.yaml:3: '-1' is not a number"),
                  "dir/x.yaml:4: ipv4 7 is not in 0 to 1",
                  HasSubstr("dir/x.yaml:4: 'nonsense' is no knob of the datapath")));
}

TEST(ScenarioLoader, TheEnginesKnobIsNotAScenarios) {
  EXPECT_THAT(refused(head + "config: {simulated: 1}\n" + one_step),
              ElementsAre("dir/x.yaml:3: knob 'simulated' is the engine's own"));
}

TEST(ScenarioLoader, NameWhyAndStepsAreWanted) {
  EXPECT_THAT(refused("name: y\n"),
              ElementsAre(HasSubstr("is not the file's name"), HasSubstr("why it is there"),
                          HasSubstr("needs steps")));
}

TEST(ScenarioLoader, LeavingLiveOutNeedsAReason) {
  EXPECT_THAT(refused(head + "engines: [test-run]\n" + one_step),
              ElementsAre(HasSubstr("engine live is left out")));
  EXPECT_THAT(refused(head + "not_live: no\n" + one_step),
              ElementsAre(HasSubstr("but engine live is named")));
  EXPECT_THAT(refused(head + "engines: [live, hardware]\n" + one_step),
              ElementsAre("dir/x.yaml:3: engine 'hardware' is neither test-run nor live"));
}

TEST(ScenarioLoader, LabelsHaveToBeEarlierPackets) {
  EXPECT_THAT(
      refused(head + "steps:\n- {reply: \"a [SA]\", expect: delivered}\n" + one_step.substr(7)),
      ElementsAre("dir/x.yaml:4: no earlier packet is labelled 'a'"));
  EXPECT_THAT(refused(head + one_step + "what_if: [{set: {policy: 0}, changes: {b: world}}]\n"),
              ElementsAre("dir/x.yaml:5: no packet is labelled 'b'"));
  EXPECT_THAT(
      refused(head + one_step + "what_if: [{set: {policy: 0}, changes: {a: delivered app/b}}]\n"),
      ElementsAre("dir/x.yaml:5: 'a' does not change"));
}

TEST(ScenarioLoader, TimeDoesNotGoBack) {
  EXPECT_THAT(refused(head + one_step +
                      "- {at: 2s, collect_garbage: any}\n- {at: 2s-1ns, collect_garbage: any}\n"),
              ElementsAre("dir/x.yaml:6: time does not go back"));
}

TEST(ScenarioLoader, StepsDoOneThing) {
  EXPECT_THAT(refused(head + "steps:\n- {collect_garbage: any, ready: app/a}\n- {at: 1s}\n"
                             "- {send: \"app/a:1 > app/b:80/tcp\"}\n"),
              ElementsAre("dir/x.yaml:4: a step does one thing",
                          "dir/x.yaml:5: a step that does nothing and checks nothing",
                          "dir/x.yaml:6: a packet without 'expect'"));
}

TEST(ScenarioLoader, EmbeddedManifestsKeepTheFilesLines) {
  EXPECT_THAT(refused(head +
                      "objects: |\n  apiVersion: v1\n  kind: Service\n  metadata: {name: s}\n"
                      "  spec: {ports: [{port: 70000}]}\n" +
                      one_step),
              Contains(HasSubstr("dir/x.yaml:7")));
}

TEST(ScenarioLoader, BrokenYamlIsAnErrorWithALine) {
  EXPECT_THAT(refused("name: x\nwhy: [\n"), ElementsAre(HasSubstr("dir/x.yaml:")));
  EXPECT_THAT(refused("- a\n"), Contains(HasSubstr("dir/x.yaml:1: a scenario has to be a map")));
}

TEST(ScenarioLoader, AFileThatIsNotThereIsNotFound) {
  const auto scenario = read_scenario("no/such.yaml");
  ASSERT_FALSE(scenario);
  EXPECT_EQ(scenario.error().front().kind, Error::Kind::not_found);
}

TEST(PacketLine, ReadsEndsProtocolsAndFlags) {
  const auto line = parse_packet_line("shop/web-0:40000 > shop/api/v6:80/tcp [SA]");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->source.object.name, "web-0");
  EXPECT_EQ(line->source.port, 40000);
  EXPECT_EQ(line->destination.family, Family::v6);
  EXPECT_EQ(line->destination.port, 80);
  EXPECT_EQ(line->tcp_flags, syn | ack);
  const auto world = parse_packet_line("world(2001:db8::1):5 > [fd00::2]:53/udp");
  ASSERT_TRUE(world);
  EXPECT_EQ(world->source.address.to_string(), "2001:db8::1");
  EXPECT_EQ(world->destination.address.to_string(), "fd00::2");
  EXPECT_EQ(world->protocol, 17);
  const auto error = parse_packet_line("node(n)/v6 > shop/web-0 icmp too-big 1400 about q");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->icmp_mtu, 1400U);
  EXPECT_EQ(error->about, "q");
}

TEST(PacketLine, RefusesWhatItDoesNotUnderstand) {
  for (const char* text :
       {"", "a/b", "a/b > c/d", "a/b > c/d:80", "a/b > c/d:80/gre", "a/b > c/d:99999/tcp",
        "a/b > c/d:80/udp [S]", "a/b > c/d:80/tcp [X]", "a/b > c/d:80/tcp S", "a/ > c/d:80/tcp",
        "a/b > c/d icmp", "a/b > c/d icmp echo", "a/b > c/d icmp echo x", "a/b:1 > c/d icmp echo 1",
        "a/b > c/d:80/tcp [S] more", "world(x) > c/d:80/tcp", "a/b > 10.0.0.300:80/tcp"})
    EXPECT_FALSE(parse_packet_line(text)) << text;
}

TEST(ExpectationLine, RefusesWhatItDoesNotUnderstand) {
  for (const char* text :
       {"", "arrived", "delivered pod", "delivered a/b of c", "delivered a/b from", "dropped",
        "dropped NO_SUCH_REASON", "dropped FRAGMENT in x", "dropped FRAGMENT at x/y", "answered",
        "answered no", "stack a b"})
    EXPECT_FALSE(parse_expectation(text)) << text;
  EXPECT_TRUE(parse_expectation("dropped FRAGMENT at n/from_container"));
}

TEST(Duration, IsASumOfTerms) {
  EXPECT_EQ(parse_duration("60s-1ns"), nanoseconds(59'999'999'999));
  EXPECT_EQ(parse_duration("1m + 500ms"), nanoseconds(60'500'000'000));
  for (const char* text : {"", "1", "s", "1x", "1s 2s", "1s-", "-1s"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

}  // namespace
}  // namespace waggle::simulator
