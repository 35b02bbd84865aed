#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "page.h"
#include "waggle/reports/writers.h"

namespace waggle::reports {

namespace {

std::string e(std::string_view text) { return escape_markup(text); }

/// Every state as a class and with a sign, so that colour is never the only difference.
struct Look {
  std::string_view css, sign;
};
Look look_of(std::string_view state) {
  if (state == "passed" || state == "proved") return {"good", "✓"};
  if (state == "failed" || state == "violated") return {"bad", "✗"};
  return {"odd", state == "skipped" ? "–" : "!"};
}

std::string state_mark(std::string_view state) {
  const auto look = look_of(state);
  return fmt::format(R"(<span class="state {}">{} {}</span>)", look.css, look.sign, e(state));
}

std::string seconds_text(double seconds) {
  return seconds < 1 ? fmt::format("{:.0f} ms", seconds * 1000) : fmt::format("{:.1f} s", seconds);
}

std::string detail_list(const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string text = "<ol class=\"hops mono\">";
  for (const auto& line : lines) text += "<li>" + e(line) + "</li>";
  return text + "</ol>";
}

std::string check_rows(const ScenarioResult::Check& check) {
  auto text = fmt::format(
      "<tr{}><td>{}</td><td class=\"mono\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
      check.ok ? (check.detail.empty() ? "" : " class=\"more\"") : " class=\"bad more\"",
      e(check.at), e(check.what), e(check.expected), e(check.got),
      state_mark(check.ok ? "passed" : "failed"));
  if (!check.detail.empty())
    text += fmt::format(
        "<tr><td></td><td colspan=\"4\"><details{}><summary>hop by hop</summary>{}</details></td>"
        "</tr>\n",
        check.ok ? "" : " open", detail_list(check.detail));
  return text;
}

std::string checks_table(const ScenarioResult& scenario) {
  if (scenario.checks.empty()) return {};
  std::string text =
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">at</th><th scope=\"col\">what</th>"
      "<th scope=\"col\">expected</th><th scope=\"col\">got</th><th scope=\"col\">result</th></tr>"
      "</thead><tbody>\n";
  for (const auto& check : scenario.checks) text += check_rows(check);
  return text + "</tbody></table></div>\n";
}

std::string repeat_text(const std::string& command) {
  if (command.empty()) return {};
  return "<p class=\"quiet\">Repeat it:</p><pre>" + e(command) + "</pre>\n";
}

std::string scenario_item(const ScenarioResult& scenario) {
  const auto passed = std::ranges::count(scenario.checks, true, &ScenarioResult::Check::ok);
  auto text = fmt::format(
      "<details class=\"item\" data-state=\"{}\"{}><summary>{}<span class=\"grow\">{} "
      "<span class=\"quiet\">{}</span></span><span class=\"quiet\">{}/{} checks · {}</span>"
      "</summary><div>\n",
      e(scenario.state), scenario.state == "failed" || scenario.state == "error" ? " open" : "",
      state_mark(scenario.state), e(scenario.name.empty() ? scenario.path : scenario.name),
      e(scenario.engine), passed, scenario.checks.size(), seconds_text(scenario.seconds));
  if (!scenario.why.empty()) text += "<p>" + e(scenario.why) + "</p>\n";
  if (!scenario.message.empty()) text += "<pre>" + e(scenario.message) + "</pre>\n";
  text += checks_table(scenario);
  text += "<p class=\"quiet\">From <code>" + e(scenario.path) + "</code></p>\n";
  return text + repeat_text(scenario.repeat) + "</div></details>\n";
}

std::string obligation_item(const ObligationResult& obligation) {
  auto text = fmt::format(
      "<details class=\"item\" data-state=\"{}\"{}><summary>{}<span class=\"grow\">{}</span>"
      "<span class=\"quiet\">{}</span></summary><div>\n",
      e(obligation.state), obligation.state == "violated" ? " open" : "",
      state_mark(obligation.state), e(obligation.subject), seconds_text(obligation.seconds));
  text += "<p class=\"quiet\">Obligation <code>" + e(obligation.id) + "</code></p>\n";
  if (!obligation.counterexample.empty())
    text += "<p>Counterexample</p><pre>" + e(obligation.counterexample) + "</pre>\n";
  if (!obligation.replay.empty())
    text += "<p>What the real object did with it</p><pre>" + e(obligation.replay) + "</pre>\n";
  return text + "</div></details>\n";
}

/// Items under a heading each, in the order of their groups' names.
std::string grouped(const std::map<std::string, std::string>& groups) {
  std::string text;
  for (const auto& [name, items] : groups)
    text += "<section class=\"group\"><h3>" + e(name) + "</h3>\n" + items + "</section>\n";
  return text;
}

std::string scenarios_section(const RunResult& result) {
  if (result.scenarios.empty()) return {};
  std::map<std::string, std::string> groups;
  for (const auto& scenario : result.scenarios) {
    const auto slash = scenario.path.rfind('/');
    groups[slash == std::string::npos ? "." : scenario.path.substr(0, slash)] +=
        scenario_item(scenario);
  }
  return "<h2 id=\"scenarios\">Scenarios</h2>\n" + grouped(groups);
}

std::string obligations_section(const RunResult& result) {
  if (result.obligations.empty()) return {};
  std::map<std::string, std::string> groups;
  for (const auto& one : result.obligations) groups[one.property] += obligation_item(one);
  return "<h2 id=\"obligations\">Proofs</h2>\n" + grouped(groups);
}

std::string cost_row(const CostResult& cost, double most) {
  return fmt::format(
      "<tr><td class=\"mono\">{}</td><td>{}</td><td class=\"number\">{:.0f}</td><td class=\"bar\">"
      "<span style=\"width:{:.1f}%\"></span></td><td class=\"number\">{:.0f}</td>"
      "<td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>\n",
      e(cost.program), e(cost.path), cost.ns, most > 0 ? std::max(0.0, cost.ns) / most * 100 : 0.0,
      cost.floor_ns, cost.instructions, cost.stack_bytes, cost.map_ops);
}

std::string costs_section(const RunResult& result) {
  if (result.costs.empty()) return {};
  double most = 0;
  for (const auto& cost : result.costs) most = std::max(most, cost.ns);
  std::string text =
      "<h2 id=\"costs\">Costs</h2>\n<div class=\"scroll\"><table><caption>Nanoseconds a packet, "
      "above "
      "the empty program measured in the same run; instructions and stack as the kernel's verifier "
      "counts them.</caption><thead><tr><th scope=\"col\">program</th><th scope=\"col\">path</th>"
      "<th scope=\"col\" class=\"number\">ns</th><th scope=\"col\"></th>"
      "<th scope=\"col\" class=\"number\">floor ns</th>"
      "<th scope=\"col\" class=\"number\">instructions</th>"
      "<th scope=\"col\" class=\"number\">stack bytes</th>"
      "<th scope=\"col\" class=\"number\">map operations</th></tr></thead><tbody>\n";
  for (const auto& cost : result.costs) text += cost_row(cost, most);
  return text + "</tbody></table></div>\n";
}

struct Tally {
  std::size_t all = 0, good = 0, bad = 0;
  void add(std::string_view state) {
    ++all;
    good += look_of(state).css == "good";
    bad += look_of(state).css == "bad";
  }
};

std::string tile(const Tally& tally, std::string_view good, std::string_view all) {
  if (tally.all == 0) return {};
  const auto other = tally.all - tally.good - tally.bad;
  auto text = fmt::format("<li><strong>{} / {}</strong>{} {}", tally.good, tally.all, all, good);
  if (tally.bad > 0) text += fmt::format(", <span class=\"state bad\">✗ {} not</span>", tally.bad);
  if (other > 0) text += fmt::format(", <span class=\"state odd\">! {} open</span>", other);
  return text + "</li>\n";
}

std::string summary_section(const RunResult& result) {
  Tally scenarios, checks, obligations;
  for (const auto& one : result.scenarios) {
    scenarios.add(one.state);
    for (const auto& check : one.checks) checks.add(check.ok ? "passed" : "failed");
  }
  for (const auto& one : result.obligations) obligations.add(one.state);
  return fmt::format("<ul class=\"tiles\">\n{}{}{}<li><strong>{}</strong>wall time</li>\n</ul>\n",
                     tile(scenarios, "passed", "scenarios"), tile(checks, "held", "checks"),
                     tile(obligations, "proved", "obligations"), seconds_text(result.wall_seconds));
}

std::string fact(std::string_view name, const std::string& value) {
  if (value.empty()) return {};
  return fmt::format("<dt>{}</dt><dd>{}</dd>\n", e(name), e(value));
}

std::string facts_section(const RunResult& result) {
  auto text =
      "<h2 id=\"asked\">What was asked</h2>\n<dl class=\"facts\">\n<dt>command</dt><dd><code>" +
      e(result.command) + "</code></dd>\n";
  text += fact("started", result.started) + fact("waggle", result.version) +
          fact("kernel", result.kernel) +
          fact("seed", result.seed == 0 ? "" : std::to_string(result.seed)) +
          fact("exit code", std::to_string(result.exit_code));
  for (const auto& [name, value] : result.facts) text += fact(name, value);
  return text + "</dl>\n";
}

std::string tools(const RunResult& result) {
  if (result.scenarios.size() + result.obligations.size() < 2) return {};
  std::map<std::string, bool> states;
  for (const auto& one : result.scenarios) states[one.state] = true;
  for (const auto& one : result.obligations) states[one.state] = true;
  std::string text =
      "<div class=\"tools\" role=\"search\"><input id=\"find\" type=\"search\" "
      "aria-label=\"Filter by words\" placeholder=\"Filter: POLICY_DENIED shop/cart …\">"
      "<select id=\"state\" aria-label=\"Filter by state\"><option value=\"\">every state</option>";
  for (const auto& state : states)
    text += fmt::format("<option value=\"{0}\">{0}</option>", e(state.first));
  return text +
         "</select><button id=\"open\" type=\"button\">Open or close all</button>"
         "<span id=\"shown\" class=\"quiet\" role=\"status\"></span></div>\n";
}

}  // namespace

std::string to_html(const RunResult& result) {
  const auto* const mood = result.exit_code == 0 ? "good" : (result.exit_code == 1 ? "bad" : "odd");
  const auto title = "waggle " + result.verb;
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>{0}: "
      "{1}</title>\n<style>\n{2}</style>\n</head>\n"
      "<body>\n<a class=\"skip\" href=\"#content\">Skip to the results</a>\n"
      "<header class=\"top\"><h1>{0}</h1><div class=\"verdict {3}\" "
      "role=\"status\">{1}</div></header>\n"
      "<main id=\"content\">\n{4}{5}{6}{7}{8}{9}"
      "<h2 id=\"repeat\">How to repeat it</h2>\n<pre>{10}</pre>\n</main>\n"
      "<footer>Made by waggle {11}. One file, no network.</footer>\n<script>\n{12}</script>\n"
      "</body>\n</html>\n",
      e(title), e(result.verdict), page_css, mood, summary_section(result), facts_section(result),
      tools(result), scenarios_section(result), obligations_section(result), costs_section(result),
      e(result.command), e(result.version), page_js);
}

}  // namespace waggle::reports
