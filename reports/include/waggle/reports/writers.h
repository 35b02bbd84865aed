#pragma once
// Results as texts. Pure: equal results give equal bytes. Any string may hold anything: each writer
// escapes for its own language, and bytes that are not UTF-8 or not allowed in XML become U+FFFD.

#include <string>
#include <string_view>

#include "waggle/reports/results.h"

namespace waggle::reports {

/// Two spaces an indent, keys in a fixed order. Keys that outside readers rely on: schema,
/// scenarios[]{path engine state seconds}, costs[]{program path floor_ns ns instructions map_ops},
/// obligations[]{id property subject state seconds}. `schema` grows when one of them changes.
[[nodiscard]] std::string to_json(const RunResult& result);

/// JUnit: a suite a scenario folder and engine, a case a scenario; obligations are a suite a
/// property. "undecided" is an error, never a success.
[[nodiscard]] std::string to_junit(const RunResult& result);

/// One page that needs no other file and no network, readable without scripts, by keyboard, in
/// light and dark.
[[nodiscard]] std::string to_html(const RunResult& result);

/// Valid UTF-8 made of characters that XML 1.0 allows; everything else becomes U+FFFD.
[[nodiscard]] std::string sanitize(std::string_view text);
/// sanitize, and & < > " ' as entities: for text and quoted attributes of HTML and XML.
[[nodiscard]] std::string escape_markup(std::string_view text);

}  // namespace waggle::reports
