#include "rules.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string_view>

#include "text.h"

namespace waggle::tidy {

namespace {

using std::string;
using std::string_view;

string at_line(const string& path, std::size_t line, const string& what) {
  return path + ":" + std::to_string(line) + ": " + what;
}

bool is_cpp(string_view path) { return has_suffix(path, ".cpp") || has_suffix(path, ".h"); }
bool is_code(string_view path) { return is_cpp(path) || has_suffix(path, ".c"); }
bool is_bpf(string_view path) { return in_folder(path, "datapath/bpf"); }
bool is_product(string_view path) { return is_code(path) && !in_folder(path, "tests"); }

/// Columns as an editor shows them: a tab goes to the next multiple of 8, UTF-8 counts characters.
std::size_t columns(string_view line) {
  std::size_t column = 0;
  for (const char c : line) {
    if (c == '\t')
      column += 8 - column % 8;
    else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80)
      ++column;
  }
  return column;
}

/// Every line of the code of files that `applies` to and that holds one of `words`.
template <class Applies, class Words>
Findings find_words(const Tree& tree, const Applies& applies, const Words& words,
                    const string& what) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!applies(path)) continue;
    const auto code = code_only(text);
    std::size_t number = 0;
    for (const auto line : lines_of(code)) {
      ++number;
      for (const string_view word : words)
        if (has_word(line, word)) findings.push_back(at_line(path, number, string(word) + what));
    }
  }
  return findings;
}

/// "include" lines of a file: line number -> what is included.
std::vector<std::pair<std::size_t, string>> includes_of(const string& text) {
  static const std::regex include(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])");
  std::vector<std::pair<std::size_t, string>> includes;
  std::size_t number = 0;
  for (const auto line : lines_of(text)) {
    ++number;
    std::match_results<string_view::const_iterator> match;
    if (std::regex_search(line.begin(), line.end(), match, include))
      includes.emplace_back(number, match[1].str());
  }
  return includes;
}

bool is_built_source(string_view path) {
  return has_suffix(path, ".cpp") || has_suffix(path, ".bpf.c");
}

/// The nearest CMakeLists.txt at or above the file, empty when there is none.
string build_file_of(const Tree& tree, const string& path) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  while (true) {
    const auto found = tree.find((folder / "CMakeLists.txt").generic_string());
    if (found != tree.end()) return found->first;
    if (folder.empty()) return {};
    folder = folder.parent_path();
  }
}

}  // namespace

Tree read_tree(const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  static const std::set<string> passed_over = {".git", "build", ".cache", "node_modules"};
  static const std::set<string> text_suffixes = {".cpp",  ".h",   ".c",    ".txt", ".cmake", ".md",
                                                 ".yaml", ".yml", ".json", ".sh",  ".csv",   ""};
  Tree tree;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator();
       ++it) {
    if (it->is_directory()) {
      if (passed_over.contains(it->path().filename().string())) it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file() || !text_suffixes.contains(it->path().extension().string()))
      continue;
    std::ostringstream text;
    text << std::ifstream(it->path()).rdbuf();
    tree[fs::relative(it->path(), root).generic_string()] = text.str();
  }
  return tree;
}

Findings lines_fit_in_100_columns(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!is_code(path) && !has_suffix(path, "CMakeLists.txt") && path != "dev") continue;
    std::size_t number = 0;
    for (const auto line : lines_of(text)) {
      ++number;
      const auto first = line.find_first_not_of(" \t");
      const bool row = first != string_view::npos && line.substr(first, 2) == "X(";
      if (!row && columns(line) > 100)
        findings.push_back(at_line(path, number, std::to_string(columns(line)) + " columns"));
    }
  }
  return findings;
}

Findings functions_fit_in_70_lines(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!is_code(path)) continue;
    for (const auto& function : functions_of(text))
      if (function.lines > 70)
        findings.push_back(at_line(path, static_cast<std::size_t>(function.first_line),
                                   std::to_string(function.lines) + " lines"));
  }
  return findings;
}

Findings bpf_has_no_conditional_compilation(const Tree& tree) {
  static const std::regex condition(R"(^\s*#\s*(if|ifdef|elif|else)\b)");
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!is_bpf(path) || !is_code(path)) continue;
    std::size_t number = 0;
    for (const auto line : lines_of(text)) {
      ++number;
      if (std::regex_search(line.begin(), line.end(), condition))
        findings.push_back(at_line(path, number, "a feature is a knob in abi/config.h"));
    }
  }
  return findings;
}

Findings only_env_reads_clock_and_chance(const Tree& tree) {
  static constexpr std::array bpf_words = {"bpf_ktime_get_ns",        "bpf_ktime_get_boot_ns",
                                           "bpf_ktime_get_coarse_ns", "bpf_ktime_get_tai_ns",
                                           "bpf_jiffies64",           "bpf_get_prandom_u32"};
  static constexpr std::array cpp_words = {"system_clock",  "steady_clock", "high_resolution_clock",
                                           "random_device", "rand",         "srand",
                                           "mt19937",       "mt19937_64",   "getrandom",
                                           "clock_gettime", "gettimeofday"};
  // Real time is these places' business: they deal with the machine or report to people.
  static constexpr std::array real_time = {"cli/",
                                           "datapath/agent/kernel/",
                                           "simulator/src/lab",
                                           "simulator/src/live",
                                           "simulator/src/cost.cpp",
                                           "verifier/src/judge.cpp"};
  auto findings = find_words(
      tree, [](const string& path) { return is_bpf(path) && path != "datapath/bpf/lib/env.h"; },
      bpf_words, ": only lib/env.h reads a clock or chance");
  const auto more = find_words(
      tree,
      [](const string& path) {
        return is_product(path) && !is_bpf(path) &&
               std::ranges::none_of(real_time, [&](const char* prefix) {
                 return string_view(path).starts_with(prefix);
               });
      },
      cpp_words, ": results may depend on the seed only");
  findings.insert(findings.end(), more.begin(), more.end());
  return findings;
}

Findings only_the_kernel_half_sees_libbpf(const Tree& tree) {
  static const std::set<string> libbpf = {"bpf/libbpf.h", "bpf/bpf.h", "bpf/btf.h"};
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!is_product(path) || in_folder(path, "datapath/agent/kernel")) continue;
    for (const auto& [line, file] : includes_of(text))
      if (libbpf.contains(file) || has_suffix(file, ".skel.h"))
        findings.push_back(at_line(path, line, file + " belongs behind waggle/kernel/"));
  }
  return findings;
}

Findings exceptions_end_at_the_rim(const Tree& tree) {
  // One file a foreign library that throws.
  static const std::set<string> rim = {
      "kube/src/yaml.cpp",      "kube/src/watch.cpp",    "simulator/src/scenario_yaml.cpp",
      "verifier/src/judge.cpp", "verifier/src/dump.cpp", "cli/main.cpp"};
  static constexpr std::array words = {"catch", "throw"};
  return find_words(
      tree, [](const string& path) { return is_product(path) && !rim.contains(path); }, words,
      ": errors are Results outside the rim files");
}

Findings folders_include_only_what_they_need(const Tree& tree) {
  struct Arrow {
    string folder;
    std::set<string> needs;
  };
  // The first that matches; DESIGN: "arrows".
  static const std::vector<Arrow> arrows = {
      {"kube/", {"kube"}},
      {"datapath/abi/", {"abi"}},
      {"datapath/bpf/", {"abi"}},
      {"datapath/agent/kernel/", {"kernel", "agent", "kube", "abi"}},
      {"datapath/agent/", {"agent", "kube", "abi"}},
      {"simulator/", {"simulator", "kernel", "agent", "kube", "abi"}},
      {"verifier/", {"verifier", "agent", "kube", "abi"}},
      {"reports/", {"reports"}},
  };
  Findings findings;
  for (const auto& [path, text] : tree) {
    const auto arrow = std::ranges::find_if(
        arrows, [&, &path = path](const Arrow& a) { return in_folder(path, a.folder); });
    if (!is_code(path) || arrow == arrows.end()) continue;
    for (const auto& [line, file] : includes_of(text)) {
      if (!file.starts_with("waggle/")) continue;
      const auto needed = file.substr(7, file.find('/', 7) - 7);
      if (!arrow->needs.contains(needed))
        findings.push_back(at_line(path, line, arrow->folder + " must not need " + file));
    }
  }
  return findings;
}

Findings every_drop_reason_is_tested(const Tree& tree) {
  static const std::regex row(R"(^\s*X\((\w+), (\d+),)");
  const string table = "datapath/abi/include/waggle/abi/drop_reasons.h";
  Findings findings;
  const auto found = tree.find(table);
  if (found == tree.end()) return {table + ": is missing"};
  std::size_t number = 0;
  for (const auto line : lines_of(found->second)) {
    ++number;
    std::match_results<string_view::const_iterator> match;
    if (!std::regex_search(line.begin(), line.end(), match, row)) continue;
    const string name = match[1].str();
    const bool tested = std::ranges::any_of(tree, [&](const auto& file) {
      const bool test = in_folder(file.first, "tests") && !in_folder(file.first, "tests/tidy");
      return (test || in_folder(file.first, "scenarios")) &&
             (has_word(file.second, name) || has_word(file.second, "DP_DROP_" + name));
    });
    if (!tested) findings.push_back(at_line(table, number, name + " is hit by no test"));
  }
  return findings;
}

Findings every_scenario_says_why(const Tree& tree) {
  static const std::regex why(R"((^|\n)why:\s*\S)");
  Findings findings;
  for (const auto& [path, text] : tree)
    if (in_folder(path, "scenarios") && !in_folder(path, "scenarios/clusters") &&
        !in_folder(path, "scenarios/truth") && has_suffix(path, ".yaml") &&
        !std::regex_search(text, why))
      findings.push_back(at_line(path, 1, "says not why it is there (why: ...)"));
  return findings;
}

Findings nothing_is_left_to_do(const Tree& tree) {
  // In halves, so that this file passes its own rule.
  static const std::array words = {string("TO") + "DO", string("FIX") + "ME", string("XX") + "X",
                                   string("HA") + "CK"};
  Findings findings;
  for (const auto& [path, text] : tree) {
    std::size_t number = 0;
    for (const auto line : lines_of(text)) {
      ++number;
      for (const auto& word : words)
        if (has_word(line, word)) findings.push_back(at_line(path, number, word));
    }
  }
  return findings;
}

Findings no_path_of_one_machine(const Tree& tree) {
  static const std::regex home("(^|[\\s\"'=(`])/(home|root|Users|work)/\\w");
  Findings findings;
  for (const auto& [path, text] : tree) {
    std::size_t number = 0;
    for (const auto line : lines_of(text)) {
      ++number;
      if (std::regex_search(line.begin(), line.end(), home))
        findings.push_back(at_line(path, number, "a path that exists on one machine only"));
    }
  }
  return findings;
}

Findings every_source_is_built(const Tree& tree) {
  Findings findings;
  for (const auto& entry : tree) {
    const auto& path = entry.first;
    if (!is_built_source(path)) continue;
    const auto build_file = build_file_of(tree, path);
    const auto name = std::filesystem::path(path).filename().string();
    const auto stem = name.substr(0, name.find('.'));
    if (build_file.empty() || (!has_word(tree.at(build_file), stem)))
      findings.push_back(at_line(path, 1, "no target builds it"));
  }
  return findings;
}

Findings every_header_is_included(const Tree& tree) {
  std::set<string> included;
  for (const auto& [path, text] : tree)
    if (is_code(path))
      for (const auto& [line, file] : includes_of(text))
        included.insert(std::filesystem::path(file).filename().string());
  Findings findings;
  for (const auto& [path, text] : tree)
    if (has_suffix(path, ".h") && !included.contains(std::filesystem::path(path).filename()))
      findings.push_back(at_line(path, 1, "no file includes it"));
  return findings;
}

Findings bpf_files_name_their_licence(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree)
    if ((is_bpf(path) || in_folder(path, "datapath/abi")) && is_code(path) &&
        !string_view(text).starts_with(
            "/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */\n"))
      findings.push_back(at_line(path, 1, "the first line names the licence"));
  return findings;
}

Findings readme_names_every_verb(const Tree& tree) {
  static const std::regex verb(R"re(add_subcommand\("(\w+)")re");
  const auto readme = tree.find("README.md");
  if (readme == tree.end()) return {"README.md: is missing"};
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!in_folder(path, "cli")) continue;
    for (std::sregex_iterator it(text.begin(), text.end(), verb), end; it != end; ++it)
      if (!has_word(readme->second, (*it)[1].str()))
        findings.push_back(path + ": README.md does not name the verb " + (*it)[1].str());
  }
  return findings;
}

const std::vector<Rule>& all_rules() {
  static const std::vector<Rule> rules = {
      {"LinesFitIn100Columns", lines_fit_in_100_columns},
      {"FunctionsFitIn70Lines", functions_fit_in_70_lines},
      {"BpfHasNoConditionalCompilation", bpf_has_no_conditional_compilation},
      {"OnlyEnvReadsClockAndChance", only_env_reads_clock_and_chance},
      {"OnlyTheKernelHalfSeesLibbpf", only_the_kernel_half_sees_libbpf},
      {"ExceptionsEndAtTheRim", exceptions_end_at_the_rim},
      {"FoldersIncludeOnlyWhatTheyNeed", folders_include_only_what_they_need},
      {"EveryDropReasonIsTested", every_drop_reason_is_tested},
      {"EveryScenarioSaysWhy", every_scenario_says_why},
      {"NothingIsLeftToDo", nothing_is_left_to_do},
      {"NoPathOfOneMachine", no_path_of_one_machine},
      {"EverySourceIsBuilt", every_source_is_built},
      {"EveryHeaderIsIncluded", every_header_is_included},
      {"BpfFilesNameTheirLicence", bpf_files_name_their_licence},
      {"ReadmeNamesEveryVerb", readme_names_every_verb},
  };
  return rules;
}

}  // namespace waggle::tidy
