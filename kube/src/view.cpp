#include "view.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace waggle::kube {
namespace {

const char* name_of(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::boolean:
      return "a boolean";
    case Value::Kind::integer:
      return "an integer";
    case Value::Kind::real:
      return "a floating-point number";
    case Value::Kind::string:
      return "a string";
    case Value::Kind::sequence:
      return "a list";
    case Value::Kind::mapping:
      return "a mapping";
  }
  return "something else";
}

}  // namespace

View View::child(const Entry& entry, std::string path) const {
  const bool null = entry.value.kind == Value::Kind::null;
  return {*report_, null ? nullptr : &entry.value, entry.value.line, std::move(path)};
}

View View::at(std::string_view key) const {
  std::string path = path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  if (value_ != nullptr && value_->kind == Value::Kind::mapping) {
    const auto found = std::ranges::find(value_->entries, key, &Entry::key);
    if (found != value_->entries.end()) {
      View field = child(*found, std::move(path));
      field.line_ = found->line;
      return field;
    }
  }
  return {*report_, nullptr, line_, std::move(path)};
}

std::vector<View> View::items() const {
  std::vector<View> items;
  if (!expect(Value::Kind::sequence)) return items;
  items.reserve(value_->entries.size());
  for (const auto& entry : value_->entries)
    items.push_back(child(entry, fmt::format("{}[{}]", path_, items.size())));
  return items;
}

View View::as_object() const {
  if (value_ == nullptr || expect(Value::Kind::mapping)) return *this;
  return {*report_, nullptr, line_, path_};
}

std::vector<View> View::objects() const {
  auto all = items();
  for (auto& item : all) item = item.as_object();
  return all;
}

std::vector<std::pair<std::string, View>> View::fields() const {
  std::vector<std::pair<std::string, View>> fields;
  if (!expect(Value::Kind::mapping)) return fields;
  fields.reserve(value_->entries.size());
  for (const auto& entry : value_->entries)
    fields.emplace_back(entry.key,
                        View(*report_, &entry.value, entry.line, path_ + "." + entry.key));
  return fields;
}

bool View::expect(Value::Kind kind) const {
  if (value_ == nullptr) return false;
  if (value_->kind == kind) return true;
  std::string what = fmt::format("is {}, not {}", name_of(value_->kind), name_of(kind));
  const bool plain_word = kind == Value::Kind::string && (value_->kind == Value::Kind::boolean ||
                                                          value_->kind == Value::Kind::integer ||
                                                          value_->kind == Value::Kind::real);
  refuse(std::move(what), plain_word ? "quote it" : "");
  return false;
}

std::string View::string() const { return expect(Value::Kind::string) ? value_->text : ""; }

bool View::boolean(bool when_absent) const {
  return expect(Value::Kind::boolean) ? value_->text == "true" : when_absent;
}

std::int64_t View::integer(std::int64_t low, std::int64_t high, std::int64_t when_absent) const {
  if (!expect(Value::Kind::integer)) return when_absent;
  std::int64_t number = 0;
  const char* end = value_->text.data() + value_->text.size();
  const auto [stop, code] = std::from_chars(value_->text.data(), end, number);
  if (code == std::errc{} && stop == end && number >= low && number <= high) return number;
  refuse(fmt::format("{} is outside {} to {}", value_->text, low, high));
  return when_absent;
}

std::size_t View::one_of(std::initializer_list<std::string_view> words) const {
  if (!expect(Value::Kind::string)) return 0;
  const auto found = std::ranges::find(words, std::string_view(value_->text));
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  refuse(fmt::format("\"{}\" is not one of {}", value_->text, fmt::join(words, ", ")));
  return 0;
}

Labels View::string_map() const {
  Labels map;
  for (const auto& [key, value] : fields()) {
    if (value.is(Value::Kind::null))
      map.emplace(key, "");
    else
      map.emplace(key, value.string());
  }
  return map;
}

std::string View::quoted() const {
  if (value_ == nullptr) return "null";
  return is(Value::Kind::string) ? fmt::format("\"{}\"", value_->text) : value_->text;
}

void View::refuse(std::string what, std::string advice) const {
  const std::string path = path_.empty() ? "the document" : path_;
  report_->complaints.push_back({line_, path + ": " + what, std::move(advice)});
}

bool View::require() const {
  if (present()) return true;
  refuse("is missing");
  return false;
}

}  // namespace waggle::kube
