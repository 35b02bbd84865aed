#include "waggle/simulator/explain.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "lookup.h"
#include "session.h"
#include "waggle/kernel/datapath.h"

namespace waggle::cli {

namespace {

struct Options {
  ClusterOptions cluster;
  std::string from, to, port = "80/TCP", family, json;
  bool one_way = false;
};

/// The packet, and the answer to it where it reached a pod.
struct Told {
  simulator::Explanation there;
  std::optional<simulator::Explanation> back;
};

std::string fold(const std::string& text, std::size_t indent) {
  const std::size_t width = 110;
  std::string folded;
  std::size_t column = indent;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(' ', at + 1), text.size());
    if (column + (end - at) > width && column > indent) {
      folded += "\n" + std::string(indent, ' ');
      column = indent;
      at += text[at] == ' ' ? 1 : 0;
    }
    folded += text.substr(at, end - at);
    column += end - at;
    at = end;
  }
  return folded;
}

simulator::PacketFields answer_to(const simulator::PacketFields& arrived) {
  auto answer = arrived;
  std::swap(answer.source, answer.destination);
  std::swap(answer.source_port, answer.destination_port);
  answer.source_mac = answer.destination_mac = {};
  answer.ttl = 64;
  answer.tcp_flags = simulator::syn | simulator::ack;
  if (arrived.protocol == simulator::protocol_icmp) answer.icmp_type = 0;
  if (arrived.protocol == simulator::protocol_icmp6) answer.icmp_type = 129;
  return answer;
}

Paint paint_of(const std::string& fate) {
  if (fate == "delivered" || fate == "stack" || fate == "world") return Paint::good;
  return fate == "answered" ? Paint::odd : Paint::bad;
}

void print(const simulator::Explanation& told, const std::string& title) {
  std::cout << paint(Paint::bold, title) << "\n  " << told.packet << "\n";
  std::size_t number = 0;
  for (const auto& hop : told.hops) {
    std::cout << fmt::format("\n {}  {}  {}  {}\n", ++number, paint(Paint::bold, hop.node),
                             paint(Paint::bold, hop.hook), paint(Paint::quiet, hop.about));
    for (const auto& line : hop.lines) {
      std::cout << fmt::format("      {:<12}{}", line.topic, fold(line.text, 18));
      if (!line.entry.empty())
        std::cout << "\n" << std::string(18, ' ') << paint(Paint::quiet, line.entry);
      std::cout << "\n";
    }
    std::cout << fmt::format("      {:<12}{}\n", "fate", paint(Paint::bold, fold(hop.fate, 18)));
  }
  std::cout << "\n  " << paint(paint_of(told.fate), told.verdict) << "\n";
  if (!told.advice.empty()) std::cout << "\n";
  for (const auto& line : told.advice) std::cout << "  " << line << "\n";
}

nlohmann::ordered_json to_json(const simulator::Explanation& told) {
  nlohmann::ordered_json json = {{"packet", told.packet},
                                 {"fate", told.fate},
                                 {"verdict", told.verdict},
                                 {"advice", told.advice}};
  json["hops"] = nlohmann::ordered_json::array();
  for (const auto& hop : told.hops) {
    nlohmann::ordered_json one = {{"node", hop.node}, {"hook", hop.hook}, {"fate", hop.fate}};
    one["lines"] = nlohmann::ordered_json::array();
    for (const auto& line : hop.lines)
      one["lines"].push_back({{"topic", line.topic}, {"text", line.text}, {"entry", line.entry}});
    json["hops"].push_back(std::move(one));
  }
  return json;
}

Checked<Told> walk(const Options& options) {
  auto cluster = TRY(options.cluster.read());
  std::optional<Family> family;
  if (!options.family.empty()) family = options.family == "4" ? Family::v4 : Family::v6;
  auto journey = plan_journey(cluster, options.from, options.to, options.port, family);
  if (!journey) return std::unexpected(Errors{journey.error()});
  simulator::EngineOptions engine_options;
  engine_options.config = kernel::default_config();
  engine_options.config.event_interval_s = 0;  // every packet leaves its evidence
  auto engine = TRY(simulator::TestRunEngine::create(std::move(cluster), engine_options));
  const auto tell = [&](const simulator::Walk& walk) {
    return simulator::explain(walk, engine->cluster(), engine->compiler().tables(),
                              engine->compiler().provenance());
  };
  const auto there = engine->send(journey->from, journey->packet);
  if (!there) return std::unexpected(Errors{there.error()});
  Told told{tell(*there), std::nullopt};
  const auto arrived = simulator::parse(there->packet);
  if (options.one_way || there->fate != simulator::Walk::Fate::delivered || !arrived) return told;
  const auto back = engine->send({simulator::Origin::Kind::pod, parse_key(there->where), ""},
                                 answer_to(*arrived));
  if (!back) return std::unexpected(Errors{back.error()});
  told.back = tell(*back);
  return told;
}

int run(const Options& options) {
  const auto told = walk(options);
  if (!told) return report_errors(told.error());
  const bool reached =
      told->there.fate == "delivered" || told->there.fate == "stack" || told->there.fate == "world";
  if (!options.json.empty()) {
    nlohmann::ordered_json json = {{"schema", 1}, {"there", to_json(told->there)}};
    if (told->back) json["back"] = to_json(*told->back);
    const auto text = json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    if (const auto done = write_text(options.json, text + "\n"); !done)
      return report_error(done.error());
  }
  if (options.json != "-") {
    print(told->there, fmt::format("{} to {}, port {}", options.from, options.to, options.port));
    if (told->back) {
      std::cout << "\n";
      print(*told->back, "and the answer");
    }
  }
  return reached ? holds : violated;
}

}  // namespace

void add_explain(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand(
      "explain", "walk one packet hop by hop and say which table entry decided, and who wrote it");
  const auto options = std::make_shared<Options>();
  options->cluster.add_to(*verb);
  verb->add_option("--from", options->from,
                   "the pod that sends; a workload's name is its first pod")
      ->type_name("NS/POD")
      ->required();
  verb->add_option("--to", options->to, "where to: a pod, a service or an address")
      ->type_name("NS/POD|NS/SERVICE|ADDRESS")
      ->required();
  verb->add_option("--port", options->port,
                   "destination port: 80/TCP, 53/UDP, a port's name, or icmp for an echo request")
      ->type_name("N/PROTOCOL")
      ->capture_default_str();
  verb->add_option("--family", options->family, "4 or 6; default: the first that both ends have")
      ->check(CLI::IsMember({"4", "6"}));
  verb->add_flag("--one-way", options->one_way, "leave the answer out");
  add_json(*verb, options->json, "write it as JSON");
  verb->footer(
      "The packet takes its way through the real BPF programs by BPF_PROG_TEST_RUN, so root is "
      "needed.\nExit code 0: it arrives; 1: it does not.\n\nExamples:\n"
      "  waggle explain --cluster shop/ --from shop/web --to shop/cart --port 80/TCP\n"
      "  waggle explain --cluster shop/ --from shop/web --to 203.0.113.9 --port 443\n"
      "  waggle explain --cluster shop/ --from shop/web --to shop/cart-0 --port icmp --family 6");
  verb->callback([&session, options] { session.exit = run(*options); });
}

}  // namespace waggle::cli
