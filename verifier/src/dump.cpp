#include "waggle/verifier/dump.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace waggle::verifier {

namespace {

using nlohmann::json;
using Raw = std::vector<std::uint8_t>;

// One file, entry by entry: an array map's dump is too large for a document in memory.
class EntryReader final : public nlohmann::json_sax<json> {
 public:
  using Take = std::function<void(const Raw& key, const Raw& value)>;
  EntryReader(std::string file, Take take, Errors& errors)
      : file_(std::move(file)), take_(std::move(take)), errors_(errors) {}

  bool start_array(std::size_t) override {
    if (depth_ == 0) is_list_ = true;
    if (depth_ == 2 && bytes_) bytes_->clear();
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool start_object(std::size_t) override {
    if (++depth_ == 2) key_.clear(), value_.clear();
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1) {
      take_(key_, value_);
      ++index_;
    }
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 2) bytes_ = name == "key" ? &key_ : name == "value" ? &value_ : nullptr;
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ != 3 || !bytes_) return true;
    std::uint8_t byte = 0;
    const char* first = text.data() + (text.starts_with("0x") ? 2 : 0);
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(first, last, byte, 16);
    if (error != std::errc() || end != last) fail(fmt::format("\"{}\" is not a byte", text));
    bytes_->push_back(byte);
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(std::size_t at, const std::string&, const json::exception&) override {
    errors_.push_back({Error::Kind::bad_input, fmt::format("not JSON at byte {}", at), file_, ""});
    return false;
  }

  void fail(std::string what) {
    errors_.push_back({Error::Kind::bad_input, std::move(what),
                       fmt::format("{}[{}]", file_, index_),
                       "the form is that of bpftool --json map dump"});
  }
  [[nodiscard]] bool is_list() const { return is_list_; }

 private:
  std::string file_;
  Take take_;
  Errors& errors_;
  Raw key_, value_;
  Raw* bytes_ = nullptr;
  std::size_t index_ = 0;
  int depth_ = 0;
  bool is_list_ = false;
};

class Reader {
 public:
  explicit Reader(std::filesystem::path folder) : folder_(std::move(folder)) {}

  template <class Key, class Value, class Take>
  void read(const char* table, const Take& take) {
    const auto path = folder_ / fmt::format("{}.json", table);
    std::ifstream in(path);
    if (!in) return;
    ++files_;
    const std::string name = path.filename().string();
    EntryReader* self = nullptr;
    EntryReader reader(
        name,
        [&](const Raw& key, const Raw& value) {
          Key k;
          Value v;
          if (copy(*self, "key", key, k) && copy(*self, "value", value, v)) take(k, v);
        },
        errors_);
    self = &reader;
    if (json::sax_parse(in, &reader) && !reader.is_list()) reader.fail("not a list of entries");
  }
  template <class Key, class Value>
  void read(const char* table, agent::Table<Key, Value>& into) {
    read<Key, Value>(table, [&](const Key& key, const Value& value) { into[key] = value; });
  }

  [[nodiscard]] std::size_t files() const { return files_; }
  [[nodiscard]] Errors& errors() { return errors_; }

 private:
  template <class T>
  static bool copy(EntryReader& reader, const char* what, const Raw& raw, T& out) {
    if (raw.size() != sizeof(T)) {
      reader.fail(fmt::format("{} has {} bytes, not {}", what, raw.size(), sizeof(T)));
      return false;
    }
    std::memcpy(&out, raw.data(), sizeof(T));
    return true;
  }

  std::filesystem::path folder_;
  std::size_t files_ = 0;
  Errors errors_;
};

// Positions of the array into the regions that the frontends own; others belong to nobody.
void read_maglev(Reader& reader, agent::Tables& tables) {
  for (const auto& [key, value] : tables.services) {
    auto& region = tables.maglev[value.base];
    // A size that no array can have is a finding for L1, not a reason to run out of memory.
    const auto size =
        std::min<std::uint32_t>(value.size, agent::info(agent::TableId::maglev).entries_max);
    region.resize(std::max<std::size_t>(region.size(), size));
  }
  std::erase_if(tables.maglev, [](const auto& region) { return region.second.empty(); });
  reader.read<std::uint32_t, dp_maglev>(
      "maglev", [&](std::uint32_t position, const dp_maglev& value) {
        // Regions of one service's frontends are shared, so at most the last one before it is
        // asked.
        auto region = tables.maglev.upper_bound(position);
        if (region == tables.maglev.begin()) return;
        --region;
        if (position - region->first < region->second.size())
          region->second[position - region->first] = value.backend;
      });
}

class Writer {
 public:
  explicit Writer(std::ofstream out) : out_(std::move(out)) { out_ << '['; }
  template <class Key, class Value>
  void entry(const Key& key, const Value& value) {
    out_ << (first_ ? "" : ",") << "{\"key\":";
    bytes(key);
    out_ << ",\"value\":";
    bytes(value);
    out_ << '}';
    first_ = false;
  }
  [[nodiscard]] bool finish() {
    out_ << "]\n";
    out_.close();
    return !out_.fail();
  }

 private:
  template <class T>
  void bytes(const T& value) {
    std::array<std::uint8_t, sizeof(T)> raw{};
    std::memcpy(raw.data(), &value, sizeof(T));
    out_ << '[';
    for (std::size_t i = 0; i < raw.size(); ++i)
      out_ << fmt::format("{}\"0x{:02x}\"", i == 0 ? "" : ",", raw[i]);
    out_ << ']';
  }
  std::ofstream out_;
  bool first_ = true;
};

template <class Fill>
Result<> write_table(const std::filesystem::path& folder, const char* table, const Fill& fill) {
  const auto path = folder / fmt::format("{}.json", table);
  Writer writer{std::ofstream(path)};
  fill(writer);
  if (!writer.finish())
    return std::unexpected(
        Error{Error::Kind::bad_input, "the file could not be written", path.string(), ""});
  return {};
}

}  // namespace

Checked<Dump> read_dump(const std::filesystem::path& folder) {
  Dump dump;
  Reader reader(folder);
  reader.read("services", dump.tables.services);
  reader.read("backends", dump.tables.backends);
  reader.read("reverse_nat", dump.tables.reverse_nat);
  reader.read("ipcache", dump.tables.ipcache);
  reader.read("ipcache_prefix", dump.tables.ipcache_prefix);
  reader.read("policy", dump.tables.policy);
  reader.read("endpoints", dump.tables.endpoints);
  reader.read("nodes", dump.tables.nodes);
  read_maglev(reader, dump.tables);
  reader.read<dp_ct_key, dp_ct>("conntrack", [&](const dp_ct_key& key, const dp_ct& value) {
    dump.conntrack.emplace_back(key, value);
  });
  if (reader.files() == 0)
    reader.errors().push_back({Error::Kind::not_found, "no table's JSON file is here",
                               folder.string(), "write one with waggle tables dump"});
  if (!reader.errors().empty()) return std::unexpected(std::move(reader.errors()));
  return dump;
}

Result<> write_dump(const Dump& dump, const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return std::unexpected(Error{Error::Kind::bad_input, failed.message(), folder.string(), ""});
  const auto all_of = [](const auto& table) {
    return [&table](Writer& writer) {
      for (const auto& [key, value] : table) writer.entry(key, value);
    };
  };
  TRY(write_table(folder, "services", all_of(dump.tables.services)));
  TRY(write_table(folder, "backends", all_of(dump.tables.backends)));
  TRY(write_table(folder, "reverse_nat", all_of(dump.tables.reverse_nat)));
  TRY(write_table(folder, "maglev", [&](Writer& writer) {
    for (const auto& [base, region] : dump.tables.maglev) {
      for (std::uint32_t i = 0; i < region.size(); ++i)
        writer.entry(base + i, dp_maglev{region[i]});
    }
  }));
  TRY(write_table(folder, "ipcache", all_of(dump.tables.ipcache)));
  TRY(write_table(folder, "ipcache_prefix", all_of(dump.tables.ipcache_prefix)));
  TRY(write_table(folder, "policy", all_of(dump.tables.policy)));
  TRY(write_table(folder, "endpoints", all_of(dump.tables.endpoints)));
  TRY(write_table(folder, "nodes", all_of(dump.tables.nodes)));
  return write_table(folder, "conntrack", all_of(dump.conntrack));
}

}  // namespace waggle::verifier
