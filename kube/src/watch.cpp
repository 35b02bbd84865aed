#include <fmt/format.h>

#include "reading.h"
#include "waggle/kube/reader.h"

namespace waggle::kube {
namespace {

/// Finds where one JSON object ends, looking at strings only for their end.
class Braces {
 public:
  /// Takes the characters up to the end of the object; returns how many, or npos for all of them.
  std::size_t take(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (in_string_) {
        if (escaped_)
          escaped_ = false;
        else if (c == '\\')
          escaped_ = true;
        else if (c == '"')
          in_string_ = false;
      } else if (c == '"') {
        in_string_ = true;
      } else if (c == '{' || c == '[') {
        ++depth_;
      } else if ((c == '}' || c == ']') && --depth_ <= 0) {
        return i + 1;
      }
    }
    return std::string_view::npos;
  }

 private:
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

void read_error(const View& status, WatchEvent& event) {
  event.error_code = static_cast<int>(status.at("code").integer(0, 999, 0));
  event.error_message = status.at("message").string();
}

void read_object(const View& object, WatchEvent& event) {
  event.resource_version = object.object("metadata").at("resourceVersion").string();
  if (event.type == WatchEvent::Type::bookmark) return;
  Found found;
  read_document(object, found);
  if (found.objects.size() > 1) object.refuse("is a list, not one object");
  if (found.objects.size() == 1) event.object = std::move(found.objects.front());
}

WatchEvent read_event(const View& view) {
  WatchEvent event;
  event.source = view.source();
  if (!view.is(Value::Kind::mapping)) {
    view.refuse("is not a watch event");
    return event;
  }
  const View type = view.at("type");
  const View object = view.object("object");
  if (!type.present() && view.at("kind").present()) {
    view.refuse("is an object, not a watch event", "record with --output-watch-events");
    return event;
  }
  if (!type.require() || !object.require()) return event;
  event.type = static_cast<WatchEvent::Type>(
      type.one_of({"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"}));
  if (event.type == WatchEvent::Type::error)
    read_error(object, event);
  else
    read_object(object, event);
  return event;
}

}  // namespace

WatchReader::WatchReader(std::istream& in, std::string name)
    : in_(in), name_(std::make_shared<const std::string>(std::move(name))) {}

Checked<std::optional<WatchEvent>> WatchReader::next() {
  const auto text = next_text();
  if (!text) return std::optional<WatchEvent>();
  Report report{name_};
  std::optional<WatchEvent> event;
  parse_json(
      *text, text_line_, [&](Value&& value) { event = read_event(View(report, value)); },
      report.complaints);
  if (!report.complaints.empty()) return std::unexpected(errors_of(report));
  return event;
}

/// One JSON value's text, or what stands in its place. A line that starts with a brace always
/// starts an event, since inside of one it would be indented: there a broken event ends.
std::optional<std::string> WatchReader::next_text() {
  std::string text;
  Braces braces;
  while (!rest_.empty() ||
         (in_.peek() != std::istream::traits_type::eof() && (text.empty() || in_.peek() != '{'))) {
    if (rest_.empty()) {
      std::getline(in_, rest_);
      rest_ += '\n';
      ++line_;
    }
    if (text.empty()) {
      const auto first = rest_.find_first_not_of(" \t\r\n");
      if (first == std::string::npos) {
        rest_.clear();
        continue;
      }
      rest_.erase(0, first);
      text_line_ = line_;
      if (rest_[0] != '{') return std::exchange(rest_, {});
    }
    const auto length = braces.take(rest_);
    text += rest_.substr(0, length);
    rest_.erase(0, length);
    if (length != std::string::npos) return text;
  }
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace waggle::kube
