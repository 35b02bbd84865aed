#include "waggle/simulator/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <tuple>

#include "checked.h"
#include "waggle/kube/reader.h"
#include "waggle/simulator/engine.h"

namespace waggle::simulator {
namespace {

constexpr std::uint32_t ports_a_client = 50000;
constexpr std::uint16_t first_port = 10000;
constexpr std::uint32_t drain_every = 500;  // flow events, so that the ring never refuses

const char* manifests = R"(
{apiVersion: v1, kind: Namespace, metadata: {name: cost}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-a},
 spec: {podCIDRs: [10.1.0.0/24, "fd00:10:1::/64"]},
 status: {addresses: [{type: InternalIP, address: 172.18.0.2},
                      {type: InternalIP, address: "fd00:172:18::2"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client-0, namespace: cost, labels: {app: client}},
 spec: {nodeName: node-a, containers: [{name: c}]},
 status: {phase: Running, podIP: 10.1.0.10, podIPs: [{ip: 10.1.0.10}, {ip: "fd00:10:1::10"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client-1, namespace: cost, labels: {app: client}},
 spec: {nodeName: node-a, containers: [{name: c}]},
 status: {phase: Running, podIP: 10.1.0.11, podIPs: [{ip: 10.1.0.11}, {ip: "fd00:10:1::11"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: server, namespace: cost, labels: {app: server}},
 spec: {nodeName: node-a, containers: [{name: c}]},
 status: {phase: Running, podIP: 10.1.0.20, podIPs: [{ip: 10.1.0.20}, {ip: "fd00:10:1::20"}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: cost},
 spec: {selector: {app: server}, ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4, IPv6],
        clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, "fd00:10:96::10"],
        ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: web, namespace: cost},
 spec: {podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress],
        ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 8080}]}]}}
)";

struct Route {
  const char* name;
  Address destination;
  std::uint16_t port;
  Family family;
};

std::vector<Route> routes() {
  const auto address = [](const char* text) { return Address::parse(text).value(); };
  return {{"pod to pod", address("10.1.0.20"), 8080, Family::v4},
          {"pod to pod", address("fd00:10:1::20"), 8080, Family::v6},
          {"ClusterIP", address("10.96.0.10"), 80, Family::v4},
          {"ClusterIP", address("fd00:10:96::10"), 80, Family::v6}};
}

/// A packet as each of the two programs on its way meets it.
struct Legs {
  Packet at_source, at_destination;
};

/// Who is where: the two ends of a way, as devices.
struct Way {
  std::uint32_t from, to;
};

struct Flow {
  PacketFields request;
  std::uint32_t client;  ///< device
};

Checked<std::unique_ptr<TestRunEngine>> small_cluster() {
  kube::Cluster cluster;
  TRY(kube::add_objects(cluster, TRY(kube::read_objects(manifests, "(cost)"))));
  TRY(kube::complete(cluster));
  EngineOptions options;
  options.config = kernel::default_config();
  return TestRunEngine::create(std::move(cluster), options);
}

class Bench {
 public:
  Bench(const CostOptions& options, const std::function<void(const std::string&)>& progress,
        CostReport& report)
      : options_(options), progress_(progress), report_(report) {}

  Checked<> run() {
    engine_ = TRY(small_cluster());
    inside_ = engine_->access().inside;
    stats_.emplace(TRY(checked(kernel::StatsGuard::enable())));
    for (const auto& route : routes()) {
      for (const auto flows : options_.flows) {
        if (auto done = measure(route, flows); !done)
          return std::unexpected(Errors{std::move(done).error()});
      }
    }
    if (auto done = describe(); !done) return std::unexpected(Errors{std::move(done).error()});
    return {};
  }

 private:
  // A table of its own for every measurement: entries of another would fill the caches too.
  Result<> load() {
    kernel::LoadOptions load;
    datapath_ = TRY(kernel::Datapath::load(load));
    TRY(datapath_->sink().apply(agent::plan({}, engine_->compiler().tables())));
    datapath_->node() = engine_->node_config("node-a");
    return {};
  }

  std::uint32_t device(const char* pod) const {
    return engine_->attachment_of({"cost", pod})->ifindex;
  }

  Flow flow(const Route& route, std::uint32_t number) const {
    const bool second = number >= ports_a_client;
    const auto attachment = *engine_->attachment_of({"cost", second ? "client-1" : "client-0"});
    PacketFields fields;
    fields.source_mac = attachment.pod_mac;
    fields.destination_mac = attachment.host_mac;
    const char* address[2][2] = {{"10.1.0.10", "10.1.0.11"}, {"fd00:10:1::10", "fd00:10:1::11"}};
    fields.source = Address::parse(address[route.family == Family::v6][second]).value();
    fields.source_port = static_cast<std::uint16_t>(first_port + number % ports_a_client);
    fields.destination = route.destination;
    fields.destination_port = route.port;
    return {fields, attachment.ifindex};
  }

  PacketFields answer(const PacketFields& delivered) const {
    const auto server = *engine_->attachment_of({"cost", "server"});
    PacketFields fields = delivered;
    fields.source_mac = server.pod_mac;
    fields.destination_mac = server.host_mac;
    std::swap(fields.source, fields.destination);
    std::swap(fields.source_port, fields.destination_port);
    fields.tcp_flags = syn | ack;
    return fields;
  }

  // Both programs of one way; the second meets what the first has made of the packet.
  Result<Legs> cross(kernel::Datapath& datapath, const Packet& packet, const Way& way) {
    const auto out = TRY(datapath.run({DP_HOOK_from_container, way.from, 0, packet}));
    TRY(datapath.run({DP_HOOK_to_container, way.to, 0, out.packet}));
    if (++undrained_ >= drain_every) {
      TRY(datapath.read_events());
      undrained_ = 0;
    }
    return Legs{packet, out.packet};
  }

  struct Packets {
    std::vector<Legs> established, replies;
    std::vector<Way> there, back;
  };

  // Opens the flows; the first packets of all of them are the measurement of new connections.
  Result<Packets> open(const Route& route, std::uint32_t flows) {
    Packets packets;
    const auto server = device("server");
    const auto before = TRY(times());
    for (std::uint32_t i = 0; i < flows; ++i) {
      const auto one = flow(route, i);
      const Way there{one.client, server}, back{server, one.client};
      const auto legs = TRY(cross(*datapath_, build(one.request), there));
      packets.there.push_back(there);
      packets.back.push_back(back);
      packets.replies.push_back({build(answer(TRY(parse(legs.at_destination)))), {}});
    }
    const auto after = TRY(times());
    if (flows > 1) TRY(add_new(route, flows, before, after));
    for (std::uint32_t i = 0; i < flows; ++i) {
      packets.replies[i] = TRY(cross(*datapath_, packets.replies[i].at_source, packets.back[i]));
      auto fields = flow(route, i).request;
      fields.tcp_flags = ack;
      packets.established.push_back(TRY(cross(*datapath_, build(fields), packets.there[i])));
    }
    return packets;
  }

  struct Counts {
    std::uint64_t from = 0, to = 0;
  };
  struct Times {
    kernel::ProgramStats from, to;
  };
  Result<Times> times() const {
    return Times{TRY(datapath_->stats(DP_HOOK_from_container)),
                 TRY(datapath_->stats(DP_HOOK_to_container))};
  }
  static double mean_ns(const kernel::ProgramStats& before, const kernel::ProgramStats& after) {
    return static_cast<double>(after.run_time_ns - before.run_time_ns) /
           static_cast<double>(after.runs - before.runs);
  }

  void add(const Route& route, const char* what, std::uint32_t flows, double floor,
           std::vector<double> from, std::vector<double> to, const Counts& counts) {
    const auto path =
        fmt::format("{}, {}, {}", route.name, what, route.family == Family::v4 ? "IPv4" : "IPv6");
    for (auto& [program, means, map_ops] :
         {std::tuple{"from_container", &from, counts.from}, {"to_container", &to, counts.to}}) {
      std::ranges::sort(*means);
      const double median = (*means)[means->size() / 2];
      report_.paths.push_back(
          {program, path, flows, floor, median - floor, means->back() - means->front(), map_ops});
    }
  }

  // Every flow is new only once, so there is one round.
  Result<> add_new(const Route& route, std::uint32_t flows, const Times& before,
                   const Times& after) {
    const double floor = TRY(kernel::empty_program_ns(options_.packets_a_round));
    add(route, "new", flows, floor, {mean_ns(before.from, after.from)},
        {mean_ns(before.to, after.to)}, TRY(count(route, "new")));
    return {};
  }

  Result<> measure_rounds(const Route& route, const char* what, std::uint32_t flows,
                          const std::vector<Legs>& packets, const std::vector<Way>& ways) {
    std::vector<std::uint32_t> order(packets.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::mt19937 shuffle(1);  // the same order in every run
    std::vector<double> from, to, floors;
    for (unsigned round = 0; round < options_.rounds; ++round) {
      std::ranges::shuffle(order, shuffle);
      const auto before = TRY(times());
      for (std::uint32_t i = 0; i < options_.packets_a_round; ++i) {
        const auto pick = order[i % order.size()];
        TRY(cross(*datapath_, packets[pick].at_source, ways[pick]));
      }
      const auto after = TRY(times());
      floors.push_back(TRY(kernel::empty_program_ns(options_.packets_a_round)));
      from.push_back(mean_ns(before.from, after.from));
      to.push_back(mean_ns(before.to, after.to));
    }
    std::ranges::sort(floors);
    add(route, what, flows, floors[floors.size() / 2], from, to, TRY(count(route, what)));
    return {};
  }

  // A port that no policy names, from as many source ports as there are flows.
  Result<> measure_denied(const Route& route, std::uint32_t flows) {
    if (route.port != 8080) return {};  // through a service it is the same packet
    std::vector<Legs> packets;
    std::vector<Way> ways;
    for (std::uint32_t i = 0; i < flows; ++i) {
      auto one = flow(route, i);
      one.request.destination_port = 9999;
      ways.push_back({one.client, device("server")});
      packets.push_back(TRY(cross(*datapath_, build(one.request), ways.back())));
    }
    return measure_rounds(route, "denied", flows, packets, ways);
  }

  Result<> measure(const Route& route, std::uint32_t flows) {
    if (progress_)
      progress_(fmt::format("{}, {}, {} flows", route.name,
                            route.family == Family::v4 ? "IPv4" : "IPv6", flows));
    TRY(load());
    const auto packets = TRY(open(route, flows));
    TRY(measure_rounds(route, "established", flows, packets.established, packets.there));
    TRY(measure_rounds(route, "reply", flows, packets.replies, packets.back));
    return measure_denied(route, flows);
  }

  Result<std::uint64_t> ops_of(dp_hook hook, std::uint32_t ifindex, Packet& packet) {
    auto access = engine_->access();
    access.datapath.node() = engine_->node_config("node-a");
    access.datapath.env().map_ops = 0;
    packet = TRY(access.datapath.run({hook, ifindex, 0, packet})).packet;
    return access.datapath.env().map_ops;
  }
  // The same path once more, on the engine's own datapath, which counts.
  Result<Counts> count(const Route& route, std::string_view what) {
    auto one = flow(route, counted_++ % ports_a_client);
    const auto server = device("server");
    if (what == "denied") one.request.destination_port = 9999;
    Packet packet = build(one.request);
    Counts counts{TRY(ops_of(DP_HOOK_from_container, one.client, packet)),
                  TRY(ops_of(DP_HOOK_to_container, server, packet))};
    if (what == "new" || what == "denied") return counts;
    packet = build(answer(TRY(parse(packet))));
    counts.from = TRY(ops_of(DP_HOOK_from_container, server, packet));
    counts.to = TRY(ops_of(DP_HOOK_to_container, one.client, packet));
    if (what == "reply") return counts;
    one.request.tcp_flags = ack;
    packet = build(one.request);
    counts.from = TRY(ops_of(DP_HOOK_from_container, one.client, packet));
    counts.to = TRY(ops_of(DP_HOOK_to_container, server, packet));
    return counts;
  }

  Result<> describe() {
    for (const auto& figures : TRY(datapath_->figures()))
      report_.programs.push_back({figures.name, figures.instructions, figures.instructions_verified,
                                  figures.stack_bytes, figures.jited_bytes, figures.maps});
    report_.map_bytes = datapath_->map_bytes();
    return {};
  }

  const CostOptions& options_;
  const std::function<void(const std::string&)>& progress_;
  CostReport& report_;
  std::unique_ptr<TestRunEngine> engine_;
  std::shared_ptr<void> inside_;
  std::optional<kernel::StatsGuard> stats_;
  std::unique_ptr<kernel::Datapath> datapath_;
  std::uint32_t undrained_ = 0;
  std::uint32_t counted_ = 0;
};

}  // namespace

Checked<CostReport> measure_costs(const CostOptions& options,
                                  const std::function<void(const std::string&)>& progress) {
  CostReport report;
  Bench bench(options, progress, report);
  TRY(bench.run());
  return report;
}

}  // namespace waggle::simulator
