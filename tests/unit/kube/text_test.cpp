// YAML and JSON as such: lines, scalars, anchors, several documents.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "describe.h"

namespace waggle::kube {
namespace {

std::string label(std::string_view written) {
  return refusal_of(
      fmt::format("{{apiVersion: v1, kind: Pod, metadata: {{name: p, labels: {{a: "
                  "{}}}}}}}",
                  written));
}

TEST(YamlScalars, PlainWordsThatYaml11TakesForOtherTypesAreNoStrings) {
  for (const auto* word : {"yes",   "No",  "ON",  "off",  "y",     "N",    "true",
                           "FALSE", "1",   "-1",  "0x1f", "0b11",  "0o17", "017",
                           "1_000", "1.5", "1e3", ".5",   "-.inf", ".NaN", "18446744073709551616"})
    EXPECT_NE(label(word), "") << word;
}

TEST(YamlScalars, PlainWordsThatAreLikeThemStayStrings) {
  for (const auto* word : {"yess", "yEs", "truth", "1.2.3", "v1", "0x", "0xg", "2026-11-22", "1e",
                           "a_1", "1a", "e3", "nan"})
    EXPECT_EQ(label(word), "") << word;
  for (const auto* word : {"\"true\"", "'1'", "!!str 1", "! 1", "null", "~"})
    EXPECT_EQ(label(word), "") << word;
}

TEST(YamlScalars, IntegersOfEachBaseAreRead) {
  const auto port = [](std::string_view written) {
    const auto cluster =
        cluster_of(fmt::format("{{apiVersion: v1, kind: Service, metadata: {{name: s}}, "
                               "spec: {{ports: [{{port: {}}}]}}}}",
                               written));
    return cluster.services.at({"default", "s"}).ports.at(0).port;
  };
  EXPECT_EQ(port("80"), 80);
  EXPECT_EQ(port("+80"), 80);
  EXPECT_EQ(port("0x50"), 80);
  EXPECT_EQ(port("0120"), 80);
  EXPECT_EQ(port("0b101_0000"), 80);
}

TEST(YamlDocuments, SeparatorsCommentsAndEmptyDocumentsAreSkipped) {
  const auto cluster = cluster_of(
      "# nothing\n---\n---\n\n--- # one\n"
      "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
      "...\n# between\n"
      "{apiVersion: v1, kind: Namespace, metadata: {name: b}}\n"
      "---\r\napiVersion: v1\r\nkind: Namespace\r\nmetadata:\r\n  name: c\r\n---");
  EXPECT_EQ(cluster.namespaces.size(), 3U);
}

TEST(YamlDocuments, ADashedLineInABlockScalarIsNotASeparator) {
  const auto cluster = cluster_of(
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
      "  b: |\n    x\n    ---\n    y\n  c: d\n---\n"
      "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n");
  EXPECT_EQ(cluster.namespaces.size(), 1U);
}

TEST(YamlDocuments, WhatFollowsADocumentWithoutASeparatorIsRefusedAndDoesNotHang) {
  EXPECT_EQ(refusal_of("{a: b}\n, {c: d}\n"),
            "test.yaml:1: kind: is missing\n"
            "test.yaml:1: apiVersion: is missing\n"
            "test.yaml:2: broken YAML: the document has ended before this\n");
  for (const auto* text : {"{}]", "{},", "a: b\n}", "[]]]]", "{a: b} {c: d}"})
    EXPECT_NE(refusal_of(text), "") << text;
}

TEST(YamlAnchors, AliasesAndMergesAreResolved) {
  const auto cluster = cluster_of(R"(apiVersion: v1
kind: Pod
metadata:
  name: a
  labels: &labels {app: web, tier: front}
---
apiVersion: v1
kind: List
items:
- &pod
  apiVersion: v1
  kind: Pod
  metadata: &meta
    name: b
    labels: &more {app: api, tier: back}
- <<: *pod
  metadata:
    <<: *meta
    name: c
    labels: {<<: *more, tier: middle}
)");
  EXPECT_EQ(cluster.pods.at({"default", "c"}).meta.labels,
            (Labels{{"app", "api"}, {"tier", "middle"}}));
  EXPECT_EQ(cluster.pods.size(), 3U);
}

TEST(JsonText, ErrorsHaveTheLineOfTheToken) {
  EXPECT_EQ(refusal_of("{\"apiVersion\": \"v1\", \"kind\": \"Service\",\n"
                       " \"metadata\": {\"name\": \"s\"},\n"
                       " \"spec\": {\"ports\": [{\"port\":\n"
                       "   70000\n"
                       " }, {\"port\": 1,\n"
                       "   \"protocol\": 6}]}}\n"),
            "test.yaml:3: spec.ports[0].port: 70000 is outside 1 to 65535\n"
            "test.yaml:3: spec.ports[0].name: is missing, but the service has several ports\n"
            "test.yaml:5: spec.ports[1].name: is missing, but the service has several ports\n"
            "test.yaml:6: spec.ports[1].protocol: is an integer, not a string (quote it)\n");
}

TEST(JsonText, BrokenTextIsRefusedAsJson) {
  EXPECT_EQ(
      refusal_of("{\"apiVersion\": \"v1\",\n \"kind\": \"Pod\n}\n"),
      "test.yaml:2: broken JSON: syntax error while parsing value - invalid string: control "
      "character U+000A (LF) must be escaped to \\u000A or \\n; last read: '\"Pod<U+000A>'\n");
  EXPECT_NE(refusal_of("{\"a\": 1, \"b\": [}"), "");
  EXPECT_NE(refusal_of("{\"a\": \"\xff\"}{"), "");
}

TEST(JsonText, ValuesMayFollowEachOther) {
  const std::string pod = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")";
  EXPECT_EQ(cluster_of(pod + "a\"}}" + pod + "b\"}}\n\n" + pod + "c\"}}\n").pods.size(), 3U);
}

TEST(JsonText, YamlFlowStyleIsReadAsYaml) {
  EXPECT_EQ(cluster_of("{apiVersion: v1, kind: Pod, metadata: {name: a}}").pods.size(), 1U);
}

TEST(OddText, IsReadOrRefusedWithoutAnError) {
  for (const auto* text : {"", "\n", "---", "...", "# x", "\xef\xbb\xbf", "%YAML 1.1\n---\n", "~"})
    EXPECT_EQ(refusal_of(text), "") << text;
  for (const auto* text : {"\xff\xfe", "*a", "&a", "- - - -", "? ?", "!", "{", "[", "\"", "'", "|",
                           "a: b: c", "\t", "@", "`", "%"})
    static_cast<void>(refusal_of(text));
  for (const auto* open : {"[", "{a: ", "- ", "? "}) {
    std::string deep;
    for (int i = 0; i < 5000; ++i) deep += open;
    EXPECT_NE(refusal_of(deep), "") << open;
  }
}

}  // namespace
}  // namespace waggle::kube
