#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>

#include "value.h"

namespace waggle::kube {
namespace {

/// Where the parser is. Shared by all copies of the iterator, since nlohmann keeps one to itself.
struct Cursor {
  const char* at;
  const char* end;
  int line;       ///< of `at`
  int last_line;  ///< of the character before `at`: the line of the token just read
};

class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator() = default;  ///< the end
  explicit CountingIterator(Cursor* cursor) : cursor_(cursor) {}
  reference operator*() const { return *cursor_->at; }
  CountingIterator& operator++() {
    cursor_->last_line = cursor_->line;
    if (*cursor_->at++ == '\n') ++cursor_->line;
    return *this;
  }
  CountingIterator operator++(int) {
    auto before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
    return a.at_end() == b.at_end();
  }

 private:
  [[nodiscard]] bool at_end() const { return cursor_ == nullptr || cursor_->at == cursor_->end; }
  Cursor* cursor_ = nullptr;
};

class JsonHandler {
 public:
  JsonHandler(TreeBuilder& builder, const Cursor& cursor) : builder_(builder), cursor_(cursor) {}

  bool null() { return scalar(Value::Kind::null, {}); }
  bool boolean(bool value) { return scalar(Value::Kind::boolean, value ? "true" : "false"); }
  bool number_integer(std::int64_t value) {
    return scalar(Value::Kind::integer, fmt::to_string(value));
  }
  bool number_unsigned(std::uint64_t value) {
    return scalar(Value::Kind::integer, fmt::to_string(value));
  }
  bool number_float(double, const std::string& text) { return scalar(Value::Kind::real, text); }
  bool string(std::string& value) { return scalar(Value::Kind::string, std::move(value)); }
  bool binary(nlohmann::json::binary_t&) { return false; }  // not in JSON text
  bool start_object(std::size_t) { return builder_.begin(Value::Kind::mapping, line()); }
  bool end_object() { return builder_.end(); }
  bool start_array(std::size_t) { return builder_.begin(Value::Kind::sequence, line()); }
  bool end_array() { return builder_.end(); }
  bool key(std::string& value) { return builder_.key(std::move(value), line()); }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    std::string what = error.what();
    const auto reason = what.find("syntax error");
    return builder_.refuse(
        line(), "broken JSON: " + (reason == std::string::npos ? what : what.substr(reason)));
  }

 private:
  [[nodiscard]] int line() const { return cursor_.last_line; }
  bool scalar(Value::Kind kind, std::string text) {
    return builder_.scalar({kind, line(), std::move(text), {}});
  }

  TreeBuilder& builder_;
  const Cursor& cursor_;
};

bool skip_space(Cursor& cursor) {
  for (; cursor.at != cursor.end; ++cursor.at) {
    if (*cursor.at == '\n')
      ++cursor.line;
    else if (*cursor.at != ' ' && *cursor.at != '\t' && *cursor.at != '\r')
      return true;
  }
  return false;
}

}  // namespace

bool parse_json(std::string_view text, int first_line, const DocumentSink& sink,
                Complaints& complaints) {
  Cursor cursor{text.data(), text.data() + text.size(), first_line, first_line};
  while (skip_space(cursor)) {
    TreeBuilder builder(complaints);
    JsonHandler handler(builder, cursor);
    constexpr bool one_value_of_several = false;
    if (!nlohmann::json::sax_parse(CountingIterator(&cursor), CountingIterator(), &handler,
                                   nlohmann::json::input_format_t::json, one_value_of_several))
      return false;
    sink(builder.take());
  }
  return true;
}

}  // namespace waggle::kube
