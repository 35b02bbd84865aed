#include "waggle/simulator/lab.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "lookup.h"
#include "session.h"

namespace waggle::cli {

namespace {

using simulator::Lab;

struct Options {
  std::string name = "waggle";
  ClusterOptions cluster;
  bool offloads = false, all = false;
  std::string from, to, port = "80", kind = "requests", json;
  double seconds = 3;
  unsigned parallel = 4;
  std::vector<std::string> command;
};

void name_option(CLI::App& verb, Options& options) {
  verb.add_option("--name", options.name, "which lab")->type_name("NAME")->capture_default_str();
}

std::string addresses_text(const std::vector<Address>& addresses) {
  std::string text;
  for (const auto& address : addresses) text += (text.empty() ? "" : " ") + address.to_string();
  return text;
}

void print(const simulator::LabLayout& layout) {
  for (const auto& [name, node] : layout.nodes) {
    std::cout << fmt::format("{}  {}\n", paint(Paint::bold, name), addresses_text(node.addresses));
    for (const auto& [key, pod] : layout.pods)
      if (pod.node == name)
        std::cout << fmt::format("  {:<32} {}\n", key.to_string(), addresses_text(pod.addresses));
  }
  for (const auto& [key, addresses] : layout.services)
    std::cout << fmt::format("{} {:<26} {}\n", paint(Paint::quiet, "service"), key.to_string(),
                             addresses_text(addresses));
}

int up(const Options& options) {
  auto cluster = options.cluster.read();
  if (!cluster) return report_errors(cluster.error());
  simulator::LabOptions lab_options;
  lab_options.offloads = options.offloads;
  lab_options.serve = false;  // a process of its own does, which stays
  auto lab = Lab::up(options.name, std::move(*cluster), lab_options);
  if (!lab) return report_errors(lab.error());
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const auto started = simulator::start_server_process(
      options.name, {self.string(), "lab", "serve", "--name", options.name});
  if (!started) return report_error(started.error());
  (*lab)->keep();
  print((*lab)->layout());
  const auto name = options.name == "waggle" ? "" : " --name " + options.name;
  std::cout << fmt::format(
      "\nThe lab {0} is up; every declared container port answers. Try:\n"
      "  waggle lab exec{1} NS/POD -- ip -brief address\n"
      "  waggle lab traffic{1} --from NS/POD --to NS/SERVICE --port 80\n"
      "  waggle tables dump --lab {0} dump/\n"
      "  waggle lab down{1}\n",
      options.name, name);
  return holds;
}

int down(const Options& options) {
  const auto names = options.all ? Lab::list() : std::vector{options.name};
  int exit = holds;
  for (const auto& name : names)
    if (const auto done = Lab::down(name); !done) exit = report_error(done.error());
  return exit;
}

/// "NS/POD" or "node NAME" as "node/NAME" would be ambiguous: a bare name is a node.
Result<simulator::Origin> place_of(const simulator::LabLayout& layout, const std::string& text) {
  simulator::Origin origin;
  if (layout.nodes.contains(text)) {
    origin.kind = simulator::Origin::Kind::node;
    origin.node = text;
    return origin;
  }
  origin.pod = parse_key(text);
  if (layout.pods.contains(origin.pod)) return origin;
  for (const auto& entry : layout.pods)
    if (entry.first.namespace_name == origin.pod.namespace_name &&
        entry.first.name.starts_with(origin.pod.name + "-")) {
      origin.pod = entry.first;
      return origin;
    }
  return std::unexpected(Error{Error::Kind::not_found, "the lab has no pod or node " + text, "",
                               "see `waggle lab show`"});
}

int exec(const Options& options) {
  const auto lab = Lab::open(options.name);
  if (!lab) return report_error(lab.error());
  const auto place = place_of((*lab)->layout(), options.from);
  if (!place) return report_error(place.error());
  const auto code = (*lab)->exec(*place, options.command);
  return code ? *code : report_error(code.error());
}

Result<Address> address_of(const simulator::LabLayout& layout, const std::string& text) {
  if (const auto address = Address::parse(text)) return *address;
  const auto service = layout.services.find(parse_key(text));
  if (service != layout.services.end() && !service->second.empty()) return service->second.front();
  const auto place = TRY(place_of(layout, text));
  const auto& addresses = place.kind == simulator::Origin::Kind::node
                              ? layout.nodes.at(place.node).addresses
                              : layout.pods.at(place.pod).addresses;
  if (addresses.empty())
    return std::unexpected(Error{Error::Kind::not_found, text + " has no address", "", ""});
  return addresses.front();
}

nlohmann::ordered_json to_json(const simulator::TrafficResult& result) {
  return {{"schema", 1},
          {"seconds", result.seconds},
          {"bits_per_second", result.bits_per_second},
          {"requests_per_second", result.requests_per_second},
          {"requests", result.requests},
          {"errors", result.errors},
          {"retransmits", result.retransmits},
          {"p50_us", result.p50_us},
          {"p90_us", result.p90_us},
          {"p99_us", result.p99_us},
          {"p999_us", result.p999_us},
          {"max_us", result.max_us},
          {"drops", result.drops}};
}

void print(const simulator::TrafficResult& result, bool stream) {
  if (stream)
    std::cout << fmt::format("{:.2f} Gbit/s, {} retransmits, {:.1f} s\n",
                             result.bits_per_second / 1e9, result.retransmits, result.seconds);
  else
    std::cout << fmt::format(
        "{:.0f} requests/s, {} answered, {} errors, {:.1f} s\n"
        "round trip  p50 {:.0f} us  p90 {:.0f} us  p99 {:.0f} us  p99.9 {:.0f} us  max {:.0f} us\n",
        result.requests_per_second, result.requests - result.errors, result.errors, result.seconds,
        result.p50_us, result.p90_us, result.p99_us, result.p999_us, result.max_us);
  for (const auto& [reason, count] : result.drops)
    std::cout << fmt::format("dropped {}: {}\n", paint(Paint::bad, reason), count);
}

int traffic(const Options& options) {
  using Kind = simulator::Traffic::Kind;
  static const std::map<std::string, Kind> kinds = {{"stream", Kind::stream},
                                                    {"requests", Kind::requests},
                                                    {"connections", Kind::connections},
                                                    {"datagrams", Kind::datagrams}};
  const auto lab = Lab::open(options.name);
  if (!lab) return report_error(lab.error());
  const auto& layout = (*lab)->layout();
  const auto from = place_of(layout, options.from);
  if (!from) return report_error(from.error());
  const auto to = address_of(layout, options.to);
  if (!to) return report_error(to.error());
  const auto port = parse_port(options.port);
  if (!port) return report_error(port.error());
  const auto result =
      (*lab)->traffic({.kind = kinds.at(options.kind),
                       .from = from->pod,
                       .to = *to,
                       .port = port->port,
                       .duration = std::chrono::duration_cast<simulator::Nanoseconds>(
                           std::chrono::duration<double>(options.seconds)),
                       .parallel = options.parallel});
  if (!result) return report_error(result.error());
  if (!options.json.empty())
    if (const auto done = write_text(options.json, to_json(*result).dump(2) + "\n"); !done)
      return report_error(done.error());
  if (options.json != "-") print(*result, options.kind == "stream");
  const bool nothing = result->requests == 0 && result->bits_per_second <= 0;
  return nothing || result->errors > 0 ? violated : holds;
}

int show(const Options& options) {
  const auto lab = Lab::open(options.name);
  if (!lab) return report_error(lab.error());
  print((*lab)->layout());
  return holds;
}

int serve(const Options& options) {
  const auto done = simulator::serve_lab(options.name);
  return done ? holds : report_error(done.error());
}

using Run = int (*)(const Options&);
CLI::App* add(CLI::App& lab, Session& session, const std::shared_ptr<Options>& options,
              const char* name, const char* text, Run run) {
  auto* verb = lab.add_subcommand(name, text);
  name_option(*verb, *options);
  verb->callback([&session, options, run] { session.exit = run(*options); });
  return verb;
}

void add_traffic(CLI::App& lab, Session& session, const std::shared_ptr<Options>& options) {
  auto* verb = add(lab, session, options, "traffic", "send real traffic and measure it", traffic);
  verb->add_option("--from", options->from, "the pod that sends")->type_name("NS/POD")->required();
  verb->add_option("--to", options->to, "where to")
      ->type_name("NS/POD|NS/SERVICE|ADDRESS")
      ->required();
  verb->add_option("--port", options->port, "destination port")
      ->type_name("N")
      ->capture_default_str();
  verb->add_option("--kind", options->kind,
                   "requests over open connections, a connection each, datagrams, or one stream")
      ->check(CLI::IsMember({"requests", "connections", "datagrams", "stream"}))
      ->capture_default_str();
  verb->add_option("--seconds", options->seconds, "how long")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  verb->add_option("--parallel", options->parallel, "connections at a time")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  add_json(*verb, options->json, "write it as JSON");
  verb->footer(
      "Exit code 1: something stayed unanswered.\n\nExample:\n"
      "  waggle lab traffic --from shop/web --to shop/cart --port 80 --kind connections");
}

}  // namespace

void add_lab(CLI::App& app, Session& session) {
  auto* lab = app.add_subcommand(
      "lab", "the cluster on this machine: network namespaces with the datapath attached");
  lab->require_subcommand(1);
  lab->footer(
      "Needs root. Example:\n  waggle lab up --cluster shop/\n"
      "  waggle lab exec shop/web -- ping -c1 10.244.1.2\n  waggle lab down");
  const auto options = std::make_shared<Options>();
  auto* up_verb = add(*lab, session, options, "up", "bring a lab up", up);
  options->cluster.add_to(*up_verb);
  up_verb->add_flag("--offloads", options->offloads,
                    "leave checksum and segmentation offload on: faster, captures look odd");
  auto* exec_verb =
      add(*lab, session, options, "exec", "run a program in a pod or on a node", exec);
  exec_verb->add_option("where", options->from, "where")->type_name("NS/POD|NODE")->required();
  exec_verb->add_option("command", options->command, "what, after --")->required();
  exec_verb->footer(
      "Ends with the program's exit code.\n\nExample:\n"
      "  waggle lab exec shop/web -- ip -brief address");
  add_traffic(*lab, session, options);
  add(*lab, session, options, "show", "its nodes, pods, services and their addresses", show);
  auto* down_verb =
      add(*lab, session, options, "down", "take a lab down, also a crashed one", down);
  down_verb->add_flag("--all", options->all, "every lab on this machine");
  add(*lab, session, options, "serve", "answer on declared ports (started by up)", serve)
      ->group("");
}

}  // namespace waggle::cli
