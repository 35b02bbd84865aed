#include "waggle/simulator/reach.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <ranges>
#include <set>

#include "lookup.h"
#include "session.h"
#include "waggle/kernel/datapath.h"
#include "waggle/verifier/reach.h"

namespace waggle::cli {

namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<simulator::ReachRow>;

struct Options {
  ClusterOptions cluster;
  std::string expect, engine = "test-run", json, csv;
  std::vector<std::string> ports;
};

/// One engine's verdicts, row by row.
struct Verdicts {
  std::string engine;
  Rows rows;
};

Checked<Rows> by_packets(const kube::Cluster& cluster, const Rows& rows) {
  simulator::EngineOptions options;
  options.config = kernel::default_config();
  const auto engine = TRY(simulator::TestRunEngine::create(cluster, options));
  auto measured = simulator::measure(*engine, rows);
  if (!measured) return std::unexpected(Errors{measured.error()});
  return *measured;
}

/// The tables' formula of the prover. Where the objects say otherwise, that is told in `because`.
Checked<Rows> by_prover(const kube::Cluster& cluster, const Rows& rows) {
  const agent::Config config;
  agent::Ids ids(config);
  agent::Provenance provenance;
  const auto nodes = node_contexts(cluster);
  const auto tables = TRY(agent::compile(cluster, nodes, config, ids, &provenance));
  const verifier::Reach reach({cluster, tables, nodes, {}, &provenance});
  Rows judged = rows;
  for (auto& row : judged) {
    if (row.is_self()) {
      row.allowed = true;
      row.because = "a pod's own address never leaves the pod";
      continue;
    }
    const verifier::ReachQuery query{row.source, row.destination, row.protocol, row.port};
    const auto found = reach.by_tables(query);
    const auto wanted = reach.by_spec(query);
    if (!found || !wanted) return std::unexpected(Errors{found ? wanted.error() : found.error()});
    row.allowed = found->allowed;
    row.because = found->why;
    if (found->allowed != wanted->allowed) row.because += "; but the objects say: " + wanted->why;
  }
  return judged;
}

Checked<std::vector<Verdicts>> judge(const Options& options, const kube::Cluster& cluster,
                                     const Rows& rows) {
  std::vector<Verdicts> all;
  if (options.engine != "prove") all.push_back({"test-run", TRY(by_packets(cluster, rows))});
  if (options.engine != "test-run") all.push_back({"prove", TRY(by_prover(cluster, rows))});
  return all;
}

std::vector<simulator::ReachPort> declared_ports(const kube::Cluster& cluster) {
  std::set<std::pair<kube::Protocol, std::uint16_t>> distinct;
  for (const auto& entry : cluster.pods)
    for (const auto& port : entry.second.ports) distinct.emplace(port.protocol, port.port);
  if (distinct.empty()) distinct.emplace(kube::Protocol::tcp, 80);
  std::vector<simulator::ReachPort> ports;
  for (const auto& [protocol, port] : distinct) ports.push_back({protocol, port});
  return ports;
}

Checked<Rows> rows_asked(const Options& options, const kube::Cluster& cluster) {
  if (!options.expect.empty()) {
    auto rows = TRY(simulator::read_reach_table(options.expect));
    TRY(simulator::check_pods(cluster, rows, options.expect));
    return rows;
  }
  std::vector<simulator::ReachPort> ports;
  for (const auto& text : options.ports) {
    const auto port = parse_port(text);
    if (!port) return std::unexpected(Errors{port.error()});
    if (port->port == 0)
      return std::unexpected(Errors{
          {Error::Kind::bad_input, "port " + text + " is not N/PROTOCOL", "", "such as 80/TCP"}});
    ports.push_back({static_cast<kube::Protocol>(port->protocol), port->port});
  }
  return simulator::all_pairs(cluster, ports.empty() ? declared_ports(cluster) : ports);
}

std::string word(bool allowed) { return allowed ? "allow" : "deny"; }

struct Disagreement {
  simulator::ReachRow expected, got;
  std::string engine;
};

/// Every engine against the expected table, or against the first engine.
std::vector<Disagreement> disagreements(const std::vector<Verdicts>& all, const Rows& expected) {
  std::vector<Disagreement> found;
  for (const auto& one : all)
    for (auto& [wanted, got] : simulator::compare(expected, one.rows).disagree)
      found.push_back({wanted, got, one.engine});
  return found;
}

std::string row_text(const simulator::ReachRow& row) {
  return fmt::format("{} > {} {}/{}", row.source.to_string(), row.destination.to_string(), row.port,
                     kube::to_string(row.protocol));
}

Json to_json(const std::vector<Disagreement>& wrong, const std::vector<Verdicts>& all,
             std::size_t agree) {
  Json json = {{"schema", 1}, {"rows", all.front().rows.size()}, {"agree", agree}};
  json["engines"] = Json::array();
  for (const auto& one : all) json["engines"].push_back(one.engine);
  json["disagree"] = Json::array();
  for (const auto& one : wrong)
    json["disagree"].push_back({{"src", one.got.source.to_string()},
                                {"dst", one.got.destination.to_string()},
                                {"protocol", kube::to_string(one.got.protocol)},
                                {"port", one.got.port},
                                {"expected", word(one.expected.allowed)},
                                {"got", word(one.got.allowed)},
                                {"engine", one.engine},
                                {"because", one.got.because}});
  return json;
}

/// A matrix a port: sources down, destinations across.
void print_table(const Rows& rows) {
  std::map<std::pair<std::uint16_t, std::string>,
           std::map<kube::ObjectKey, std::map<kube::ObjectKey, bool>>>
      tables;
  for (const auto& row : rows)
    tables[{row.port, kube::to_string(row.protocol)}][row.source][row.destination] = row.allowed;
  for (const auto& [port, table] : tables) {
    std::cout << paint(Paint::bold, fmt::format("{}/{}", port.first, port.second))
              << paint(Paint::quiet, "   from, down; to, across; + reaches, . does not\n");
    std::size_t number = 0;
    for (const auto& [source, destinations] : table) {
      std::cout << fmt::format("{:>4} {:<34} ", ++number, source.to_string());
      for (const auto& entry : destinations)
        std::cout << (entry.second ? paint(Paint::good, "+") : paint(Paint::quiet, ".")) << " ";
      std::cout << "\n";
    }
    std::cout << "\n";
  }
}

constexpr std::size_t printed_max = 20;

void print(const std::vector<Disagreement>& wrong, const Options& options, std::size_t rows,
           std::size_t agree, const std::vector<Verdicts>& all) {
  if (options.expect.empty()) print_table(all.front().rows);
  for (const auto& one : wrong | std::views::take(printed_max))
    std::cout << fmt::format("{} line {}: {}: expected {}, {} got {}\n  because {}\n",
                             paint(Paint::bad, "differs"), one.expected.line, row_text(one.got),
                             word(one.expected.allowed), one.engine, word(one.got.allowed),
                             one.got.because);
  if (wrong.size() > printed_max)
    std::cout << fmt::format("... and {} more; --json has all of them\n",
                             wrong.size() - printed_max);
  std::string engines;
  for (const auto& one : all) engines += (engines.empty() ? "" : " and ") + one.engine;
  if (options.expect.empty())
    std::cout << fmt::format("{} rows by {}{}\n", rows, engines,
                             all.size() < 2 ? "" : fmt::format(", {} agree", agree));
  else
    std::cout << fmt::format("{} of {} rows of {} agree with {}\n", agree, rows, options.expect,
                             engines);
}

int run(const Options& options) {
  const auto cluster = options.cluster.read();
  if (!cluster) return report_errors(cluster.error());
  const auto rows = rows_asked(options, *cluster);
  if (!rows) return report_errors(rows.error());
  const auto all = judge(options, *cluster, *rows);
  if (!all) return report_errors(all.error());
  const auto wrong = disagreements(*all, options.expect.empty() ? all->front().rows : *rows);
  std::set<std::string> rows_wrong;
  for (const auto& one : wrong) rows_wrong.insert(row_text(one.got));
  const auto agree = rows->size() - rows_wrong.size();
  Errors errors;
  const auto put = [&](const std::string& path, const std::string& text) {
    if (path.empty()) return;
    if (const auto done = write_text(path, text); !done) errors.push_back(done.error());
  };
  put(options.json, to_json(wrong, *all, agree).dump(2) + "\n");
  put(options.csv, simulator::to_csv(all->front().rows));
  if (!errors.empty()) return report_errors(errors);
  if (options.json != "-" && options.csv != "-") print(wrong, options, rows->size(), agree, *all);
  return wrong.empty() ? holds : violated;
}

}  // namespace

void add_reach(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand(
      "reach", "who reaches whom: the whole table, or its agreement with an expected one");
  const auto options = std::make_shared<Options>();
  options->cluster.add_to(*verb);
  verb->add_option("--expect", options->expect,
                   "compare with this table: "
                   "src_ns,src_pod,dst_ns,dst_pod,protocol,port,verdict (allow or deny)")
      ->type_name("CSV");
  verb->add_option("--engine", options->engine,
                   "test-run sends packets through the programs (needs root), prove asks the "
                   "prover's formulas, all does both and compares")
      ->check(CLI::IsMember({"test-run", "prove", "all"}))
      ->capture_default_str();
  verb->add_option("--port", options->ports,
                   "without --expect: ask for this port; may be given several times; default: "
                   "every port that a pod declares")
      ->type_name("N/PROTOCOL")
      ->allow_extra_args(false);
  verb->add_option("--csv", options->csv, "write the first engine's table; - is stdout")
      ->type_name("FILE");
  add_json(*verb, options->json, "write the comparison as JSON");
  verb->footer(
      "Exit code 1: a row differs.\n\nExamples:\n  waggle reach --cluster shop/\n"
      "  waggle reach --cluster shop/ --port 80/TCP --csv table.csv\n"
      "  waggle reach --cluster shop/ --expect table.csv --engine all");
  verb->callback([&session, options] { session.exit = run(*options); });
}

}  // namespace waggle::cli
