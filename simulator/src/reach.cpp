#include "waggle/simulator/reach.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>
#include <tuple>

namespace waggle::simulator {
namespace {

using std::string;
using std::string_view;

constexpr string_view header = "src_ns,src_pod,dst_ns,dst_pod,protocol,port,verdict";
constexpr std::uint16_t source_port_first = 20000, source_ports = 40000;

std::unexpected<Error> bad(string what) {
  return std::unexpected(Error{Error::Kind::bad_input, std::move(what), {}, {}});
}

std::vector<string_view> cells_of(string_view line) {
  std::vector<string_view> cells;
  for (std::size_t start = 0;;) {
    const auto end = line.find(',', start);
    cells.push_back(line.substr(start, end - start));
    if (end == string_view::npos) return cells;
    start = end + 1;
  }
}

Result<kube::Protocol> protocol_of(string_view text) {
  for (const auto protocol : {kube::Protocol::tcp, kube::Protocol::udp, kube::Protocol::sctp})
    if (text == to_string(protocol)) return protocol;
  return bad(fmt::format("protocol '{}' is not TCP, UDP or SCTP", text));
}

Result<ReachRow> parse_row(string_view line) {
  const auto cells = cells_of(line);
  if (cells.size() != 7) return bad(fmt::format("{} cells instead of 7", cells.size()));
  for (const auto cell : cells)
    if (cell.empty()) return bad("a cell is empty");
  ReachRow row;
  row.source = {string(cells[0]), string(cells[1])};
  row.destination = {string(cells[2]), string(cells[3])};
  row.protocol = TRY(protocol_of(cells[4]));
  const auto [end, failure] =
      std::from_chars(cells[5].data(), cells[5].data() + cells[5].size(), row.port);
  if (failure != std::errc{} || end != cells[5].data() + cells[5].size() || row.port == 0)
    return bad(fmt::format("port '{}' is not 1 to 65535", cells[5]));
  row.allowed = cells[6] == "allow";
  if (!row.allowed && cells[6] != "deny")
    return bad(fmt::format("verdict '{}' is neither allow nor deny", cells[6]));
  return row;
}

auto identity_of(const ReachRow& row) {
  return std::tie(row.source, row.destination, row.protocol, row.port);
}

const Address* address_in(const kube::Pod& pod, Family family) {
  for (const auto& address : pod.addresses)
    if (address.family() == family) return &address;
  return nullptr;
}

Result<const kube::Pod*> pod_of(const kube::Cluster& cluster, const kube::ObjectKey& key) {
  const auto found = cluster.pods.find(key);
  if (found == cluster.pods.end()) return bad(fmt::format("there is no pod {}", key.to_string()));
  return &found->second;
}

Result<PacketFields> probe_for(const kube::Cluster& cluster, const ReachRow& row,
                               std::size_t number) {
  const auto* source = TRY(pod_of(cluster, row.source));
  const auto* destination = TRY(pod_of(cluster, row.destination));
  PacketFields fields;
  fields.protocol = static_cast<std::uint8_t>(row.protocol);
  fields.tcp_flags = row.protocol == kube::Protocol::tcp ? std::uint8_t{syn} : std::uint8_t{0};
  fields.source_port = static_cast<std::uint16_t>(source_port_first + number % source_ports);
  fields.destination_port = row.port;
  for (const auto family : {Family::v4, Family::v6}) {
    const auto* from = address_in(*source, family);
    const auto* to = address_in(*destination, family);
    if (from == nullptr || to == nullptr) continue;
    fields.source = *from;
    fields.destination = *to;
    return fields;
  }
  return bad(fmt::format("{} and {} have no family in common", row.source.to_string(),
                         row.destination.to_string()));
}

string rule_name(const agent::Provenance& provenance, std::uint32_t rule) {
  if (rule == agent::rule_not_isolated) return "not isolated";
  if (rule == agent::rule_host) return "the node's own";
  const auto found = provenance.rules.find(rule);
  if (found == provenance.rules.end()) return "no rule";
  return fmt::format("{} ({})", found->second.policy.to_string(), found->second.source.to_string());
}

string reason_of(const Walk& walk, const agent::Provenance& provenance) {
  if (walk.fate == Walk::Fate::dropped)
    return fmt::format("dropped {} at {}: {}", kernel::drop_name(walk.drop_reason()), walk.where,
                       kernel::drop_text(walk.drop_reason()));
  string rules;
  for (const auto& hop : walk.hops)
    if (hop.verdict.rule != 0)
      rules += fmt::format("{}{}: {}", rules.empty() ? "" : ", ", kernel::hook_name(hop.hook),
                           rule_name(provenance, hop.verdict.rule));
  return fmt::format("{} {}; {}", to_string(walk.fate), walk.where, rules);
}

}  // namespace

Checked<std::vector<ReachRow>> read_reach_text(string_view text, const string& name) {
  Errors errors;
  const auto fail = [&](int line, string what) {
    errors.push_back(
        {Error::Kind::bad_input, std::move(what), fmt::format("{}:{}", name, line), {}});
  };
  std::vector<ReachRow> rows;
  std::set<std::tuple<kube::ObjectKey, kube::ObjectKey, kube::Protocol, std::uint16_t>> seen;
  int number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find('\n', start), text.size());
    auto line = text.substr(start, end - start);
    start = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1) {
      if (line != header) fail(1, fmt::format("the first line is not '{}'", header));
      continue;
    }
    if (line.empty()) continue;
    auto row = parse_row(line);
    if (!row) {
      fail(number, row.error().what);
      continue;
    }
    row->line = number;
    if (!seen.insert(identity_of(*row)).second)
      fail(number, "the row stands twice");
    else
      rows.push_back(std::move(*row));
  }
  if (number == 0) fail(1, "the table is empty");
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return rows;
}

Checked<std::vector<ReachRow>> read_reach_table(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return std::unexpected(
        Errors{{Error::Kind::not_found, "the table cannot be read", file.string(), {}}});
  return read_reach_text(text.str(), file.string());
}

string to_csv(std::span<const ReachRow> rows) {
  string csv = string(header) + "\n";
  for (const auto& row : rows)
    csv += fmt::format("{},{},{},{},{},{},{}\n", row.source.namespace_name, row.source.name,
                       row.destination.namespace_name, row.destination.name,
                       to_string(row.protocol), row.port, row.allowed ? "allow" : "deny");
  return csv;
}

std::vector<ReachRow> all_pairs(const kube::Cluster& cluster, std::span<const ReachPort> ports) {
  std::vector<ReachRow> rows;
  for (const auto& [source, source_pod] : cluster.pods) {
    if (source_pod.addresses.empty()) continue;
    for (const auto& [destination, destination_pod] : cluster.pods) {
      if (destination_pod.addresses.empty()) continue;
      for (const auto& port : ports)
        rows.push_back({source, destination, port.protocol, port.port, false, 0, {}});
    }
  }
  return rows;
}

Checked<> check_pods(const kube::Cluster& cluster, std::span<const ReachRow> rows,
                     const string& name) {
  Errors errors;
  std::set<kube::ObjectKey> told;
  for (const auto& row : rows)
    for (const auto& key : {row.source, row.destination})
      if (!cluster.pods.contains(key) && told.insert(key).second)
        errors.push_back({Error::Kind::bad_input,
                          fmt::format("there is no pod {}", key.to_string()),
                          fmt::format("{}:{}", name, row.line),
                          {}});
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return {};
}

Result<std::vector<ReachRow>> measure(Engine& engine, std::span<const ReachRow> rows) {
  std::vector<ReachRow> measured(rows.begin(), rows.end());
  for (std::size_t i = 0; i < measured.size(); ++i) {
    auto& row = measured[i];
    if (row.is_self()) {
      row.allowed = true;
      row.because = "a pod's own address never leaves the pod";
      continue;
    }
    auto probe = TRY(probe_for(engine.cluster(), row, i));
    const auto walk = TRY(engine.send({Origin::Kind::pod, row.source, {}}, std::move(probe)));
    if (walk.fate == Walk::Fate::lost) return bad(fmt::format("a packet was lost: {}", walk.where));
    row.allowed = walk.fate == Walk::Fate::delivered && walk.where == row.destination.to_string();
    row.because = reason_of(walk, engine.compiler().provenance());
  }
  return measured;
}

ReachComparison compare(std::span<const ReachRow> expected, std::span<const ReachRow> got) {
  WAGGLE_ASSERT(expected.size() == got.size());
  ReachComparison comparison;
  comparison.rows = expected.size();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    WAGGLE_ASSERT(identity_of(expected[i]) == identity_of(got[i]));
    if (expected[i].allowed == got[i].allowed)
      ++comparison.agree;
    else
      comparison.disagree.push_back({expected[i], got[i]});
  }
  return comparison;
}

}  // namespace waggle::simulator
