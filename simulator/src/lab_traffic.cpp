#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "lab_probe.h"
#include "lab_wiring.h"
#include "netns.h"

namespace waggle::simulator {
namespace {

using std::chrono::milliseconds;
using Outcome = ProbeResult::Outcome;

constexpr std::uint16_t iperf_port = 5201;
constexpr milliseconds answer_limit{1000};
constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17;

struct Tally {
  std::vector<Nanoseconds> round_trips;
  std::uint64_t errors = 0;

  void count(const ProbeResult& result) {
    if (result.outcome == Outcome::answered)
      round_trips.push_back(result.elapsed);
    else
      ++errors;
  }
};

Probe probe_of(const Traffic& traffic) {
  return {.from = {.kind = Origin::Kind::pod, .pod = traffic.from, .node = {}},
          .to = traffic.to,
          .protocol = traffic.kind == Traffic::Kind::datagrams ? protocol_udp : protocol_tcp,
          .port = traffic.port,
          .source_port = 0,
          .timeout = answer_limit};
}

/// One worker: until `end`, over one open socket, or over a new one each time.
Tally work(const LabLayout& layout, const Traffic& traffic, Nanoseconds end) {
  const auto probe = probe_of(traffic);
  Tally tally;
  std::optional<Client> client;
  while (monotonic_now() < end) {
    Nanoseconds connecting{};
    if (!client) {
      auto made = connect_client(layout, probe);
      if (!made || made->result.outcome != Outcome::answered) {
        ++tally.errors;
        if (!made || made->result.outcome != Outcome::timed_out)
          std::this_thread::sleep_for(milliseconds(1));  // a refusal costs nothing: do not spin
        continue;
      }
      connecting = made->result.elapsed;
      client = std::move(*made);
    }
    auto result = ask(client->socket.get(), client->protocol, answer_limit);
    if (traffic.kind == Traffic::Kind::connections) result.elapsed += connecting;
    tally.count(result);
    if (traffic.kind == Traffic::Kind::connections || result.outcome != Outcome::answered)
      client.reset();
  }
  return tally;
}

double quantile_us(const std::vector<Nanoseconds>& ordered, double part) {
  if (ordered.empty()) return 0;
  const auto rank = std::ceil(part * static_cast<double>(ordered.size()));
  const auto at = std::min(ordered.size() - 1, static_cast<std::size_t>(std::max(rank - 1, 0.0)));
  return static_cast<double>(ordered[at].count()) / 1000.0;
}

TrafficResult exchange(const LabLayout& layout, const Traffic& traffic) {
  const auto start = monotonic_now();
  std::vector<Tally> tallies(std::max(1U, traffic.parallel));
  {
    std::vector<std::jthread> workers;
    for (auto& tally : tallies)
      workers.emplace_back([&] { tally = work(layout, traffic, start + traffic.duration); });
  }
  TrafficResult result;
  result.seconds = std::chrono::duration<double>(monotonic_now() - start).count();
  std::vector<Nanoseconds> all;
  for (const auto& tally : tallies) {
    all.insert(all.end(), tally.round_trips.begin(), tally.round_trips.end());
    result.errors += tally.errors;
  }
  std::ranges::sort(all);
  result.requests = all.size() + result.errors;
  result.requests_per_second = static_cast<double>(all.size()) / result.seconds;
  result.p50_us = quantile_us(all, 0.5);
  result.p90_us = quantile_us(all, 0.9);
  result.p99_us = quantile_us(all, 0.99);
  result.p999_us = quantile_us(all, 0.999);
  result.max_us = quantile_us(all, 1);
  return result;
}

Error iperf_error(std::string what) {
  return {.kind = Error::Kind::kernel, .what = std::move(what), .where = "iperf3", .advice = {}};
}

Result<TrafficResult> iperf_figures(const ToolOutput& output) {
  using nlohmann::json;
  const auto report = json::parse(output.text, nullptr, false);
  if (report.is_discarded() || !report.is_object())
    return std::unexpected(iperf_error(output.text.substr(0, output.text.find('\n'))));
  if (const auto error = report.find("error"); error != report.end() && error->is_string())
    return std::unexpected(iperf_error(error->get_ref<const std::string&>()));
  const auto number = [&](const char* where) {
    const auto& found =
        report.contains(json::json_pointer(where)) ? report.at(json::json_pointer(where)) : json();
    return found.is_number() ? found.get<double>() : 0.0;
  };
  TrafficResult result;
  result.seconds = number("/end/sum_received/seconds");
  result.bits_per_second = number("/end/sum_received/bits_per_second");
  result.retransmits = static_cast<std::uint64_t>(number("/end/sum_sent/retransmits"));
  return result;
}

Result<TrafficResult> stream(const LabLayout& layout, const Traffic& traffic) {
  const auto target = std::ranges::find_if(layout.pods, [&](const auto& entry) {
    return std::ranges::count(entry.second.addresses, traffic.to) != 0;
  });
  if (target == layout.pods.end())
    return std::unexpected(Error{.kind = Error::Kind::bad_input,
                                 .what = traffic.to.to_string() + " is no pod's address",
                                 .where = {},
                                 .advice = "iperf3 needs both ends: name a pod"});
  const auto port = std::to_string(traffic.port != 0 ? traffic.port : iperf_port);
  const auto server = [&]() -> Result<Background> {
    const auto inside = TRY(InNamespace::enter(target->second.netns));
    return Background::start({"iperf3", "-s", "-1", "-p", port});
  };
  const auto listening = TRY(server());
  const Origin from{.kind = Origin::Kind::pod, .pod = traffic.from, .node = {}};
  const auto netns = TRY(namespace_of(layout, from));
  const auto inside = TRY(InNamespace::enter(netns));
  const auto seconds =
      std::max<long>(1, std::chrono::ceil<std::chrono::seconds>(traffic.duration).count());
  const std::vector<std::string> client = {"iperf3",
                                           "-J",
                                           "-c",
                                           traffic.to.to_string(),
                                           "-p",
                                           port,
                                           "-t",
                                           std::to_string(seconds),
                                           "-P",
                                           std::to_string(std::max(1U, traffic.parallel)),
                                           "--connect-timeout",
                                           "1000"};
  for (unsigned attempt = 0;; ++attempt) {
    const auto output = TRY(run_tool_whatever(client));
    auto result = iperf_figures(output);
    // The server takes a moment to listen.
    if (result || attempt == 20 ||
        result.error().what.find("Connection refused") == std::string::npos)
      return result;
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace

Result<TrafficResult> Lab::traffic(const Traffic& traffic) {
  const auto before = TRY(metrics());
  auto result = traffic.kind == Traffic::Kind::stream
                    ? stream(layout(), traffic)
                    : Result<TrafficResult>(exchange(layout(), traffic));
  std::map<std::string, std::uint64_t> drops;
  for (const auto& [index, packets] : TRY(metrics())) {
    const auto kind = index >> 8 & 15, reason = index & 255;
    const auto earlier = before.find(index);
    const auto fresh = packets - (earlier == before.end() ? 0 : earlier->second);
    if (kind == DP_VERDICT_DROP && fresh != 0) drops[kernel::drop_name(reason)] += fresh;
  }
  if (result)
    result->drops = std::move(drops);
  else
    for (const auto& [reason, count] : drops)
      result.error().what += "; dropped " + std::to_string(count) + ": " + reason;
  return result;
}

}  // namespace waggle::simulator
