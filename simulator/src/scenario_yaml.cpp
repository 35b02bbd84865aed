// A scenario file into a Scenario. The only file of this folder that sees yaml-cpp.

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "waggle/abi/verdict.h"
#include "waggle/kube/reader.h"
#include "waggle/simulator/scenario.h"

namespace waggle::simulator {
namespace {

using std::string;
using YAML::Node;

int line_of(const Node& node) { return node.Mark().line + 1; }

class Reader {
 public:
  Reader(std::filesystem::path file, string text) : text_(std::move(text)) {
    scenario_.file = std::move(file);
  }
  Checked<Scenario> read();

 private:
  using Handler = std::function<void(const Node&)>;
  using Handlers = std::map<string, Handler>;

  void error(int line, string what, string advice = {}) {
    errors_.push_back({Error::Kind::bad_input, std::move(what),
                       fmt::format("{}:{}", scenario_.file.string(), line), std::move(advice)});
  }
  void error(const Node& node, string what) { error(line_of(node), std::move(what)); }
  /// The value, or nothing and an error at the node.
  template <class T>
  std::optional<T> keep(const Node& node, Result<T> result) {
    if (result) return std::move(result).value();
    error(line_of(node), result.error().what, result.error().advice);
    return {};
  }
  template <class T>
  void into(T& to, const Node& node, Result<T> result) {
    if (auto value = keep(node, std::move(result))) to = std::move(*value);
  }
  void map(const Node& node, const string& what, const Handlers& handlers);
  void each(const Node& node, const string& what, const Handler& handler);
  string scalar(const Node& node);
  template <class T>
  std::optional<T> integer(const Node& node, T min, T max);
  template <class T>
  void integer_into(T& to, const Node& node, T min, T max) {
    if (const auto value = integer<T>(node, min, max)) to = *value;
  }
  template <class T>
  void integer_into(std::optional<T>& to, const Node& node, T min, T max) {
    to = integer<T>(node, min, max);
  }
  std::optional<bool> boolean(const Node& node);
  std::optional<Address> address(const Node& node);
  std::optional<Mac> mac(const Node& node);
  std::vector<string> strings(const Node& node, const string& what);

  void read_document(const Node& root);
  void read_objects(const Node& node, std::vector<kube::Object>& to);
  void read_knobs(const Node& node, std::map<string, std::uint32_t>& to);
  void read_tables(const Node& node, std::map<agent::TableId, std::uint32_t>& to);
  void read_agent(const Node& node, std::optional<kube::Service::Algorithm>& algorithm,
                  std::optional<bool>& cidr_selects_pods);
  void read_engines(const Node& node);
  void read_step(const Node& node);
  Handlers step_actions(Step& step, unsigned& actions);
  void read_label(const Node& node, Step& step);
  std::optional<kube::ObjectKey> object_key(const Node& node, const string& text);
  void read_overrides(const Node& node, Overrides& with);
  void read_record(const Node& node, Step& step);
  void read_flags(const Node& node, RecordExpectation& record);
  void read_packet(const Node& node, PacketExpectation& packet);
  void read_spread(const Node& node, Step& step);
  void read_what_if(const Node& node);
  void load_cluster();
  void check_labels();
  void check_step(const Step& step, const std::set<string>& known);

  string text_;
  Scenario scenario_;
  std::vector<kube::Object> objects_;
  Errors errors_;
};

void Reader::map(const Node& node, const string& what, const Handlers& handlers) {
  if (!node.IsMap()) return error(node, fmt::format("{} has to be a map", what));
  std::set<string> seen;
  for (const auto& pair : node) {
    const auto key = pair.first.Scalar();
    const auto handler = handlers.find(key);
    if (!seen.insert(key).second)
      error(pair.first, fmt::format("key '{}' stands twice", key));
    else if (handler == handlers.end())
      error(pair.first, fmt::format("{} has no key '{}'", what, key));
    else
      handler->second(pair.second);
  }
}

void Reader::each(const Node& node, const string& what, const Handler& handler) {
  if (!node.IsSequence()) return error(node, fmt::format("{} has to be a list", what));
  for (const auto& item : node) handler(item);
}

string Reader::scalar(const Node& node) {
  if (node.IsScalar()) return node.Scalar();
  error(node, "a single value is wanted here");
  return {};
}

template <class T>
std::optional<T> Reader::integer(const Node& node, T min, T max) {
  const auto text = scalar(node);
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size() || value < min ||
      value > max) {
    error(node, fmt::format("'{}' is not a number from {} to {}", text, min, max));
    return {};
  }
  return static_cast<T>(value);
}

std::optional<bool> Reader::boolean(const Node& node) {
  const auto text = scalar(node);
  if (text == "true" || text == "false") return text == "true";
  error(node, fmt::format("'{}' is neither true nor false", text));
  return {};
}

std::optional<Address> Reader::address(const Node& node) {
  return keep(node, Address::parse(scalar(node)));
}

std::optional<Mac> Reader::mac(const Node& node) {
  const auto text = scalar(node);
  Mac mac{};
  std::istringstream in(text);
  string part;
  std::size_t count = 0;
  for (; count < mac.size() && std::getline(in, part, ':') && part.size() == 2; ++count) {
    const auto [end, failure] = std::from_chars(part.data(), part.data() + 2, mac[count], 16);
    if (failure != std::errc{} || end != part.data() + 2) break;
  }
  if (count == mac.size() && text.size() == 17) return mac;
  error(node, fmt::format("'{}' is no MAC address", text));
  return {};
}

std::vector<string> Reader::strings(const Node& node, const string& what) {
  std::vector<string> all;
  each(node, what, [&](const Node& item) { all.push_back(scalar(item)); });
  return all;
}

void Reader::read_objects(const Node& node, std::vector<kube::Object>& to) {
  // Blank lines ahead make the reader count the file's own lines.
  const auto padding = string(static_cast<std::size_t>(node.Mark().line + 1), '\n');
  auto objects = kube::read_objects(padding + scalar(node), scenario_.file.string());
  if (!objects) {
    errors_.insert(errors_.end(), objects.error().begin(), objects.error().end());
    return;
  }
  if (objects->empty()) error(node, "there is no object in it");
  std::ranges::move(*objects, std::back_inserter(to));
}

void Reader::read_knobs(const Node& node, std::map<string, std::uint32_t>& to) {
  if (!node.IsMap()) return error(node, "knobs have to be a map");
  for (const auto& pair : node) {
    const auto name = pair.first.Scalar();
    const auto value = integer<std::uint32_t>(pair.second, 0, ~0U);
    dp_config scratch = scenario_.config;
    if (to.contains(name)) error(pair.first, fmt::format("key '{}' stands twice", name));
    if (!value) continue;
    if (const auto set = set_knob(scratch, name, *value); !set)
      error(line_of(pair.first), set.error().what, set.error().advice);
    to[name] = *value;
  }
}

void Reader::read_tables(const Node& node, std::map<agent::TableId, std::uint32_t>& to) {
  Handlers handlers;
  for (const auto& table : agent::all_tables())
    handlers[string(table.name)] = [this, &to, &table](const Node& value) {
      if (const auto entries = integer<std::uint32_t>(value, 1, 1U << 24)) to[table.id] = *entries;
    };
  map(node, "tables", handlers);
}

void Reader::read_agent(const Node& node, std::optional<kube::Service::Algorithm>& algorithm,
                        std::optional<bool>& cidr_selects_pods) {
  map(node, "agent",
      {{"default_algorithm",
        [&](const Node& value) {
          const auto text = scalar(value);
          if (text == "random") algorithm = kube::Service::Algorithm::random;
          if (text == "maglev") algorithm = kube::Service::Algorithm::maglev;
          if (text != "random" && text != "maglev")
            error(value, fmt::format("algorithm '{}' is neither random nor maglev", text));
        }},
       {"cidr_selects_pods", [&](const Node& value) { cidr_selects_pods = boolean(value); }}});
}

void Reader::read_engines(const Node& node) {
  scenario_.engines = strings(node, "engines");
  for (const auto& engine : scenario_.engines)
    if (engine != "test-run" && engine != "live")
      error(node, fmt::format("engine '{}' is neither test-run nor live", engine));
}

std::optional<kube::ObjectKey> Reader::object_key(const Node& node, const string& text) {
  const auto slash = text.find('/');
  if (slash == string::npos || slash + 1 == text.size()) {
    error(node, fmt::format("'{}' is no NAMESPACE/NAME", text));
    return {};
  }
  return kube::ObjectKey{text.substr(0, slash), text.substr(slash + 1)};
}

/// "Pod shop/web-0 role=db tier-": sets role, takes tier away.
void Reader::read_label(const Node& node, Step& step) {
  std::istringstream in(scalar(node));
  string name, change;
  in >> step.object_kind >> name;
  if (step.object_kind == "Namespace")
    step.object.name = name;
  else if (const auto key = object_key(node, name))
    step.object = *key;
  if (step.object_kind != "Pod" && step.object_kind != "Namespace")
    error(node, fmt::format("'{}' is neither Pod nor Namespace", step.object_kind));
  while (in >> change) {
    const auto equals = change.find('=');
    if (equals != string::npos)
      step.labels[change.substr(0, equals)] = change.substr(equals + 1);
    else if (change.ends_with('-'))
      step.labels[change.substr(0, change.size() - 1)] = std::nullopt;
    else
      error(node, fmt::format("'{}' is neither KEY=VALUE nor KEY-", change));
  }
  if (step.labels.empty()) error(node, "no label is changed");
}

void Reader::read_overrides(const Node& node, Overrides& with) {
  static const std::map<string, std::uint8_t> headers = {
      {"hop-by-hop", 0},      {"routing", 43},        {"fragment", 44},   {"esp", 50},
      {"authentication", 51}, {"no-next-header", 59}, {"destination", 60}};
  const auto u16 = [this](auto& to) {
    return [this, &to](const Node& v) { integer_into<std::uint16_t>(to, v, 0, 0xffff); };
  };
  const auto u8 = [this](auto& to) {
    return [this, &to](const Node& v) { integer_into<std::uint8_t>(to, v, 0, 0xff); };
  };
  map(node, "with",
      {{"source", [&](const Node& v) { with.source = address(v); }},
       {"destination", [&](const Node& v) { with.destination = address(v); }},
       {"source_mac", [&](const Node& v) { with.source_mac = mac(v); }},
       {"destination_mac", [&](const Node& v) { with.destination_mac = mac(v); }},
       {"ethertype", u16(with.ethertype)},
       {"protocol", u8(with.protocol)},
       {"ttl", u8(with.ttl)},
       {"fragment_offset", u16(with.fragment_offset_bytes)},
       {"more_fragments", [&](const Node& v) { with.more_fragments = boolean(v); }},
       {"payload", u16(with.payload_bytes)},
       {"quote_bytes", u16(with.quote_bytes)},
       {"ip_options", u16(with.ip_options_bytes)},
       {"quote",
        [&](const Node& v) {
          with.quote = scalar(v);
          keep(v, parse_packet_line(*with.quote));
        }},
       {"extensions",
        [&](const Node& v) {
          for (const auto& name : strings(v, "extensions"))
            if (const auto found = headers.find(name); found != headers.end())
              with.extensions.push_back(found->second);
            else
              error(v, fmt::format("'{}' is no extension header", name));
        }},
       {"udp_checksum",
        [&](const Node& v) {
          with.udp_without_checksum = scalar(v) == "none";
          if (!with.udp_without_checksum) error(v, "udp_checksum can only be 'none'");
        }},
       {"checksum", [&](const Node& v) {
          with.spoiled_checksum = scalar(v) == "wrong";
          if (!with.spoiled_checksum) error(v, "checksum can only be 'wrong'");
        }}});
}

void Reader::read_flags(const Node& node, RecordExpectation& record) {
  static const std::map<string, std::uint32_t> flags = {
      {"translated", DP_FLAG_TRANSLATED}, {"reversed", DP_FLAG_REVERSED},
      {"hairpin", DP_FLAG_HAIRPIN},       {"cached", DP_FLAG_CACHED},
      {"affinity", DP_FLAG_AFFINITY},     {"rate-limited", DP_FLAG_RATE_LIMITED}};
  for (auto name : strings(node, "flags")) {
    const bool absent = name.starts_with("not-");
    if (absent) name = name.substr(4);
    const auto found = flags.find(name);
    if (found == flags.end()) {
      error(node, fmt::format("'{}' is no flag of the record", name));
      continue;
    }
    (absent ? record.flags_absent : record.flags) |= found->second;
  }
}

void Reader::read_record(const Node& node, Step& step) {
  Handlers hooks;
  for (const char* hook : {"from_container", "to_container", "from_netdev", "to_netdev"})
    hooks[hook] = [this, &step, hook](const Node& fields) {
      RecordExpectation record;
      record.hook = hook;
      map(fields, "record",
          {{"rule", [&](const Node& v) { record.rule = scalar(v); }},
           {"backend", [&](const Node& v) { record.backend = scalar(v); }},
           {"connection",
            [&](const Node& v) {
              record.connection = scalar(v);
              static constexpr std::array states = {"none", "new", "established", "reply",
                                                    "related"};
              if (std::ranges::find(states, *record.connection) == states.end())
                error(v, fmt::format("'{}' is no state of a connection", *record.connection));
            }},
           {"flags", [&](const Node& v) { read_flags(v, record); }}});
      step.records.push_back(record);
    };
  map(node, "record", hooks);
}

void Reader::read_packet(const Node& node, PacketExpectation& packet) {
  const auto end = [this](std::optional<EndRef>& to) {
    return [this, &to](const Node& v) { to = keep(v, parse_end(scalar(v))); };
  };
  map(node, "packet",
      {{"source", end(packet.source)},
       {"destination", end(packet.destination)},
       {"inner_source", end(packet.inner_source)},
       {"inner_destination", end(packet.inner_destination)},
       {"ttl", [&](const Node& v) { integer_into<std::uint8_t>(packet.ttl, v, 0, 255); }},
       {"payload",
        [&](const Node& v) { integer_into<std::uint16_t>(packet.payload_bytes, v, 0, 0xffff); }},
       {"icmp_mtu",
        [&](const Node& v) { integer_into<std::uint32_t>(packet.icmp_mtu, v, 0, ~0U); }},
       {"length_max",
        [&](const Node& v) { integer_into<std::uint16_t>(packet.length_bytes_max, v, 1, 0xffff); }},
       {"icmp", [&](const Node& v) {
          unsigned type = 0, code = 0;
          char rest = 0;
          if (std::sscanf(scalar(v).c_str(), "%u/%u%c", &type, &code, &rest) == 2 && type < 256 &&
              code < 256)
            packet.icmp = {static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(code)};
          else
            error(v, "an ICMP type is written TYPE/CODE");
        }}});
}

/// "40%..60%", or "0%".
void Reader::read_spread(const Node& node, Step& step) {
  if (!node.IsMap()) return error(node, "spread has to be a map");
  for (const auto& pair : node) {
    Share share{.pod = pair.first.Scalar()};
    const auto text = scalar(pair.second);
    char rest = 0;
    const int found =
        std::sscanf(text.c_str(), "%u%%..%u%%%c", &share.percent_min, &share.percent_max, &rest);
    if (found == 1) share.percent_max = share.percent_min;
    if (found < 1 || found > 2 || share.percent_min > share.percent_max || share.percent_max > 100)
      error(pair.second, fmt::format("'{}' is no share, as in 40%..60%", text));
    step.spread.push_back(share);
  }
}

Reader::Handlers Reader::step_actions(Step& step, unsigned& actions) {
  const auto act = [&](Step::Kind kind, auto read) {
    return [&step, &actions, kind, read](const Node& node) {
      ++actions;
      step.kind = kind;
      if (node.IsScalar()) step.text = node.Scalar();
      read(node);
    };
  };
  const auto on_pod = [this, &step](const Node& node) {
    if (const auto key = object_key(node, scalar(node))) step.object = *key;
  };
  using Kind = Step::Kind;
  return {
      {"send", act(Kind::send,
                   [this, &step](const Node& node) {
                     into(step.packet, node, parse_packet_line(scalar(node)));
                   })},
      {"reply", act(Kind::reply,
                    [this, &step](const Node& node) {
                      std::istringstream in(scalar(node));
                      string flags, rest;
                      in >> step.reply_to >> flags >> rest;
                      if (step.reply_to.empty() || !rest.empty() ||
                          (!flags.empty() &&
                           (flags.size() < 2 || flags.front() != '[' || flags.back() != ']')))
                        error(node, "a reply is 'LABEL [SA]'");
                      else if (!flags.empty())
                        step.reply_flags =
                            keep(node, parse_tcp_flags(flags.substr(1, flags.size() - 2)));
                    })},
      {"apply", act(Kind::apply,
                    [this, &step](const Node& node) {
                      read_objects(node, step.objects);
                      step.text = fmt::format("{} object(s)", step.objects.size());
                    })},
      {"delete", act(Kind::remove,
                     [this, &step](const Node& node) {
                       std::istringstream in(scalar(node));
                       string name;
                       in >> step.object_kind >> name;
                       if (const auto key = object_key(node, name)) step.object = *key;
                     })},
      {"label", act(Kind::label, [this, &step](const Node& node) { read_label(node, step); })},
      {"ready", act(Kind::ready, on_pod)},
      {"unready", act(Kind::unready, on_pod)},
      {"terminate", act(Kind::terminate, on_pod)},
      {"collect_garbage", act(Kind::collect_garbage,
                              [this, &step](const Node& node) {
                                if (scalar(node) != "any")
                                  step.collected = integer<unsigned>(node, 0, ~0U);
                              })},
      {"reach", act(Kind::reach,
                    [this, &step](const Node& node) {
                      step.table = scenario_.file.parent_path() / scalar(node);
                      if (!std::filesystem::exists(step.table))
                        error(node, fmt::format("'{}' does not exist", scalar(node)));
                    })},
  };
}

void Reader::read_step(const Node& node) {
  Step step;
  step.line = line_of(node);
  if (!scenario_.steps.empty()) step.at = scenario_.steps.back().at;
  unsigned actions = 0;
  Handlers handlers = step_actions(step, actions);
  handlers["at"] = [&](const Node& v) {
    into(step.at, v, parse_duration(scalar(v)));
    if (step.at < (scenario_.steps.empty() ? Nanoseconds(0) : scenario_.steps.back().at))
      error(v, "time does not go back");
  };
  handlers["as"] = [&](const Node& v) { step.as = scalar(v); };
  handlers["with"] = [&](const Node& v) { read_overrides(v, step.with); };
  handlers["repeat"] = [&](const Node& v) { integer_into<unsigned>(step.repeat, v, 1, 20000); };
  handlers["vary"] = [&](const Node& v) {
    step.same_port = scalar(v) == "nothing";
    if (!step.same_port && scalar(v) != "port") error(v, "vary is 'port' or 'nothing'");
  };
  handlers["expect"] = [&](const Node& v) { step.expect = keep(v, parse_expectation(scalar(v))); };
  handlers["record"] = [&](const Node& v) { read_record(v, step); };
  handlers["packet"] = [&](const Node& v) {
    step.has_packet_expect = true;
    read_packet(v, step.packet_expect);
  };
  handlers["spread"] = [&](const Node& v) { read_spread(v, step); };
  handlers["tables"] = [&](const Node& v) {
    std::map<agent::TableId, std::uint32_t> ignored;
    if (!v.IsMap()) return error(v, "tables has to be a map");
    for (const auto& pair : v) {
      const auto name = pair.first.Scalar();
      if (std::ranges::find(agent::all_tables(), name, &agent::TableInfo::name) ==
          agent::all_tables().end())
        error(pair.first, fmt::format("tables has no key '{}'", name));
      if (const auto count = integer<unsigned>(pair.second, 0, 1U << 24))
        step.tables[name] = *count;
    }
  };
  map(node, "a step", handlers);
  const bool packet = step.kind == Step::Kind::send || step.kind == Step::Kind::reply;
  if (actions > 1) error(node, "a step does one thing");
  if (actions == 0 && step.tables.empty())
    error(node, "a step that does nothing and checks nothing");
  if (packet && !step.expect && step.spread.empty()) error(node, "a packet without 'expect'");
  if (!packet && (step.expect || step.has_packet_expect || !step.records.empty()))
    error(node, "only a packet has 'expect', 'record' and 'packet'");
  scenario_.steps.push_back(std::move(step));
}

void Reader::read_what_if(const Node& node) {
  WhatIf what_if;
  what_if.line = line_of(node);
  map(node, "what_if",
      {{"set", [&](const Node& v) { read_knobs(v, what_if.set); }},
       {"agent",
        [&](const Node& v) {
          read_agent(v, what_if.default_algorithm, what_if.cidr_selects_pods);
        }},
       {"tables", [&](const Node& v) { read_tables(v, what_if.tables); }},
       {"without", [&](const Node& v) { what_if.without = strings(v, "without"); }},
       {"changes", [&](const Node& v) {
          if (!v.IsMap()) return error(v, "changes has to be a map");
          for (const auto& pair : v)
            if (auto expectation = keep(pair.second, parse_expectation(scalar(pair.second))))
              what_if.changes[pair.first.Scalar()] = std::move(*expectation);
        }}});
  if (what_if.changes.empty()) error(node, "a what_if that changes nothing shows nothing");
  scenario_.what_if.push_back(std::move(what_if));
}

void Reader::read_document(const Node& root) {
  std::optional<kube::Service::Algorithm> algorithm;
  std::optional<bool> cidr_selects_pods;
  std::map<string, std::uint32_t> knobs;
  scenario_.invariants = {"L1", "L2", "L4", "L6", "L7"};
  map(root, "a scenario",
      {{"name", [&](const Node& v) { scenario_.name = scalar(v); }},
       {"why", [&](const Node& v) { scenario_.why = scalar(v); }},
       {"cluster",
        [&](const Node& v) {
          for (const auto& path : strings(v, "cluster")) {
            scenario_.cluster_paths.push_back(scenario_.file.parent_path() / path);
            if (!std::filesystem::exists(scenario_.cluster_paths.back()))
              error(v, fmt::format("'{}' does not exist", path));
          }
        }},
       {"objects", [&](const Node& v) { read_objects(v, objects_); }},
       {"config", [&](const Node& v) { read_knobs(v, knobs); }},
       {"agent", [&](const Node& v) { read_agent(v, algorithm, cidr_selects_pods); }},
       {"tables", [&](const Node& v) { read_tables(v, scenario_.entries_max); }},
       {"seed", [&](const Node& v) { integer_into<std::uint64_t>(scenario_.seed, v, 0, ~0ULL); }},
       {"engines", [&](const Node& v) { read_engines(v); }},
       {"not_live", [&](const Node& v) { scenario_.not_live = scalar(v); }},
       {"invariants", [&](const Node& v) { scenario_.invariants = strings(v, "invariants"); }},
       {"steps", [&](const Node& v) { each(v, "steps", [&](const Node& s) { read_step(s); }); }},
       {"what_if",
        [&](const Node& v) { each(v, "what_if", [&](const Node& w) { read_what_if(w); }); }}});
  for (const auto& [name, value] : knobs) std::ignore = set_knob(scenario_.config, name, value);
  scenario_.agent.default_algorithm = algorithm.value_or(scenario_.agent.default_algorithm);
  scenario_.agent.cidr_selects_pods = cidr_selects_pods.value_or(scenario_.agent.cidr_selects_pods);
}

void Reader::load_cluster() {
  if (!scenario_.cluster_paths.empty()) {
    auto cluster = kube::read_cluster(scenario_.cluster_paths);
    if (!cluster) {
      errors_.insert(errors_.end(), cluster.error().begin(), cluster.error().end());
      return;
    }
    scenario_.cluster = std::move(*cluster);
  }
  auto result = kube::add_objects(scenario_.cluster, std::move(objects_));
  if (result) result = kube::complete(scenario_.cluster);
  if (!result) errors_.insert(errors_.end(), result.error().begin(), result.error().end());
}

void Reader::check_step(const Step& step, const std::set<string>& known) {
  const auto wants = [&](const string& label) {
    if (!label.empty() && !known.contains(label))
      error(step.line, fmt::format("no earlier packet is labelled '{}'", label));
  };
  wants(step.reply_to);
  wants(step.packet.about);
  if (step.expect) wants(step.expect->as);
}

void Reader::check_labels() {
  std::set<string> packets, all;
  for (const auto& step : scenario_.steps) {
    check_step(step, packets);
    if (step.as.empty()) continue;
    if (!all.insert(step.as).second)
      error(step.line, fmt::format("label '{}' stands twice", step.as));
    if (step.kind == Step::Kind::send || step.kind == Step::Kind::reply) packets.insert(step.as);
  }
  for (const auto& what_if : scenario_.what_if) {
    for (const auto& label : what_if.without)
      if (!all.contains(label)) error(what_if.line, fmt::format("no step is labelled '{}'", label));
    for (const auto& [label, expectation] : what_if.changes) {
      const auto step = std::ranges::find(scenario_.steps, label, &Step::as);
      if (step == scenario_.steps.end() || !packets.contains(label))
        error(what_if.line, fmt::format("no packet is labelled '{}'", label));
      else if (step->expect && step->expect->text == expectation.text)
        error(what_if.line, fmt::format("'{}' does not change", label));
    }
  }
}

Checked<Scenario> Reader::read() {
#define WAGGLE_INITIAL(type, knob, initial, min, max, help) scenario_.config.knob = initial;
  DP_CONFIG(WAGGLE_INITIAL)
#undef WAGGLE_INITIAL
  try {
    read_document(YAML::Load(text_));
  } catch (const YAML::Exception& exception) {
    error(exception.mark.line + 1, exception.msg);
    return std::unexpected(std::move(errors_));
  }
  if (scenario_.name.empty()) error(1, "a scenario needs a name");
  if (scenario_.name != scenario_.file.stem())
    error(1, fmt::format("name '{}' is not the file's name", scenario_.name));
  if (scenario_.why.empty()) error(1, "a scenario says why it is there");
  if (scenario_.steps.empty()) error(1, "a scenario needs steps");
  if (scenario_.engines.empty()) scenario_.engines = {"test-run", "live"};
  const bool live = std::ranges::find(scenario_.engines, "live") != scenario_.engines.end();
  if (live != scenario_.not_live.empty())
    error(1, live ? "'not_live' stands, but engine live is named" : "engine live is left out",
          live ? "" : "say why in not_live");
  check_labels();
  load_cluster();
  if (!errors_.empty()) return std::unexpected(std::move(errors_));
  return std::move(scenario_);
}

}  // namespace

Checked<Scenario> read_scenario_text(const std::filesystem::path& file, std::string_view text) {
  return Reader(file, string(text)).read();
}

Checked<Scenario> read_scenario(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in)
    return std::unexpected(
        Errors{{Error::Kind::not_found, "the file cannot be read", file.string(), {}}});
  std::ostringstream text;
  text << in.rdbuf();
  return read_scenario_text(file, text.str());
}

Result<std::vector<std::filesystem::path>> find_scenarios(
    const std::vector<std::filesystem::path>& paths) {
  namespace fs = std::filesystem;
  std::vector<fs::path> found;
  for (const auto& path : paths) {
    std::error_code failure;
    if (fs::is_regular_file(path, failure)) {
      found.push_back(path);
      continue;
    }
    fs::recursive_directory_iterator walk(path, failure);
    if (failure)
      return std::unexpected(
          Error{Error::Kind::not_found, "there is no such file or folder", path.string(), {}});
    for (; walk != fs::recursive_directory_iterator(); ++walk) {
      const auto name = walk->path().filename();
      if (walk->is_directory() && (name == "clusters" || name == "truth"))
        walk.disable_recursion_pending();
      else if (walk->path().extension() == ".yaml")
        found.push_back(walk->path());
    }
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace waggle::simulator
