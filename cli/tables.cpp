#include "waggle/verifier/tables.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "lookup.h"
#include "session.h"
#include "tables_text.h"
#include "waggle/kernel/datapath.h"
#include "waggle/simulator/lab.h"
#include "waggle/verifier/dump.h"

namespace waggle::cli {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ClusterOptions cluster;
  std::string lab, node, pins, folder, other, json;
};

Checked<verifier::Dump> from_pins(const std::filesystem::path& pins) {
  const auto wrap = [](Error error) { return std::unexpected(Errors{std::move(error)}); };
  kernel::LoadOptions load;
  load.pin_directory = pins;
  auto sizes = kernel::pinned_entries_max(pins);
  if (!sizes) return wrap(sizes.error());
  load.entries_max = *sizes;
  const auto datapath = kernel::Datapath::load(load);
  if (!datapath) return wrap(datapath.error());
  auto tables = (*datapath)->agent_tables();
  if (!tables) return wrap(tables.error());
  const auto flows = (*datapath)->entries(agent::TableId::conntrack);
  if (!flows) return wrap(flows.error());
  verifier::Dump dump{*tables, {}};
  for (const auto& flow : *flows)
    dump.conntrack.emplace_back(flow.key.as<dp_ct_key>(), flow.value.as<dp_ct>());
  return dump;
}

Checked<verifier::Dump> compiled(const Options& options) {
  const auto cluster = TRY(options.cluster.read());
  const agent::Config config;
  agent::Ids ids(config);
  auto contexts = node_contexts(cluster);
  if (!options.node.empty()) {
    std::erase_if(contexts, [&](const auto& one) { return one.node_name != options.node; });
    if (contexts.empty())
      return std::unexpected(
          Errors{{Error::Kind::not_found, "there is no node " + options.node, "", ""}});
  }
  return verifier::Dump{TRY(agent::compile(cluster, contexts, config, ids)), {}};
}

Checked<verifier::Dump> source(const Options& options) {
  if (!options.cluster.paths.empty()) return compiled(options);
  if (!options.pins.empty()) return from_pins(options.pins);
  const auto lab = simulator::Lab::open(options.lab);
  if (!lab) return std::unexpected(Errors{lab.error()});
  const auto& nodes = (*lab)->layout().nodes;
  const auto node = options.node.empty() ? nodes.begin() : nodes.find(options.node);
  if (node == nodes.end())
    return std::unexpected(Errors{
        {Error::Kind::not_found, "there is no node " + options.node, "", "see `waggle lab exec`"}});
  return from_pins(node->second.pins);
}

int dump(const Options& options) {
  const auto given = !options.cluster.paths.empty() + !options.pins.empty() + !options.lab.empty();
  if (given != 1)
    return report_error({Error::Kind::bad_input, "say which tables", "",
                         "give one of --cluster PATH, --lab NAME, --pins DIR"});
  const auto tables = source(options);
  if (!tables) return report_errors(tables.error());
  if (const auto done = verifier::write_dump(*tables, options.folder); !done)
    return report_error(done.error());
  const auto& t = tables->tables;
  std::cout << fmt::format(
      "{}: {} services, {} backends, {} ipcache, {} ipcache_prefix, {} policy, {} endpoints, "
      "{} nodes, {} conntrack\n",
      options.folder, t.services.size(), t.backends.size(), t.ipcache.size(),
      t.ipcache_prefix.size(), t.policy.size(), t.endpoints.size(), t.nodes.size(),
      tables->conntrack.size());
  return holds;
}

int check(const Options& options) {
  kube::Cluster cluster;
  if (!options.cluster.paths.empty()) {
    auto read = options.cluster.read();
    if (!read) return report_errors(read.error());
    cluster = std::move(*read);
  }
  const auto read = verifier::read_dump(options.folder);
  if (!read) return report_errors(read.error());
  const auto answers =
      verifier::check_tables({read->tables, options.cluster.paths.empty() ? nullptr : &cluster,
                              nullptr, read->conntrack, 0});
  Json json = {{"schema", 1}, {"violations", Json::array()}};
  for (const auto& answer : answers) {
    const auto why = answer.counterexample ? answer.counterexample->to_text() : answer.detail;
    json["violations"].push_back({{"id", answer.id},
                                  {"property", answer.property},
                                  {"subject", answer.subject},
                                  {"why", why}});
    if (options.json != "-")
      std::cout << fmt::format("{} {}: {}\n  {}\n", paint_state("violated"), answer.id,
                               answer.subject, why);
  }
  if (!options.json.empty())
    if (const auto done = write_text(options.json, json.dump(2) + "\n"); !done)
      return report_error(done.error());
  if (options.json != "-" && answers.empty()) std::cout << "L1, L2, L4, L6 and L7 hold\n";
  return answers.empty() ? holds : violated;
}

/// Entry by entry: the operations that would turn one into the other.
int diff(const Options& options) {
  const auto before = verifier::read_dump(options.folder);
  if (!before) return report_errors(before.error());
  const auto after = verifier::read_dump(options.other);
  if (!after) return report_errors(after.error());
  const auto ops = agent::plan(before->tables, after->tables);
  Json json = {{"schema", 1}, {"differences", Json::array()}};
  std::size_t count = 0;
  for (const auto& op : ops) {
    if (op.kind == agent::TableOp::Kind::generation) continue;
    ++count;
    const auto table = std::string(agent::info(op.table).name);
    const auto was = op.old_value.empty() ? "" : value_text(op.table, op.old_value);
    const auto is = op.value.empty() ? "" : value_text(op.table, op.value);
    const auto key = key_text(op.table, op.key);
    json["differences"].push_back({{"table", table}, {"key", key}, {"before", was}, {"after", is}});
    if (options.json == "-") continue;
    if (!was.empty())
      std::cout << paint(Paint::bad, fmt::format("- {}[{}] {}", table, key, was)) << "\n";
    if (!is.empty())
      std::cout << paint(Paint::good, fmt::format("+ {}[{}] {}", table, key, is)) << "\n";
  }
  if (!options.json.empty())
    if (const auto done = write_text(options.json, json.dump(2) + "\n"); !done)
      return report_error(done.error());
  if (options.json != "-")
    std::cout << (count == 0 ? "no difference\n" : fmt::format("{} entries differ\n", count));
  return count == 0 ? holds : violated;
}

void add_dump(CLI::App& tables, Session& session) {
  auto* verb = tables.add_subcommand("dump", "write every table as one JSON file in a folder");
  const auto options = std::make_shared<Options>();
  options->cluster.add_to(*verb, false);
  verb->add_option("--lab", options->lab, "of a running lab")->type_name("NAME");
  verb->add_option("--pins", options->pins, "of a running datapath, pinned here")->type_name("DIR");
  verb->add_option("--node", options->node, "this node's; default: --lab the first, --cluster all")
      ->type_name("NODE");
  verb->add_option("folder", options->folder, "where to")->type_name("DIR")->required();
  verb->footer(
      "Examples:\n  waggle tables dump --cluster shop/ dump/\n"
      "  waggle tables dump --lab demo --node node-1 dump/\n"
      "  waggle tables dump --pins /sys/fs/bpf/waggle dump/");
  verb->callback([&session, options] { session.exit = dump(*options); });
}

}  // namespace

void add_tables(CLI::App& app, Session& session) {
  auto* tables = app.add_subcommand("tables", "the datapath's tables, in bpftool's JSON");
  tables->require_subcommand(1);
  add_dump(*tables, session);

  auto* check_verb = tables->add_subcommand(
      "check", "evaluate L1, L2, L4, L6, L7 on a dump; `waggle prove tables` is its proof");
  const auto checked = std::make_shared<Options>();
  checked->cluster.add_to(*check_verb, false);
  check_verb->add_option("folder", checked->folder, "a dump: <table>.json as bpftool writes them")
      ->type_name("DIR")
      ->required();
  add_json(*check_verb, checked->json, "write it as JSON");
  check_verb->footer("Example:\n  waggle tables check --cluster shop/ dump/");
  check_verb->callback([&session, checked] { session.exit = check(*checked); });

  auto* diff_verb = tables->add_subcommand("diff", "the entries in which two dumps differ");
  const auto two = std::make_shared<Options>();
  diff_verb->add_option("before", two->folder, "a dump")->type_name("DIR")->required();
  diff_verb->add_option("after", two->other, "another one")->type_name("DIR")->required();
  add_json(*diff_verb, two->json, "write it as JSON");
  diff_verb->footer("Example:\n  waggle tables diff before/ after/");
  diff_verb->callback([&session, two] { session.exit = diff(*two); });
}

}  // namespace waggle::cli
