// The only file that sees yaml-cpp, and the only one that catches.

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <spanstream>
#include <stdexcept>

#include "value.h"

namespace waggle::kube {
namespace {

/// Ends the parsing of a document from inside a callback. The complaint is made already.
struct Refused {};

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

/// As strconv.ParseInt with base 0, which is what the API server's YAML decoder uses.
bool resolve_integer(std::string digits, Value& value) {
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  int base = 10;
  const auto strip = [&](int new_base, std::size_t length) {
    base = new_base;
    digits.erase(0, length);
  };
  const auto has_prefix = [&](char lower) {
    return digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == lower;
  };
  if (has_prefix('x')) {
    strip(16, 2);
  } else if (has_prefix('o')) {
    strip(8, 2);
  } else if (has_prefix('b')) {
    strip(2, 2);
  } else if (digits.size() > 1 && digits[0] == '0') {
    strip(8, 1);
  }
  std::uint64_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, code] = std::from_chars(digits.data(), end, number, base);
  if (code != std::errc{} || stop != end) return false;
  value.kind = Value::Kind::integer;
  value.text = fmt::format("{}{}", negative && number != 0 ? "-" : "", number);
  return true;
}

bool is_real(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (is_one_of(text, {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"})) return true;
  const auto skip_digits = [&] {
    const auto length = std::min(text.find_first_not_of("0123456789"), text.size());
    text.remove_prefix(length);
    return length;
  };
  auto digits = skip_digits();
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    digits += skip_digits();
  }
  if (digits == 0) return false;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (skip_digits() == 0) return false;
  }
  return text.empty();
}

/// A plain scalar as YAML 1.1, which the API server speaks, means it.
void resolve_plain(Value& value) {
  const std::string text = value.text;
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) {
    value.kind = Value::Kind::null;
  } else if (is_one_of(text,
                       {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) {
    value.kind = Value::Kind::boolean;
    value.text = "true";
  } else if (is_one_of(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off",
                              "OFF"})) {
    value.kind = Value::Kind::boolean;
    value.text = "false";
  } else if (std::string_view("+-.0123456789").contains(text[0])) {
    std::string plain;
    std::ranges::copy_if(text, std::back_inserter(plain), [](char c) { return c != '_'; });
    if (!resolve_integer(plain, value) && is_real(plain)) value.kind = Value::Kind::real;
  }
}

class YamlHandler : public YAML::EventHandler {
 public:
  YamlHandler(TreeBuilder& builder, int first_line) : builder_(builder), first_line_(first_line) {}

  void OnDocumentStart(const YAML::Mark& mark) override { start_line = line_of(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    scalar({Value::Kind::null, line_of(mark), {}, {}}, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(builder_.alias(anchor, line_of(mark)));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    Value value{Value::Kind::string, line_of(mark), text, {}};
    if (is_one_of(tag, {"?", "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool",
                        "tag:yaml.org,2002:float", "tag:yaml.org,2002:null"}))
      resolve_plain(value);
    else if (!is_one_of(tag, {"!", "tag:yaml.org,2002:str"}))
      check(builder_.refuse(value.line, fmt::format("tag \"{}\" is not known here", tag)));
    scalar(std::move(value), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check(builder_.begin(Value::Kind::sequence, line_of(mark), anchor));
  }
  void OnSequenceEnd() override { check(builder_.end()); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check(builder_.begin(Value::Kind::mapping, line_of(mark), anchor));
  }
  void OnMapEnd() override { check(builder_.end()); }

  int start_line = 0;

 private:
  [[nodiscard]] int line_of(const YAML::Mark& mark) const { return first_line_ + mark.line; }

  static void check(bool ok) {
    if (!ok) throw Refused{};
  }

  void scalar(Value value, YAML::anchor_t anchor) {
    if (!builder_.awaits_key()) return check(builder_.scalar(std::move(value), anchor));
    if (value.kind == Value::Kind::null)
      check(builder_.refuse(value.line, "a key is null", "quote it"));
    check(builder_.key(std::move(value.text), value.line));
  }

  TreeBuilder& builder_;
  int first_line_;
};

/// Requires text of one document at most. What yaml-cpp takes for a second one is left-over text,
/// which it may offer again and again.
bool parse_chunk(std::string_view text, int first_line, const DocumentSink& sink,
                 Complaints& complaints) {
  int line = first_line;
  try {
    std::ispanstream stream(std::span(text.data(), text.size()));
    YAML::Parser parser(stream);
    TreeBuilder builder(complaints);
    YamlHandler handler(builder, first_line);
    if (!parser.HandleNextDocument(handler)) return true;
    sink(builder.take());
    TreeBuilder ignored(complaints);
    YamlHandler rest(ignored, first_line);
    if (!parser.HandleNextDocument(rest)) return true;
    complaints.push_back({rest.start_line, "broken YAML: the document has ended before this"});
  } catch (const Refused&) {
    return false;
  } catch (const YAML::Exception& error) {
    if (!error.mark.is_null()) line = first_line + error.mark.line;
    complaints.push_back({line, "broken YAML: " + error.msg});
  } catch (const std::exception& error) {
    complaints.push_back({line, fmt::format("broken YAML: {}", error.what())});
  }
  return false;
}

/// Where the next line starts that ends a document ("---" or "..."), or the end of the text. Such a
/// line ends every YAML construct, so each document can be read, and be wrong, for itself.
std::size_t document_end(std::string_view text, std::size_t from) {
  for (auto at = text.find('\n', from); at != std::string_view::npos;
       at = text.find('\n', at + 1)) {
    const auto mark = text.substr(at + 1, 3);
    const auto behind = at + 4;
    if ((mark == "---" || mark == "...") &&
        (behind >= text.size() || std::string_view(" \t\r\n").contains(text[behind])))
      return at + 1;
  }
  return text.size();
}

}  // namespace

bool parse_yaml(std::string_view text, int first_line, const DocumentSink& sink,
                Complaints& complaints) {
  bool whole = true;
  for (std::size_t from = 0; from < text.size();) {
    auto to = document_end(text, from);
    const auto chunk = text.substr(from, to - from);
    whole = parse_chunk(chunk, first_line, sink, complaints) && whole;
    first_line += static_cast<int>(std::ranges::count(chunk, '\n'));
    if (text.substr(to, 3) == "...") to += 3;
    from = to;
  }
  return whole;
}

}  // namespace waggle::kube
