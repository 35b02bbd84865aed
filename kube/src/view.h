#pragma once
// Typed, strict access to a Value: what is wrong is noted with its path and line, and a default is
// returned so that reading goes on and finds the rest.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "value.h"
#include "waggle/kube/objects.h"

namespace waggle::kube {

/// What one text's reading has found so far.
struct Report {
  std::shared_ptr<const std::string> file;
  Complaints complaints = {};
};

/// A field that may be absent. null counts as absent, as in the API.
class View {
 public:
  View(Report& report, const Value& value) : report_(&report), value_(&value), line_(value.line) {}

  [[nodiscard]] bool present() const { return value_ != nullptr; }
  [[nodiscard]] bool is(Value::Kind kind) const { return present() && value_->kind == kind; }
  [[nodiscard]] int line() const { return line_; }
  [[nodiscard]] SourceRef source() const { return {report_->file, line_}; }

  /// A field of this mapping, absent when this is none.
  [[nodiscard]] View at(std::string_view key) const;
  /// The same for a field that has to be a mapping; absent when it is not.
  [[nodiscard]] View object(std::string_view key) const { return at(key).as_object(); }
  /// The items of this sequence; none when absent.
  [[nodiscard]] std::vector<View> items() const;
  /// The same for items that have to be mappings. A null item is there, but empty, as in the API.
  [[nodiscard]] std::vector<View> objects() const;
  /// Keys and values of this mapping; none when absent. Values may be null: they are present here.
  [[nodiscard]] std::vector<std::pair<std::string, View>> fields() const;

  [[nodiscard]] std::string string() const;  ///< "" when absent
  [[nodiscard]] bool boolean(bool when_absent) const;
  [[nodiscard]] std::int64_t integer(std::int64_t low, std::int64_t high,
                                     std::int64_t when_absent) const;
  /// One of the words, or the first when absent or wrong.
  [[nodiscard]] std::size_t one_of(std::initializer_list<std::string_view> words) const;
  /// This mapping's strings.
  [[nodiscard]] Labels string_map() const;

  /// The text or number as written, for messages.
  [[nodiscard]] std::string quoted() const;

  void refuse(std::string what, std::string advice = {}) const;
  /// Whether it is there; refuses it when not.
  [[nodiscard]] bool require() const;

 private:
  View(Report& report, const Value* value, int line, std::string path)
      : report_(&report), value_(value), line_(line), path_(std::move(path)) {}
  bool expect(Value::Kind kind) const;
  [[nodiscard]] View as_object() const;
  [[nodiscard]] View child(const Entry& entry, std::string path) const;

  Report* report_;
  const Value* value_;  ///< null: absent
  int line_;            ///< absent: of the nearest parent there is
  std::string path_ = {};
};

}  // namespace waggle::kube
