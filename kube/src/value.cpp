#include "value.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include "waggle/kube/result.h"

namespace waggle::kube {
namespace {

constexpr std::size_t depth_max = 100;  // the API's objects need less than 20
constexpr std::size_t copied_max =
    100'000;  // nodes that aliases and anchors may copy in a document

std::size_t size_of(const Value& value) {
  std::size_t size = 1;
  for (const auto& entry : value.entries) size += size_of(entry.value);
  return size;
}

/// Looks like JSON: an object whose first key is quoted. YAML's flow style may look so too.
bool is_json(std::string_view text) {
  constexpr std::string_view space = " \t\r\n";
  const auto brace = text.find_first_not_of(space);
  if (brace == std::string_view::npos || text[brace] != '{') return false;
  const auto next = text.find_first_not_of(space, brace + 1);
  return next != std::string_view::npos && (text[next] == '"' || text[next] == '}');
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  if (kind != Kind::mapping) return nullptr;
  const auto found = std::ranges::find(entries, key, &Entry::key);
  return found == entries.end() ? nullptr : &found->value;
}

bool TreeBuilder::refuse(int line, std::string what, std::string advice) {
  complaints_.push_back({line, std::move(what), std::move(advice)});
  return false;
}

bool TreeBuilder::awaits_key() const {
  return !open_.empty() && open_.back().value.kind == Value::Kind::mapping && !open_.back().has_key;
}

bool TreeBuilder::key(std::string text, int line) {
  WAGGLE_ASSERT(awaits_key());
  auto& open = open_.back();
  open.key = std::move(text);
  open.key_line = line;
  open.has_key = true;
  return true;
}

bool TreeBuilder::scalar(Value value, std::size_t anchor) {
  return place(std::move(value), anchor);
}

bool TreeBuilder::begin(Value::Kind kind, int line, std::size_t anchor) {
  if (awaits_key()) return refuse(line, "a key is a sequence or a mapping", "keys are strings");
  if (open_.size() == depth_max)
    return refuse(line, fmt::format("this is nested deeper than {} levels", depth_max));
  Open open;
  open.value.kind = kind;
  open.value.line = line;
  open.anchor = anchor;
  open_.push_back(std::move(open));
  return true;
}

bool TreeBuilder::end() {
  Open open = std::move(open_.back());
  open_.pop_back();
  if (open.value.kind == Value::Kind::mapping) {
    check_keys(open.value);
    merge(open.value);
  }
  return place(std::move(open.value), open.anchor);
}

bool TreeBuilder::alias(std::size_t anchor, int line) {
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end()) return refuse(line, "an alias stands inside its own anchor");
  if (awaits_key()) {
    if (found->second.kind != Value::Kind::string)
      return refuse(line, "a key is not a string", "quote it");
    return key(found->second.text, line);
  }
  copied_ += size_of(found->second);
  if (copied_ > copied_max)
    return refuse(line,
                  fmt::format("aliases grow this document by more than {} nodes", copied_max));
  return place(found->second, 0);
}

bool TreeBuilder::place(Value value, std::size_t anchor) {
  if (anchor != 0) {
    copied_ += size_of(value);
    if (copied_ > copied_max)
      return refuse(value.line, fmt::format("anchors hold more than {} nodes", copied_max));
    anchors_.insert_or_assign(anchor, value);
  }
  if (open_.empty()) {
    root_ = std::move(value);
    return true;
  }
  auto& open = open_.back();
  open.value.entries.push_back({std::move(open.key), open.key_line, std::move(value)});
  open.key.clear();
  open.has_key = false;
  return true;
}

void TreeBuilder::check_keys(const Value& mapping) {
  if (mapping.entries.size() < 2) return;
  std::vector<const Entry*> sorted;
  for (const auto& entry : mapping.entries) sorted.push_back(&entry);
  // By address where the keys are equal: as they stand in the text.
  std::ranges::sort(sorted, [](const Entry* a, const Entry* b) {
    return std::tie(a->key, a) < std::tie(b->key, b);
  });
  for (std::size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i]->key == sorted[i - 1]->key)
      refuse(sorted[i]->line, fmt::format("key \"{}\" is written twice, first in line {}",
                                          sorted[i]->key, sorted[i - 1]->line));
}

/// YAML's "<<": what the mapping does not say itself comes from there.
void TreeBuilder::merge(Value& mapping) {
  const auto found = std::ranges::find(mapping.entries, "<<", &Entry::key);
  if (found == mapping.entries.end() ||
      (found->value.kind != Value::Kind::mapping && found->value.kind != Value::Kind::sequence))
    return;
  const Entry merged = std::move(*found);
  mapping.entries.erase(found);
  std::set<std::string, std::less<>> keys;
  for (const auto& entry : mapping.entries) keys.insert(entry.key);
  const auto add = [&](const Value& from) {
    for (const auto& entry : from.entries)
      if (keys.insert(entry.key).second) mapping.entries.push_back(entry);
  };
  if (merged.value.kind == Value::Kind::mapping) return add(merged.value);
  for (const auto& item : merged.value.entries)
    if (item.value.kind == Value::Kind::mapping) add(item.value);
}

void parse_documents(std::string_view text, int first_line, const DocumentSink& sink,
                     Complaints& complaints) {
  std::vector<Value> documents;
  Complaints found;
  const auto collect = [&](Value&& value) { documents.push_back(std::move(value)); };
  if (!is_json(text)) {
    parse_yaml(text, first_line, sink, complaints);
    return;
  }
  if (!parse_json(text, first_line, collect, found)) {
    // What is neither JSON nor YAML is reported as broken JSON.
    std::vector<Value> json = std::exchange(documents, {});
    Complaints yaml;
    if (parse_yaml(text, first_line, collect, yaml))
      found = std::move(yaml);
    else
      documents = std::move(json);
  }
  std::ranges::move(found, std::back_inserter(complaints));
  for (auto& document : documents) sink(std::move(document));
}

}  // namespace waggle::kube
