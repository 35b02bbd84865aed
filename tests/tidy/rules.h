#pragma once
// The rules of the tree that a program can check. Each takes the tree as a value, so that each can
// be shown to fail on a small wrong one.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace waggle::tidy {

/// Path below the root -> content. Text files only; nothing of build/ and .git/.
using Tree = std::map<std::string, std::string>;
[[nodiscard]] Tree read_tree(const std::filesystem::path& root);

/// "path:line: what is wrong".
using Findings = std::vector<std::string>;

struct Rule {
  std::string name;  ///< reads as a sentence in the test's name
  std::function<Findings(const Tree&)> check;
};
[[nodiscard]] const std::vector<Rule>& all_rules();

Findings lines_fit_in_100_columns(const Tree& tree);
Findings functions_fit_in_70_lines(const Tree& tree);
Findings bpf_has_no_conditional_compilation(const Tree& tree);
Findings only_env_reads_clock_and_chance(const Tree& tree);
Findings only_the_kernel_half_sees_libbpf(const Tree& tree);
Findings exceptions_end_at_the_rim(const Tree& tree);
Findings folders_include_only_what_they_need(const Tree& tree);
Findings every_drop_reason_is_tested(const Tree& tree);
Findings every_scenario_says_why(const Tree& tree);
Findings nothing_is_left_to_do(const Tree& tree);
Findings no_path_of_one_machine(const Tree& tree);
Findings every_source_is_built(const Tree& tree);
Findings every_header_is_included(const Tree& tree);
Findings bpf_files_name_their_licence(const Tree& tree);
Findings readme_names_every_verb(const Tree& tree);

}  // namespace waggle::tidy
