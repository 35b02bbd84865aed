#include "world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace waggle::verifier {

namespace {

using kube::LabelSelector;
using kube::NetworkPolicy;
using Op = LabelSelector::Operator;

[[noreturn]] void stop(const Errors& errors) {
  for (const Error& error : errors) std::cerr << to_string(error) << '\n';
  std::exit(1);
}

LabelSelector random_selector(Dice& dice, const RandomSize& size) {
  LabelSelector out;
  const auto app = [&] { return fmt::format("a{}", dice.below(size.apps)); };
  if (dice.chance(40)) out.match_labels["app"] = app();
  if (dice.chance(15)) out.match_labels["tier"] = fmt::format("t{}", dice.below(2));
  if (dice.chance(30)) {
    const auto op = dice.of(std::vector{Op::in, Op::not_in, Op::exists, Op::does_not_exist});
    const bool values = op == Op::in || op == Op::not_in;
    out.match_expressions.push_back(
        {dice.of(std::vector<std::string>{"app", "tier", "absent"}), op,
         values ? std::vector{app(), app()} : std::vector<std::string>{}});
  }
  return out;
}

LabelSelector random_namespaces(Dice& dice) {
  if (dice.chance(30)) return {};
  if (dice.chance(50))
    return labelled({{"kubernetes.io/metadata.name", fmt::format("n{}", dice.below(3))}});
  return labelled({{"team", fmt::format("m{}", dice.below(2))}});
}

NetworkPolicy::Peer random_peer(Dice& dice, const RandomSize& size) {
  if (dice.chance(35)) {
    static const std::vector<std::pair<std::string, std::vector<std::string>>> blocks = {
        {"0.0.0.0/0", {}},
        {"0.0.0.0/0", {"10.0.0.0/8"}},
        {"10.244.0.0/16", {"10.244.0.0/24", "10.244.1.2/32"}},
        {"10.244.0.0/23", {}},
        {"172.18.0.0/16", {"172.18.0.4/30"}},
        {"198.51.100.0/24", {"198.51.100.7/32", "198.51.100.128/25"}},
        {"198.51.100.7/32", {}},
        {"::/0", {}},
        {"::/0", {"fd00::/8"}},
        {"fd00:10:244::/56", {"fd00:10:244:1::/64"}},
        {"2001:db8::/32", {"2001:db8:1::/48"}},
    };
    const auto& [cidr, except] = dice.of(blocks);
    return block(cidr, except);
  }
  NetworkPolicy::Peer peer;
  const std::uint32_t form = dice.below(3);
  if (form != 0) peer.namespace_selector = random_namespaces(dice);
  if (form != 1) peer.pod_selector = random_selector(dice, size);
  return peer;
}

NetworkPolicy::Port random_port(Dice& dice) {
  NetworkPolicy::Port port;
  port.protocol = dice.of(std::vector{kube::Protocol::tcp, kube::Protocol::tcp, kube::Protocol::udp,
                                      kube::Protocol::sctp});
  const std::uint32_t form = dice.below(4);
  if (form == 0) return port;
  if (form == 1) {
    port.port = dice.of(std::vector<std::string>{"http", "metrics", "nobody"});
    return port;
  }
  const auto first = static_cast<std::uint16_t>(1 + dice.below(65535));
  port.port = first;
  if (form == 3) port.end_port = static_cast<std::uint16_t>(first + dice.below(65536U - first));
  return port;
}

std::vector<NetworkPolicy::Rule> random_rules(Dice& dice, const RandomSize& size) {
  std::vector<NetworkPolicy::Rule> rules(dice.below(4));
  for (auto& rule : rules) {
    for (std::uint32_t i = dice.below(4); i > 0; --i) rule.peers.push_back(random_peer(dice, size));
    for (std::uint32_t i = dice.below(3); i > 0; --i) rule.ports.push_back(random_port(dice));
  }
  return rules;
}

}  // namespace

void World::build() {
  if (auto done = kube::complete(cluster); !done) stop(done.error());
  nodes.clear();
  std::uint16_t zone = 0;
  std::uint32_t ifindex = 10;
  for (const auto& [key, node] : cluster.nodes) {
    agent::NodeContext context;
    context.node_name = key.name;
    context.zone = ++zone;
    for (const auto& [pod_key, pod] : cluster.pods) {
      if (pod.node_name == key.name && !pod.host_network)
        context.attachments[pod_key].ifindex = ++ifindex;
    }
    nodes.push_back(std::move(context));
  }
  agent::Config config;
  config.cidr_selects_pods = modes.cidr_selects_pods;
  agent::Ids ids(config);
  auto compiled = agent::compile(cluster, nodes, config, ids, &provenance);
  if (!compiled) stop(compiled.error());
  tables = std::move(*compiled);
}

Address World::address(const std::string& space, const std::string& name, Family family) const {
  const auto& all = pod(space, name).addresses;
  return *std::ranges::find(all, family, &Address::family);
}

std::uint32_t World::identity(const std::string& space, const std::string& name,
                              Family family) const {
  return tables.ipcache.at({0, agent::to_abi(address(space, name, family))}).identity;
}

kube::Pod& add_pod(kube::Cluster& cluster, const std::string& space, const std::string& name,
                   kube::Labels labels, std::vector<kube::ContainerPort> ports) {
  kube::Pod& pod = cluster.pods[{space, name}];
  pod.meta.name = name;
  pod.meta.namespace_name = space;
  pod.meta.labels = std::move(labels);
  pod.ports = std::move(ports);
  return pod;
}

void add_namespace(kube::Cluster& cluster, const std::string& name, kube::Labels labels) {
  kube::Namespace& space = cluster.namespaces[{"", name}];
  space.meta.name = name;
  space.meta.labels = std::move(labels);
  space.meta.labels["kubernetes.io/metadata.name"] = name;
}

kube::NetworkPolicy& add_policy(kube::Cluster& cluster, const std::string& space,
                                const std::string& name, kube::LabelSelector pods) {
  kube::NetworkPolicy& policy = cluster.network_policies[{space, name}];
  policy.meta.name = name;
  policy.meta.namespace_name = space;
  policy.pod_selector = std::move(pods);
  return policy;
}

kube::Service& add_service(kube::Cluster& cluster, const std::string& space,
                           const std::string& name) {
  kube::Service& service = cluster.services[{space, name}];
  service.meta.name = name;
  service.meta.namespace_name = space;
  service.selector = kube::Labels{{"app", name}};
  service.ports.push_back({"http", kube::Protocol::tcp, 80, std::uint16_t{8080}, 0});
  service.ip_families = {Family::v4, Family::v6};
  return service;
}

LabelSelector labelled(kube::Labels labels) {
  LabelSelector out;
  out.match_labels = std::move(labels);
  return out;
}

LabelSelector where(const std::string& key, Op op, std::vector<std::string> values) {
  LabelSelector out;
  out.match_expressions.push_back({key, op, std::move(values)});
  return out;
}

NetworkPolicy::Peer pods_of(LabelSelector pods) {
  NetworkPolicy::Peer out;
  out.pod_selector = std::move(pods);
  return out;
}

NetworkPolicy::Peer block(const std::string& cidr, const std::vector<std::string>& except) {
  NetworkPolicy::Peer out;
  out.ip_block.emplace();
  out.ip_block->cidr = Cidr::parse(cidr).value();
  for (const auto& text : except) out.ip_block->except.push_back(Cidr::parse(text).value());
  return out;
}

NetworkPolicy::Port tcp(std::uint16_t first, std::uint16_t last) {
  NetworkPolicy::Port out;
  out.port = first;
  if (last != 0) out.end_port = last;
  return out;
}

Address ip(const std::string& text) { return Address::parse(text).value(); }

void randomise(kube::Cluster& cluster, Dice& dice, const RandomSize& size) {
  for (unsigned n = 0; n < size.namespaces; ++n)
    add_namespace(cluster, fmt::format("n{}", n), {{"team", fmt::format("m{}", n % 2)}});
  for (unsigned n = 0; n < size.nodes; ++n) {
    kube::Node& node = cluster.nodes[{"", fmt::format("node-{}", n)}];
    node.meta.name = fmt::format("node-{}", n);
  }
  for (unsigned p = 0; p < size.pods; ++p) {
    kube::Labels labels;
    if (dice.chance(90)) labels["app"] = fmt::format("a{}", dice.below(size.apps));
    if (dice.chance(40)) labels["tier"] = fmt::format("t{}", dice.below(2));
    std::vector<kube::ContainerPort> ports;
    if (dice.chance(60))
      ports.push_back(
          {"http", static_cast<std::uint16_t>(8080 + dice.below(2)), kube::Protocol::tcp});
    if (dice.chance(30)) ports.push_back({"metrics", 9090, kube::Protocol::udp});
    auto& pod = add_pod(cluster, fmt::format("n{}", p % size.namespaces), fmt::format("p{}", p),
                        std::move(labels), std::move(ports));
    pod.host_network = dice.chance(8);
  }
  for (unsigned i = 0; i < size.policies; ++i) {
    auto& policy = add_policy(cluster, fmt::format("n{}", dice.below(size.namespaces)),
                              fmt::format("policy-{}", i), random_selector(dice, size));
    policy.isolates_ingress = dice.chance(80);
    policy.isolates_egress = !policy.isolates_ingress || dice.chance(40);
    if (policy.isolates_ingress) policy.ingress = random_rules(dice, size);
    if (policy.isolates_egress) policy.egress = random_rules(dice, size);
  }
}

void add_teams(kube::Cluster& cluster, unsigned namespaces, unsigned pods_each, unsigned nodes) {
  for (unsigned n = 0; n < nodes; ++n) {
    auto& node = cluster.nodes[{"", fmt::format("node-{}", n)}];
    node.meta.name = fmt::format("node-{}", n);
  }
  NetworkPolicy::Peer dns = pods_of(labelled({{"app", "a0"}}));
  dns.namespace_selector = labelled({{"kubernetes.io/metadata.name", "team-0"}});
  NetworkPolicy::Port dns_port = tcp(53);
  dns_port.protocol = kube::Protocol::udp;
  for (unsigned n = 0; n < namespaces; ++n) {
    const std::string space = fmt::format("team-{}", n);
    add_namespace(cluster, space, {{"stage", n % 2 ? "live" : "test"}});
    for (unsigned p = 0; p < pods_each; ++p) {
      add_pod(cluster, space, fmt::format("p{}", p), {{"app", fmt::format("a{}", p % 6)}},
              {{"http", 8080, kube::Protocol::tcp}});
    }
    auto& closed = add_policy(cluster, space, "closed", {});
    closed.isolates_ingress = closed.isolates_egress = true;
    closed.egress.resize(2);
    closed.egress[0].peers = {dns};
    closed.egress[0].ports = {dns_port, tcp(53)};
    closed.egress[1].peers = {pods_of({})};
    for (unsigned a = 1; a < 4; ++a) {
      auto& chain = add_policy(cluster, space, fmt::format("chain-{}", a),
                               labelled({{"app", fmt::format("a{}", a)}}));
      chain.isolates_ingress = true;
      chain.ingress.resize(2);
      chain.ingress[0].peers = {pods_of(labelled({{"app", fmt::format("a{}", a - 1)}}))};
      chain.ingress[0].ports = {tcp(8080), tcp(9000, 9003)};
      chain.ingress[1].peers = {
          block(fmt::format("198.51.{}.0/24", n), {fmt::format("198.51.{}.128/25", n)})};
      chain.ingress[1].ports = {tcp(443)};
    }
  }
}

}  // namespace waggle::verifier
