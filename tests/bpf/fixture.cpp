#include "fixture.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>

#include <cstdlib>

namespace waggle::bpf {

using agent::TableId;
using agent::to_abi;

kernel::LoadOptions small_tables() {
  kernel::LoadOptions options;
  options.config.simulated = 1;
  options.config.event_interval_s = 5;
  options.entries_max = {
      {TableId::services, 64},    {TableId::backends, 64},  {TableId::reverse_nat, 64},
      {TableId::maglev, 4096},    {TableId::ipcache, 64},   {TableId::ipcache_prefix, 64},
      {TableId::policy, 256},     {TableId::endpoints, 64}, {TableId::nodes, 16},
      {TableId::conntrack, 1024}, {TableId::affinity, 64},  {TableId::rate_limits, 16},
  };
  return options;
}

const std::vector<std::uint32_t>& devices() {
  static const std::vector<std::uint32_t> made = [] {
    std::vector<std::uint32_t> indexes;
    if (unshare(CLONE_NEWNET) != 0 || std::system("ip link add wg0 type veth peer name wg1 && "
                                                  "ip link add wg2 type veth peer name wg3") != 0)
      return indexes;
    for (const auto* name : {"wg0", "wg1", "wg2", "wg3"}) indexes.push_back(if_nametoindex(name));
    return indexes;
  }();
  return made;
}

namespace {

Address address(const char* text) { return Address::parse(text).value(); }

/// Flags of every TCP test but one: what the test sets and nothing else.
std::uint16_t network(std::uint16_t host) { return htons(host); }

}  // namespace

Bpf::Bpf() {
  web = {address("10.0.1.5"), address("fd00:1::5"), 1001, 1, 0,
         {2, 0, 0, 0, 1, 5},  {2, 1, 0, 0, 1, 5}};
  api = {address("10.0.1.7"), address("fd00:1::7"), 1002, 1, 0,
         {2, 0, 0, 0, 1, 7},  {2, 1, 0, 0, 1, 7}};
  far = {address("10.0.2.9"), address("fd00:2::9"), 1003, 2, 0, {}, {}};
}

void Bpf::SetUp() {
  ASSERT_EQ(devices().size(), 4u) << "cannot make devices in a network namespace";
  web.ifindex = devices()[0];
  api.ifindex = devices()[1];
  uplink = devices()[2];
  reload();
}

void Bpf::reload() {
  datapath.reset();
  auto loaded = kernel::Datapath::load(options);
  ASSERT_TRUE(loaded) << to_string(loaded.error());
  datapath = std::move(*loaded);
  auto& env = datapath->env();
  env = {};
  env.now_ns = 1'000'000'000'000;
  env.seed = 7;
  auto& node = datapath->node();
  node = {};
  node.address4 = to_abi(address("192.168.0.1"));
  node.address6 = to_abi(address("fd00:192::1"));
  node.hairpin4 = to_abi(address("169.254.42.1"));
  node.hairpin6 = to_abi(address("fd00:42::1"));
  node.policy_generation = 1;
  node.node_id = 1;
  node.scope = 11;
  node.uplink_ifindex = uplink;
  node.mtu = 1500;
  node.zone = 3;
  place(web);
  place(api);
  place(far);
  put(TableId::nodes, dp_node_key{2},
      dp_node{to_abi(address("192.168.0.2")), to_abi(address("fd00:192::2"))});
  allow_all();
}

Address Bpf::of(const Pod& pod) const { return family == Family::v4 ? pod.v4 : pod.v6; }
Address Bpf::pick(const char* v4, const char* v6) const {
  return address(family == Family::v4 ? v4 : v6);
}

PacketFields Bpf::tcp(const Address& from, std::uint16_t from_port, const Address& to,
                      std::uint16_t to_port, std::uint8_t flags) const {
  PacketFields fields;
  fields.source = from;
  fields.destination = to;
  fields.source_port = from_port;
  fields.destination_port = to_port;
  fields.tcp_flags = flags;
  fields.payload = {'w', 'a', 'g'};
  for (const auto* pod : {&web, &api})
    if (from == pod->v4 || from == pod->v6) {
      fields.source_mac = pod->mac;
      fields.destination_mac = pod->host_mac;
    }
  return fields;
}

PacketFields Bpf::udp(const Address& from, std::uint16_t from_port, const Address& to,
                      std::uint16_t to_port) const {
  auto fields = tcp(from, from_port, to, to_port, 0);
  fields.protocol = IPPROTO_UDP;
  fields.tcp_flags = PacketFields{}.tcp_flags;
  return fields;
}

PacketFields Bpf::sctp(const Address& from, std::uint16_t from_port, const Address& to,
                       std::uint16_t to_port) const {
  auto fields = udp(from, from_port, to, to_port);
  fields.protocol = IPPROTO_SCTP;
  return fields;
}

PacketFields Bpf::echo(const Address& from, const Address& to, std::uint16_t id, bool reply) const {
  auto fields = udp(from, 0, to, 0);
  fields.protocol = icmp();
  fields.icmp_type = family == Family::v4 ? (reply ? 0 : 8) : (reply ? 129 : 128);
  fields.icmp_id = id;
  return fields;
}

PacketFields Bpf::unreachable(const Address& from, const PacketFields& inner) const {
  auto fields = udp(from, 0, inner.source, 0);
  fields.protocol = icmp();
  fields.icmp_type = family == Family::v4 ? 3 : 1;
  fields.icmp_code = family == Family::v4 ? 3 : 4;
  fields.payload.clear();
  fields.inner = std::make_shared<PacketFields>(inner);
  fields.inner->source_mac = fields.inner->destination_mac = {};
  return fields;
}

Outcome Bpf::run(dp_hook hook, std::uint32_t ifindex, const simulator::Packet& packet) {
  const auto output = datapath->run({hook, ifindex, 0, packet});
  if (!output) {
    ADD_FAILURE() << to_string(output.error());
    return {};
  }
  return {output->action, output->verdict, output->packet};
}
Outcome Bpf::from(const Pod& pod, const PacketFields& fields) {
  return run(DP_HOOK_from_container, pod.ifindex, build(fields));
}
Outcome Bpf::to(const Pod& pod, const PacketFields& fields) {
  return run(DP_HOOK_to_container, pod.ifindex, build(fields));
}
Outcome Bpf::arrive(const PacketFields& fields) {
  return run(DP_HOOK_from_netdev, uplink, build(fields));
}
Outcome Bpf::leave(const PacketFields& fields) {
  return run(DP_HOOK_to_netdev, uplink, build(fields));
}

void Bpf::place(const Pod& pod) {
  for (const auto& one : {pod.v4, pod.v6}) {
    put(TableId::ipcache, dp_ipcache_key{0, to_abi(one)}, dp_ipcache{pod.identity, pod.node});
    if (pod.ifindex == 0) continue;
    dp_endpoint endpoint{
        .ifindex = pod.ifindex, .identity = pod.identity, .pod_mac = {}, .host_mac = {}};
    std::ranges::copy(pod.mac, endpoint.pod_mac);
    std::ranges::copy(pod.host_mac, endpoint.host_mac);
    put(TableId::endpoints, dp_endpoint_key{to_abi(one), datapath->node().zone, 0}, endpoint);
  }
}

namespace {

dp_policy_key key_of(std::uint32_t subject, std::uint32_t peer, dp_direction direction,
                     std::uint8_t protocol, std::uint16_t port, unsigned port_bits) {
  const unsigned bits = DP_POLICY_STATIC_BITS + (protocol != 0 ? 8U : 0U) + port_bits;
  return {bits,     htonl(subject), htonl(peer), static_cast<std::uint8_t>(direction),
          protocol, network(port)};
}

}  // namespace

void Bpf::put(const Rule& rule) {
  put(TableId::policy,
      key_of(rule.subject, rule.peer, rule.direction, rule.protocol, rule.port, rule.port_bits),
      dp_policy{rule.precedence, rule.rule, static_cast<std::uint8_t>(rule.verdict), {}});
}
void Bpf::erase(const Rule& rule) {
  erase(TableId::policy,
        key_of(rule.subject, rule.peer, rule.direction, rule.protocol, rule.port, rule.port_bits));
}
void Bpf::allow_all() {
  for (const auto* pod : {&web, &api})
    for (const auto direction : {DP_INGRESS, DP_EGRESS})
      put(Rule{.subject = pod->identity, .direction = direction});
}
void Bpf::deny_all() {
  for (const auto* pod : {&web, &api})
    for (const auto direction : {DP_INGRESS, DP_EGRESS})
      erase(Rule{.subject = pod->identity, .direction = direction});
  touch_policy();
}

void Bpf::put(const Backend& backend, const Service& service) {
  put(TableId::backends, dp_backend_key{backend.id},
      dp_backend{to_abi(backend.address), backend.service != 0 ? backend.service : service.number,
                 network(backend.port), service.protocol,
                 static_cast<std::uint8_t>(backend.state)});
}

void Bpf::put(const Service& service) {
  auto positions = service.positions;
  for (const auto& backend : service.backends) {
    put(backend, service);
    if (service.positions.empty()) positions.push_back(backend.id);
  }
  for (std::uint32_t i = 0; i < positions.size(); ++i)
    put(TableId::maglev, service.base + i, dp_maglev{positions[i]});
  put(TableId::reverse_nat, dp_reverse_nat_key{service.frontend},
      dp_reverse_nat{to_abi(service.address), network(service.port), service.protocol, 0});
  put(TableId::services,
      dp_service_key{to_abi(service.address), network(service.port), service.protocol, 0,
                     service.scope},
      dp_service{service.frontend, service.number, service.base,
                 static_cast<std::uint32_t>(positions.size()), service.affinity_timeout_s,
                 static_cast<std::uint8_t>(service.algorithm), service.flags, 0});
}

Bpf::Service Bpf::one_backend() const {
  Service service;
  service.address = vip();
  service.backends = {{.id = 1, .address = of(far), .port = 8080}};
  return service;
}

std::optional<dp_ct> Bpf::flow(const PacketFields& packet, dp_ct_direction direction) {
  const dp_ct_key key{to_abi(packet.source),
                      to_abi(packet.destination),
                      network(packet.source_port),
                      network(packet.destination_port),
                      datapath->node().zone,
                      packet.protocol,
                      static_cast<std::uint8_t>(direction)};
  const auto found = datapath->find(TableId::conntrack, agent::Bytes::of(key));
  if (!found || !*found) return std::nullopt;
  return (*found)->as<dp_ct>();
}

std::vector<dp_event> Bpf::events() {
  const auto read = datapath->read_events();
  EXPECT_TRUE(read);
  return read.value_or(std::vector<dp_event>{});
}

namespace {

int action_of(dp_verdict_kind kind, int action) {
  switch (kind) {
    case DP_VERDICT_DROP:
      return TC_ACT_SHOT;
    case DP_VERDICT_LOCAL:
    case DP_VERDICT_NODE:
    case DP_VERDICT_ANSWER:
      return TC_ACT_REDIRECT;
    case DP_VERDICT_DELIVER:  // straight from from_container it is a redirection
      return action == TC_ACT_REDIRECT ? TC_ACT_REDIRECT : TC_ACT_OK;
    default:
      return TC_ACT_OK;
  }
}

}  // namespace

testing::AssertionResult is(const Outcome& outcome, dp_verdict_kind kind) {
  if (outcome.verdict.kind == kind && outcome.action == action_of(kind, outcome.action))
    return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << fmt::format("kind {} instead of {}, action {}, reason {}",
                        static_cast<unsigned>(outcome.verdict.kind), static_cast<unsigned>(kind),
                        outcome.action, kernel::drop_name(outcome.verdict.reason));
}

testing::AssertionResult drops(const Outcome& outcome, dp_drop reason) {
  if (const auto kind = is(outcome, DP_VERDICT_DROP); !kind) return kind;
  if (outcome.verdict.reason == static_cast<std::uint32_t>(reason))
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << kernel::drop_name(outcome.verdict.reason) << " instead of "
                                     << kernel::drop_name(static_cast<std::uint32_t>(reason));
}

testing::AssertionResult gives(const Outcome& outcome, dp_verdict_kind kind,
                               const PacketFields& wanted) {
  if (auto right = is(outcome, kind); !right) return right;
  const auto wanted_packet = simulator::parse(build(wanted));
  const auto got = simulator::parse(outcome.bytes);
  if (!wanted_packet || !got)
    return testing::AssertionFailure()
           << (got ? "the wanted packet cannot be parsed" : to_string(got.error()));
  const auto lines = simulator::differences(*wanted_packet, *got);
  if (lines.empty() && got->checksums_ok && outcome.bytes == build(wanted))
    return testing::AssertionSuccess();
  auto failure = testing::AssertionFailure();
  for (const auto& line : lines) failure << line << "\n";
  if (lines.empty())
    failure << fmt::format("got    {:02x}\nwanted {:02x}", fmt::join(outcome.bytes, ""),
                           fmt::join(build(wanted), ""));
  return failure << (got->checksums_ok ? "" : "a checksum is wrong");
}

PacketFields aged(PacketFields fields) {
  --fields.ttl;
  return fields;
}
PacketFields routed(PacketFields fields, const Pod& pod) {
  fields.source_mac = pod.host_mac;
  fields.destination_mac = pod.mac;
  return aged(fields);
}

}  // namespace waggle::bpf
