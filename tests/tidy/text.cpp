#include "text.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace waggle::tidy {

namespace {

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// Blanks text[from, to) but for line ends.
void blank(std::string& text, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < std::min(to, text.size()); ++i)
    if (text[i] != '\n') text[i] = ' ';
}

std::size_t end_of_literal(std::string_view text, std::size_t at, char quote) {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == quote || text[i] == '\n')
      return i + 1;
  }
  return text.size();
}

std::size_t end_of_raw_string(std::string_view text, std::size_t quote) {
  const auto open = text.find('(', quote);
  if (open == std::string_view::npos) return text.size();
  const std::string close = ")" + std::string(text.substr(quote + 1, open - quote - 1)) + "\"";
  const auto end = text.find(close, open);
  return end == std::string_view::npos ? text.size() : end + close.size();
}

/// Preprocessor lines with their continuations become blanks: macros have no bodies of ours.
void blank_directives(std::string& text) {
  std::size_t at = 0;
  bool inside = false;
  while (at < text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto first = text.find_first_not_of(" \t", at);
    inside = inside || (first < end && text[first] == '#');
    const bool goes_on = end > at && text[end - 1] == '\\';
    if (inside) blank(text, at, end);
    inside = inside && goes_on;
    at = end + 1;
  }
}

/// Does the brace at `at` open a function, judged by what stands before it?
bool opens_function(std::string_view code, std::size_t at) {
  const auto begin = code.find_last_of(";{}", at == 0 ? 0 : at - 1);
  auto head = code.substr(begin == std::string_view::npos ? 0 : begin + 1,
                          at - (begin == std::string_view::npos ? 0 : begin + 1));
  const auto last = head.find_last_not_of(" \t\n");
  if (head.find('(') == std::string_view::npos || head[last] == '=' || head[last] == ',')
    return false;
  if (head.find("](") != std::string_view::npos || head[last] == ']') return true;  // a lambda
  if (std::ranges::count(head, '(') != std::ranges::count(head, ')')) return false;
  return std::ranges::none_of(std::array{"if", "for", "while", "switch", "return"},
                              [&](const char* word) { return has_word(head, word); });
}

}  // namespace

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string code_only(std::string_view text) {
  std::string code(text);
  for (std::size_t i = 0; i < code.size();) {
    std::size_t end = i + 1;
    const bool digit_separator = code[i] == '\'' && i > 0 && is_word_character(code[i - 1]);
    if (code.compare(i, 2, "//") == 0) {
      end = std::min(code.find('\n', i), code.size());
      blank(code, i, end);
    } else if (code.compare(i, 2, "/*") == 0) {
      end = std::min(code.find("*/", i + 2), code.size() - 2) + 2;
      blank(code, i, end);
    } else if (code.compare(i, 2, "R\"") == 0 && (i == 0 || !is_word_character(code[i - 1]))) {
      end = end_of_raw_string(code, i + 1);
      blank(code, i, end);
    } else if (code[i] == '"' || (code[i] == '\'' && !digit_separator)) {
      end = end_of_literal(code, i, code[i]);
      blank(code, i, end);
    }
    i = end;
  }
  return code;
}

bool has_word(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || !is_word_character(text[at - 1])) &&
        (end >= text.size() || !is_word_character(text[end])))
      return true;
  }
  return false;
}

bool in_folder(std::string_view path, std::string_view folder) {
  return path.substr(0, folder.size()) == folder &&
         (folder.empty() || folder.back() == '/' || path.substr(folder.size(), 1) == "/");
}

bool has_suffix(std::string_view path, std::string_view suffix) {
  return path.size() >= suffix.size() && path.substr(path.size() - suffix.size()) == suffix;
}

std::vector<Function> functions_of(std::string_view text) {
  auto code = code_only(text);
  blank_directives(code);
  struct Open {
    bool function;
    int line;
  };
  std::vector<Open> open;
  std::vector<Function> functions;
  int line = 1;
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (code[i] == '\n') ++line;
    if (code[i] == '{') open.push_back({opens_function(code, i), line});
    if (code[i] == '}' && !open.empty()) {
      if (open.back().function)
        functions.push_back({open.back().line, line - open.back().line + 1});
      open.pop_back();
    }
  }
  return functions;
}

}  // namespace waggle::tidy
