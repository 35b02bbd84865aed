#include "waggle/simulator/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runner_expect.h"
#include "runner_packet.h"
#include "waggle/simulator/reach.h"

namespace waggle::simulator {
namespace {

using kube::Change;
using std::string;

string time_text(Nanoseconds at) {
  static constexpr std::array<std::pair<std::int64_t, const char*>, 3> units = {
      {{1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "us"}}};
  for (const auto& [size, unit] : units)
    if (at.count() % size == 0) return fmt::format("{}{}", at.count() / size, unit);
  return fmt::format("{}ns", at.count());
}

string errors_text(const Errors& errors) {
  string text;
  for (const auto& error : errors) text += (text.empty() ? "" : "; ") + to_string(error);
  return text;
}

string hex(const Packet& packet) {
  string text;
  for (const auto byte : packet) text += fmt::format("{:02x}", byte);
  return text;
}

/// One pass over the steps: the scenario itself, or one of its what_ifs.
class Pass {
 public:
  Pass(const Scenario& scenario, const RunOptions& options, const WhatIf* what_if, string prefix,
       ScenarioRun& run)
      : scenario_(scenario),
        options_(options),
        what_if_(what_if),
        prefix_(std::move(prefix)),
        run_(run) {}
  /// Error: the scenario could not be run to its end.
  Checked<> go();

 private:
  struct Sent {
    Walk walk;
    std::optional<PacketFields> packet;
  };

  EngineOptions engine_options() const;
  Checked<> run(const Step& step);
  Checked<> change(const Step& step);
  Checked<std::vector<Change>> edits_of(const Step& step) const;
  Result<kube::Object> edited(const Step& step) const;
  Result<> send(const Step& step);
  Result<std::optional<Outgoing>> outgoing(const Step& step, unsigned repetition);
  void judge(const Step& step, const std::vector<Sent>& all, const string& what);
  std::vector<string> problems(const Step& step, const Expectation* wanted, const Sent& sent) const;
  void judge_spread(const Step& step, const std::vector<Sent>& all, const string& what);
  Result<> collect(const Step& step);
  Checked<> reach(const Step& step);
  Result<> count_tables(const Step& step);
  void check_invariants(const Step& step);
  const Expectation* wanted_of(const Step& step, bool& changed) const;
  ScenarioCheck& add(const Step& step, string what, string expected, string got, bool ok);
  Judged judged(const Sent& sent) const {
    return {sent.walk, sent.packet ? &*sent.packet : nullptr, names_,
            engine_->compiler().provenance()};
  }

  const Scenario& scenario_;
  const RunOptions& options_;
  const WhatIf* what_if_;
  string prefix_;
  ScenarioRun& run_;
  std::unique_ptr<Engine> engine_;
  AddressNames names_;
  std::map<string, Sent> labelled_;
  Nanoseconds at_{0};
};

ScenarioCheck& Pass::add(const Step& step, string what, string expected, string got, bool ok) {
  auto& check = run_.checks.emplace_back();
  check.at = prefix_ + time_text(step.at);
  check.line = step.line;
  check.what = std::move(what);
  check.expected = std::move(expected);
  check.got = std::move(got);
  check.ok = ok;
  return check;
}

EngineOptions Pass::engine_options() const {
  EngineOptions options;
  options.config = scenario_.config;
  options.agent = scenario_.agent;
  options.entries_max = scenario_.entries_max;
  options.seed = run_.seed;
  for (const auto& [knob, value] : options_.set)
    std::ignore = set_knob(options.config, knob, value);
  if (what_if_ == nullptr) return options;
  for (const auto& [knob, value] : what_if_->set)
    std::ignore = set_knob(options.config, knob, value);
  for (const auto& [table, entries] : what_if_->tables) options.entries_max[table] = entries;
  if (what_if_->default_algorithm) options.agent.default_algorithm = *what_if_->default_algorithm;
  if (what_if_->cidr_selects_pods) options.agent.cidr_selects_pods = *what_if_->cidr_selects_pods;
  return options;
}

Checked<> Pass::go() {
  auto engine = options_.make ? options_.make(scenario_.cluster, engine_options())
                              : [&]() -> Checked<std::unique_ptr<Engine>> {
    return TestRunEngine::create(scenario_.cluster, engine_options());
  }();
  if (!engine) return std::unexpected(std::move(engine).error());
  engine_ = std::move(*engine);
  names_.learn(engine_->cluster());
  for (const auto& step : scenario_.steps) {
    const bool left_out = what_if_ != nullptr && !step.as.empty() &&
                          std::ranges::find(what_if_->without, step.as) != what_if_->without.end();
    if (!left_out) TRY(run(step));
  }
  return {};
}

Checked<> Pass::run(const Step& step) {
  const auto checked = [&](Result<> result) -> Checked<> {
    if (result) return {};
    auto error = std::move(result).error();
    if (error.where.empty()) error.where = fmt::format("{}:{}", scenario_.file.string(), step.line);
    return std::unexpected(Errors{std::move(error)});
  };
  if (step.at > at_) TRY(checked(engine_->advance(step.at - at_)));
  at_ = step.at;
  switch (step.kind) {
    case Step::Kind::send:
    case Step::Kind::reply:
      TRY(checked(send(step)));
      break;
    case Step::Kind::collect_garbage:
      TRY(checked(collect(step)));
      break;
    case Step::Kind::reach:
      TRY(reach(step));
      break;
    case Step::Kind::check:
      break;
    default:
      TRY(change(step));
  }
  if (what_if_ == nullptr) TRY(checked(count_tables(step)));
  if (what_if_ == nullptr) check_invariants(step);
  return {};
}

Result<kube::Object> Pass::edited(const Step& step) const {
  const auto& cluster = engine_->cluster();
  const auto missing = [&] {
    return std::unexpected(Error{
        Error::Kind::not_found, fmt::format("there is no '{}' to change", step.text), {}, {}});
  };
  const auto relabel = [&](kube::Labels& labels) {
    for (const auto& [key, value] : step.labels)
      if (value)
        labels[key] = *value;
      else
        labels.erase(key);
  };
  if (step.kind == Step::Kind::label && step.object_kind == "Namespace") {
    const auto found = cluster.namespaces.find(step.object);
    if (found == cluster.namespaces.end()) return missing();
    auto object = found->second;
    relabel(object.meta.labels);
    return object;
  }
  const auto found = cluster.pods.find(step.object);
  if (found == cluster.pods.end()) return missing();
  auto pod = found->second;
  if (step.kind == Step::Kind::label) relabel(pod.meta.labels);
  if (step.kind == Step::Kind::ready) pod.ready = true;
  if (step.kind == Step::Kind::unready) pod.ready = false;
  if (step.kind == Step::Kind::terminate) pod.terminating = true;
  return pod;
}

/// The last state of an object that goes.
std::optional<kube::Object> find_object(const kube::Cluster& cluster, const string& kind,
                                        const kube::ObjectKey& key) {
  const auto in = [&](const auto& objects) -> std::optional<kube::Object> {
    const auto found = objects.find(key);
    if (found == objects.end()) return {};
    return found->second;
  };
  if (kind == "Pod") return in(cluster.pods);
  if (kind == "Service") return in(cluster.services);
  if (kind == "NetworkPolicy") return in(cluster.network_policies);
  if (kind == "EndpointSlice") return in(cluster.endpoint_slices);
  return {};
}

Checked<std::vector<Change>> Pass::edits_of(const Step& step) const {
  std::vector<Change> edits;
  const auto fail = [&](string what) {
    return std::unexpected(Errors{{Error::Kind::not_found,
                                   std::move(what),
                                   fmt::format("{}:{}", scenario_.file.string(), step.line),
                                   {}}});
  };
  if (step.kind == Step::Kind::apply) {
    for (const auto& object : step.objects) edits.push_back({Change::Kind::upserted, object});
  } else if (step.kind == Step::Kind::remove) {
    auto object = find_object(engine_->cluster(), step.object_kind, step.object);
    if (!object) return fail(fmt::format("there is no {} to delete", step.text));
    edits.push_back({Change::Kind::deleted, std::move(*object)});
  } else {
    auto object = edited(step);
    if (!object) return fail(object.error().what);
    edits.push_back({Change::Kind::upserted, std::move(*object)});
  }
  return edits;
}

Checked<> Pass::change(const Step& step) {
  const auto changes = TRY(follow(engine_->cluster(), TRY(edits_of(step))));
  const auto operations = TRY(engine_->apply(changes));
  names_.learn(engine_->cluster());
  run_.trace.push_back(fmt::format("{}{} {}: {} change(s), {} operation(s)", prefix_,
                                   time_text(step.at), step.text, changes.size(), operations));
  return {};
}

/// The packet, or nothing: in a what_if there may be nothing left to reply to.
Result<std::optional<Outgoing>> Pass::outgoing(const Step& step, unsigned repetition) {
  const string& earlier = step.kind == Step::Kind::reply ? step.reply_to : step.packet.about;
  const Sent* sent = nullptr;
  if (!earlier.empty()) {
    const auto found = labelled_.find(earlier);
    const bool arrived = found != labelled_.end() && found->second.packet &&
                         found->second.walk.fate != Walk::Fate::dropped;
    if (!arrived && what_if_ != nullptr) return std::nullopt;
    if (!arrived)
      return std::unexpected(Error{Error::Kind::bad_input,
                                   fmt::format("packet '{}' did not arrive anywhere", earlier),
                                   {},
                                   {}});
    sent = &found->second;
  }
  Outgoing out = step.kind == Step::Kind::reply
                     ? TRY(make_reply(sent->walk, step.reply_flags, step.with))
                     : TRY(make_packet(names_, step.packet, step.with,
                                       sent != nullptr ? &*sent->packet : nullptr));
  if (!step.same_port) {
    auto& varied = out.fields.source_port != 0 ? out.fields.source_port : out.fields.icmp_id;
    varied = static_cast<std::uint16_t>(varied + repetition);
  }
  return out;
}

Result<> Pass::send(const Step& step) {
  std::vector<Sent> all;
  string what;
  for (unsigned i = 0; i < step.repeat; ++i) {
    auto out = TRY(outgoing(step, i));
    if (!out) return {};
    if (i == 0) what = to_line(out->fields);
    Sent sent;
    sent.walk = TRY(engine_->send(out->from, std::move(out->fields)));
    if (auto packet = parse(sent.walk.packet)) sent.packet = std::move(*packet);
    for (const auto& line : hop_lines(judged(sent))) run_.trace.push_back("  " + line);
    run_.trace.push_back(fmt::format("{}{} {} -> {} {}", prefix_, time_text(step.at), what,
                                     outcome_of(sent.walk, judged(sent).packet),
                                     hex(sent.walk.packet)));
    all.push_back(std::move(sent));
  }
  if (step.repeat > 1) what += fmt::format(" and {} more", step.repeat - 1);
  judge(step, all, what);
  if (what_if_ == nullptr && !step.spread.empty()) judge_spread(step, all, what);
  if (!step.as.empty()) labelled_[step.as] = std::move(all.front());
  return {};
}

const Expectation* Pass::wanted_of(const Step& step, bool& changed) const {
  changed = false;
  if (what_if_ != nullptr && !step.as.empty())
    if (const auto found = what_if_->changes.find(step.as); found != what_if_->changes.end()) {
      changed = true;
      return &found->second;
    }
  return step.expect ? &*step.expect : nullptr;
}

std::vector<string> Pass::problems(const Step& step, const Expectation* wanted,
                                   const Sent& sent) const {
  const auto view = judged(sent);
  std::vector<string> lines;
  const auto take = [&](std::vector<string> more) {
    lines.insert(lines.end(), more.begin(), more.end());
  };
  if (wanted != nullptr) {
    const auto other = labelled_.find(wanted->as);
    if (other == labelled_.end() && !wanted->as.empty()) return {};  // left out by a what_if
    take(unmet(*wanted, other == labelled_.end() ? string{} : other->second.walk.where, view));
  }
  if (sent.walk.fate == Walk::Fate::lost) lines.push_back("lost: " + sent.walk.where);
  const bool whole = sent.packet && sent.walk.fate != Walk::Fate::dropped;
  if (whole && sent.packet->checksums_ok == step.with.spoiled_checksum)
    lines.emplace_back(step.with.spoiled_checksum ? "a wrong checksum was made right"
                                                  : "a checksum is wrong");
  if (what_if_ != nullptr) return lines;
  for (const auto& record : step.records) take(unmet(record, view));
  if (step.has_packet_expect) take(unmet(step.packet_expect, view));
  return lines;
}

void Pass::judge(const Step& step, const std::vector<Sent>& all, const string& what) {
  bool changed = false;
  const auto* wanted = wanted_of(step, changed);
  // Every repetition has to be as expected; a change shows when one of them is.
  const Sent* shown = &all.front();
  std::vector<string> shown_problems = problems(step, wanted, *shown);
  bool ok = shown_problems.empty();
  for (std::size_t i = 1; i < all.size() && ok != changed; ++i) {
    auto found = problems(step, wanted, all[i]);
    if (found.empty() == ok) continue;
    ok = found.empty();
    shown = &all[i];
    shown_problems = std::move(found);
  }
  const auto view = judged(*shown);
  auto& check = add(step, what, wanted != nullptr ? wanted->text : "carried",
                    outcome_of(shown->walk, view.packet), ok);
  check.detail = hop_lines(view);
  check.detail.insert(check.detail.end(), shown_problems.begin(), shown_problems.end());
}

void Pass::judge_spread(const Step& step, const std::vector<Sent>& all, const string& what) {
  std::map<string, std::size_t> counts;
  for (const auto& sent : all)
    if (sent.walk.fate == Walk::Fate::delivered) ++counts[sent.walk.where];
  for (const auto& share : step.spread) {
    const auto count = counts[share.pod];
    const double percent = 100.0 * static_cast<double>(count) / static_cast<double>(all.size());
    add(step, what, fmt::format("{} {}%..{}%", share.pod, share.percent_min, share.percent_max),
        fmt::format("{} of {}, {:.1f}%", count, all.size(), percent),
        percent >= share.percent_min && percent <= share.percent_max);
  }
}

Result<> Pass::collect(const Step& step) {
  const auto removed = TRY(engine_->collect_garbage());
  run_.trace.push_back(
      fmt::format("{}{} collected {} flow(s)", prefix_, time_text(step.at), removed));
  if (what_if_ == nullptr && step.collected)
    add(step, "collect garbage", fmt::format("{} removed", *step.collected),
        fmt::format("{} removed", removed), removed == *step.collected);
  return {};
}

Checked<> Pass::reach(const Step& step) {
  if (what_if_ != nullptr) return {};
  const auto rows = TRY(read_reach_table(step.table));
  TRY(check_pods(engine_->cluster(), rows, step.table.string()));
  const auto got = measure(*engine_, rows);
  if (!got) return std::unexpected(Errors{got.error()});
  const auto result = compare(rows, *got);
  auto& check =
      add(step, fmt::format("reach {}", step.text), fmt::format("{} rows agree", result.rows),
          fmt::format("{} rows agree", result.agree), result.disagree.empty());
  constexpr std::size_t shown_max = 20;
  for (const auto& [expected, measured] : result.disagree) {
    if (check.detail.size() == shown_max) break;
    check.detail.push_back(
        fmt::format("{} > {} {}/{}: {} instead of {}, {}", expected.source.to_string(),
                    expected.destination.to_string(), to_string(expected.protocol), expected.port,
                    measured.allowed ? "allow" : "deny", expected.allowed ? "allow" : "deny",
                    measured.because));
  }
  return {};
}

Result<> Pass::count_tables(const Step& step) {
  if (step.tables.empty()) return {};
  auto* test_run = dynamic_cast<TestRunEngine*>(engine_.get());
  if (test_run == nullptr)
    return std::unexpected(Error{Error::Kind::unsupported,
                                 "this engine has no one set of tables to count",
                                 {},
                                 "leave it out of engines"});
  for (const auto& [name, wanted] : step.tables) {
    const auto table =
        std::ranges::find(agent::all_tables(), std::string_view(name), &agent::TableInfo::name);
    const auto entries = TRY(test_run->access().datapath.entries(table->id));
    add(step, fmt::format("entries in {}", name), fmt::format("{}", wanted),
        fmt::format("{}", entries.size()), entries.size() == wanted);
  }
  return {};
}

void Pass::check_invariants(const Step& step) {
  if (!options_.check_invariants || scenario_.invariants.empty()) return;
  for (const auto& violation : options_.check_invariants(*engine_, scenario_.invariants))
    add(step, "invariants", "hold", violation, false);
}

string command_for(const Scenario& scenario, const RunOptions& options) {
  string command =
      fmt::format("waggle regress {} --engine {}", scenario.file.string(), options.engine);
  for (const auto& [knob, value] : options.set) command += fmt::format(" --set {}={}", knob, value);
  if (options.seed) command += fmt::format(" --seed {}", *options.seed);
  return command;
}

}  // namespace

const char* to_string(ScenarioRun::State state) {
  static constexpr std::array names = {"passed", "failed", "skipped", "error"};
  return names[static_cast<std::size_t>(state)];
}

string to_text(const ScenarioRun& run) {
  string text = fmt::format("{} {} on {}\n", run.path, to_string(run.state), run.engine);
  if (!run.message.empty()) text += fmt::format("  {}\n", run.message);
  for (const auto& check : run.checks) {
    if (check.ok) continue;
    text += fmt::format("  line {}, at {}: {}\n    wanted  {}\n    got     {}\n", check.line,
                        check.at, check.what, check.expected, check.got);
    for (const auto& line : check.detail) text += fmt::format("            {}\n", line);
  }
  if (run.state == ScenarioRun::State::failed || run.state == ScenarioRun::State::error)
    text += fmt::format("  repeat  {}\n", run.repeat);
  return text;
}

ScenarioRun run_scenario(const Scenario& scenario, const RunOptions& options) {
  ScenarioRun run;
  run.path = scenario.file.string();
  run.name = scenario.name;
  run.why = scenario.why;
  run.engine = options.engine;
  run.seed = options.seed.value_or(scenario.seed);
  run.repeat = command_for(scenario, options);
  if (std::ranges::find(scenario.engines, options.engine) == scenario.engines.end()) {
    run.state = ScenarioRun::State::skipped;
    run.message = options.engine == "live" ? scenario.not_live : "the scenario leaves it out";
    return run;
  }
  const auto pass = [&](const WhatIf* what_if, string prefix) {
    const auto done = Pass(scenario, options, what_if, std::move(prefix), run).go();
    if (done) return true;
    run.state = ScenarioRun::State::error;
    run.message = errors_text(done.error());
    return false;
  };
  bool complete = pass(nullptr, "");
  if (options.what_if && options.set.empty())
    for (std::size_t i = 0; complete && i < scenario.what_if.size(); ++i)
      complete = pass(&scenario.what_if[i], fmt::format("what_if {}, ", i + 1));
  if (complete && !std::ranges::all_of(run.checks, &ScenarioCheck::ok))
    run.state = ScenarioRun::State::failed;
  return run;
}

}  // namespace waggle::simulator
