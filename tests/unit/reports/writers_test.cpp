// The writers say what was found, and whatever a string holds cannot break the file it is put into.

#include "waggle/reports/writers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

namespace waggle::reports {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* hostile =
    "<script>alert('x')</script> & \"quoted\" ]]> \x01\x1b[31m \xff\xfe é\xed\xa0\x80 {} {0}";

RunResult sample() {
  RunResult result;
  result.verb = "regress";
  result.command = "waggle regress scenarios";
  result.verdict = "1 of 2 scenarios failed";
  result.exit_code = 1;
  result.started = "2026-11-22T19:00:00Z";
  ScenarioResult passed{"scenarios/policy/a.yaml",
                        "a",
                        "because",
                        "test-run",
                        "passed",
                        "",
                        0.5,
                        {},
                        "waggle regress scenarios/policy/a.yaml"};
  passed.checks.push_back({"0s", "web > api:80/tcp [S]", "delivered", "delivered", true, {}});
  ScenarioResult failed = passed;
  failed.path = "scenarios/policy/b.yaml";
  failed.state = "failed";
  failed.checks.push_back({"1s",
                           "web > api:81/tcp [S]",
                           "dropped POLICY_DENIED",
                           "delivered",
                           false,
                           {"from_container on node-1: LOCAL", "to_container on node-1: DELIVER"}});
  result.scenarios = {passed, failed};
  result.obligations = {{"P1/shop/web/ingress", "P1", "shop/web", "proved", 0.1, "", ""},
                        {"P1/shop/api/ingress", "P1", "shop/api", "violated", 0.1,
                         "10.0.0.1:1 > 10.0.0.2:2 TCP", "DROP POLICY_DENIED"},
                        {"L2/shop/api", "L2", "shop/api:80", "undecided", 30, "", ""}};
  result.costs = {{"from_container", "pod to pod, new, IPv4", 40, 350, 4000, 6, 256}};
  return result;
}

RunResult hostile_everywhere() {
  auto result = sample();
  result.verb = result.command = result.verdict = result.version = result.kernel = hostile;
  result.started = hostile;
  result.facts[hostile] = hostile;
  for (auto& one : result.scenarios) {
    one.path = one.name = one.why = one.engine = one.message = one.repeat = hostile;
    for (auto& check : one.checks) {
      check.at = check.what = check.expected = check.got = hostile;
      check.detail = {hostile};
    }
  }
  result.scenarios[0].state = hostile;
  for (auto& one : result.obligations)
    one.id = one.property = one.subject = one.counterexample = one.replay = hostile;
  for (auto& one : result.costs) one.program = one.path = hostile;
  return result;
}

/// A small strict reader of what an XML document must be: tags nest, attributes are quoted and
/// unique enough, no bare < or &. The name of the first thing wrong, or nothing.
std::string malformation_of(const std::string& xml) {
  static const std::regex tag(
      R"re(<(/?)([A-Za-z]+)((?: [a-z]+="[^"<>]*")*)(/?)>|<\?xml [^<>]*\?>)re");
  static const std::regex entity("&(amp|lt|gt|quot|#39);");
  std::vector<std::string> open;
  std::size_t at = 0;
  const auto text_is_clean = [&](const std::string& text) {
    return std::regex_replace(text, entity, "").find_first_of("<>&") == std::string::npos;
  };
  for (std::sregex_iterator it(xml.begin(), xml.end(), tag), end; it != end; ++it) {
    const auto begin = static_cast<std::size_t>(it->position());
    if (!text_is_clean(xml.substr(at, begin - at))) return "bare markup before " + it->str();
    at = begin + static_cast<std::size_t>(it->length());
    if (it->str().starts_with("<?")) continue;
    if ((*it)[1].length() > 0) {
      if (open.empty() || open.back() != (*it)[2].str()) return "stray " + it->str();
      open.pop_back();
    } else if ((*it)[4].length() == 0) {
      open.push_back((*it)[2].str());
    }
  }
  return open.empty() && text_is_clean(xml.substr(at)) ? "" : "not closed";
}

TEST(Escape, ReplacesWhatXmlForbidsAndKeepsTheRest) {
  EXPECT_EQ(escape_markup("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(sanitize("é\t\n✓😀"), "é\t\n✓😀");
  EXPECT_EQ(sanitize(std::string("\0\x1f", 2)), "\uFFFD\uFFFD");
  EXPECT_EQ(sanitize("\xc0\xaf"), "\uFFFD\uFFFD") << "an overlong slash";
  EXPECT_EQ(sanitize("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
  EXPECT_EQ(sanitize("\xe2\x82"), "\uFFFD\uFFFD") << "cut short";
  EXPECT_EQ(sanitize("\xef\xbf\xbf"), "\uFFFD\uFFFD\uFFFD") << "a noncharacter";
  EXPECT_EQ(sanitize("\xf4\x90\x80\x80").size(), 12u) << "beyond U+10FFFF";
}

TEST(Json, HoldsTheKeysThatOutsideReadersRelyOn) {
  const auto json = nlohmann::json::parse(to_json(sample()));
  EXPECT_EQ(json["schema"], 1);
  for (const auto* key : {"path", "engine", "state", "seconds"})
    EXPECT_TRUE(json["scenarios"][0].contains(key)) << key;
  for (const auto* key : {"program", "path", "floor_ns", "ns", "instructions", "map_ops"})
    EXPECT_TRUE(json["costs"][0].contains(key)) << key;
  for (const auto* key : {"id", "property", "subject", "state", "seconds"})
    EXPECT_TRUE(json["obligations"][0].contains(key)) << key;
  EXPECT_EQ(json["obligations"][1]["state"], "violated");
  EXPECT_EQ(json["scenarios"][1]["checks"][1]["got"], "delivered");
}

TEST(Json, HostileStringsStayStrings) {
  const auto json = nlohmann::json::parse(to_json(hostile_everywhere()));
  EXPECT_THAT(json["verdict"].get<std::string>(), HasSubstr("<script>alert('x')</script>"));
}

TEST(Junit, CountsFailuresErrorsAndSkips) {
  auto result = sample();
  result.scenarios[0].state = "skipped";
  result.scenarios[0].message = "no CAP_BPF";
  const auto xml = to_junit(result);
  EXPECT_THAT(xml,
              HasSubstr(R"(<testsuites name="waggle regress" tests="5" failures="2" errors="1")"
                        R"( skipped="1")"));
  EXPECT_THAT(xml, HasSubstr(R"(<skipped message="no CAP_BPF"/>)"));
  EXPECT_THAT(xml, HasSubstr("expected dropped POLICY_DENIED\n  got      delivered"));
  EXPECT_THAT(xml, HasSubstr(R"(<error message="undecided: shop/api:80">)"));
  EXPECT_EQ(malformation_of(xml), "");
}

TEST(Junit, HostileStringsLeaveItWellFormed) {
  const auto xml = to_junit(hostile_everywhere());
  EXPECT_EQ(malformation_of(xml), "");
  EXPECT_THAT(xml, Not(HasSubstr("\x1b")));
}

TEST(Junit, TheCheckOfTheseTestsFindsMalformedXml) {
  EXPECT_NE(malformation_of("<a><b></a></b>"), "");
  EXPECT_NE(malformation_of("<a b=\"<\"/>"), "");
  EXPECT_NE(malformation_of("<a>1 & 2</a>"), "");
  EXPECT_NE(malformation_of("<a>"), "");
  EXPECT_EQ(malformation_of("<a b=\"&lt;\">1 &amp; 2<c/></a>"), "");
}

TEST(Html, ShowsVerdictChecksHopsProofsCostsAndHowToRepeat) {
  const auto html = to_html(sample());
  for (const auto* text :
       {"1 of 2 scenarios failed", "because", "web &gt; api:81/tcp [S]", "dropped POLICY_DENIED",
        "to_container on node-1: DELIVER", "waggle regress scenarios/policy/a.yaml",
        "10.0.0.1:1 &gt; 10.0.0.2:2 TCP", "pod to pod, new, IPv4", "undecided", "verdict bad",
        "prefers-color-scheme: dark"})
    EXPECT_THAT(html, HasSubstr(text));
}

TEST(Html, NeedsNoOtherFileAndNoNetwork) {
  const auto html = to_html(sample());
  for (const auto* text : {"http://", "https://", "src=", "@import", "url("})
    EXPECT_THAT(html, Not(HasSubstr(text)));
}

TEST(Html, HostileStringsCannotBecomeMarkup) {
  const auto html = to_html(hostile_everywhere());
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("\" onload")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("\x1b")));
}

TEST(Html, AnEmptyRunIsStillAPage) {
  const auto html = to_html(RunResult{});
  EXPECT_THAT(html, HasSubstr("<main"));
  EXPECT_THAT(html, Not(HasSubstr("id=\"find\"")));
}

}  // namespace
}  // namespace waggle::reports
