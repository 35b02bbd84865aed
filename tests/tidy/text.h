#pragma once
// Looking at source text: lines, words, and code without its comments and strings.

#include <string>
#include <string_view>
#include <vector>

namespace waggle::tidy {

[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);
/// Comments, string and character literals become blanks; every line keeps its place.
[[nodiscard]] std::string code_only(std::string_view text);
/// `word` with no identifier character on either side.
[[nodiscard]] bool has_word(std::string_view text, std::string_view word);
[[nodiscard]] bool in_folder(std::string_view path, std::string_view folder);
[[nodiscard]] bool has_suffix(std::string_view path, std::string_view suffix);

struct Function {
  int first_line = 0;
  int lines = 0;
};
/// Bodies of functions (also lambdas and tests) from the line with the brace to its end.
[[nodiscard]] std::vector<Function> functions_of(std::string_view text);

}  // namespace waggle::tidy
