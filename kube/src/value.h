#pragma once
// YAML and JSON text as a tree that knows its lines.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace waggle::kube {

struct Entry;

/// A node, typed as the API server's decoder types it: plain `yes` is a boolean, plain `1` an
/// integer.
struct Value {
  enum class Kind : std::uint8_t { null, boolean, integer, real, string, sequence, mapping };
  Kind kind = Kind::null;
  int line = 0;
  std::string text;            ///< "true" or "false"; an integer in decimal; else as written
  std::vector<Entry> entries;  ///< of a mapping, or of a sequence with empty keys

  /// Of a mapping, else nothing. The first one of that key.
  [[nodiscard]] const Value* find(std::string_view key) const;
};

struct Entry {
  std::string key;
  int line = 0;  ///< of the key
  Value value;
};

struct Complaint {
  int line = 0;
  std::string what;
  std::string advice = {};
};
using Complaints = std::vector<Complaint>;

/// Called once a document, in order.
using DocumentSink = std::function<void(Value&&)>;

/// Reads YAML documents or concatenated JSON values, whichever the text is. Broken text and
/// duplicate keys become complaints. Lines count from first_line. Depth and the growth by YAML
/// aliases are bounded. No exception leaves these functions.
void parse_documents(std::string_view text, int first_line, const DocumentSink& sink,
                     Complaints& complaints);
/// Returns false when some text was broken. After a broken document, reading goes on with the next.
bool parse_yaml(std::string_view text, int first_line, const DocumentSink& sink,
                Complaints& complaints);
/// Returns false when some text was broken; what follows is not read then.
bool parse_json(std::string_view text, int first_line, const DocumentSink& sink,
                Complaints& complaints);

/// Builds one Value from events. A false return is final for it: the complaint says why.
class TreeBuilder {
 public:
  explicit TreeBuilder(Complaints& complaints) : complaints_(complaints) {}

  bool scalar(Value value, std::size_t anchor = 0);
  bool begin(Value::Kind kind, int line, std::size_t anchor = 0);
  bool end();
  bool alias(std::size_t anchor, int line);
  /// Requires an open mapping that waits for a key.
  bool key(std::string text, int line);
  [[nodiscard]] bool awaits_key() const;
  /// Requires that every begin() has its end().
  [[nodiscard]] Value take() { return std::move(root_); }
  bool refuse(int line, std::string what, std::string advice = {});

 private:
  struct Open {
    Value value;
    std::size_t anchor = 0;
    std::string key = {};
    int key_line = 0;
    bool has_key = false;
  };
  bool place(Value value, std::size_t anchor);
  void check_keys(const Value& mapping);
  void merge(Value& mapping);

  Complaints& complaints_;
  std::vector<Open> open_;
  Value root_;
  std::unordered_map<std::size_t, Value> anchors_;
  std::size_t copied_ = 0;
};

}  // namespace waggle::kube
