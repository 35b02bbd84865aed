#include "random_cluster.h"

#include <fmt/format.h>

namespace waggle::agent {

namespace {

constexpr std::size_t pod_count = 7;
constexpr std::size_t address_count = 5;
constexpr std::size_t service_count = 3;
constexpr std::size_t policy_count = 3;

std::string pod_name(std::size_t i) { return fmt::format("pod-{}", i); }
std::string space_of(std::size_t i) { return i % 3 == 0 ? "shop" : "default"; }
std::string address4(std::size_t i) { return fmt::format("10.0.0.{}", 6 + i); }
std::string address6(std::size_t i) { return fmt::format("fd00::{}", 6 + i); }
std::string node_name(std::size_t i) { return fmt::format("node-{}", i); }

}  // namespace

kube::Labels RandomCluster::random_labels() {
  kube::Labels made;
  if (chance(80)) made["app"] = chance(50) ? "web" : "api";
  if (chance(30)) made["tier"] = chance(50) ? "" : "back";
  return made;
}

kube::Pod RandomCluster::random_pod(std::size_t i) {
  std::vector<std::string> addresses{address4(below(address_count))};
  if (chance(70)) addresses.push_back(address6(below(address_count)));
  auto made = pod(pod_name(i), node_name(below(3)), addresses, random_labels(), space_of(i));
  if (chance(60)) {
    made.ports.push_back({.name = "http",
                          .port = static_cast<std::uint16_t>(chance(50) ? 80 : 8080),
                          .protocol = kube::Protocol::tcp});
  }
  made.terminating = chance(15);
  made.host_network = chance(5);
  if (chance(5)) made.phase = kube::Pod::Phase::succeeded;
  return made;
}

kube::Service RandomCluster::random_service(std::size_t i) {
  std::vector<std::string> ips{fmt::format("10.96.0.{}", i + 1)};
  if (chance(60)) ips.push_back(fmt::format("fd96::{}", i + 1));
  auto made = service(fmt::format("service-{}", i), ips, chance(80) ? 80 : 81);
  if (chance(30)) {
    kube::ServicePort second;
    second.name = "extra";
    second.protocol = kube::Protocol::udp;
    second.port = 53;
    made.ports.push_back(second);
  }
  made.client_ip_affinity = chance(20);
  made.algorithm = chance(30) ? kube::Service::Algorithm::maglev : kube::Service::Algorithm::random;
  return made;
}

kube::EndpointSlice RandomCluster::random_slice(std::size_t i, Family family,
                                                const kube::Cluster& cluster) {
  std::vector<kube::EndpointSlice::Endpoint> endpoints;
  for (const auto& [key, pod] : cluster.pods) {
    for (const auto& address : pod.addresses) {
      if (address.family() != family || chance(30)) continue;
      const auto health = chance(60)   ? Health::ready
                          : chance(70) ? Health::terminating
                                       : Health::unready;
      endpoints.push_back(endpoint(address.to_string(), health));
      endpoints.back().target_pod = key;
    }
  }
  auto made = slice(fmt::format("service-{}", i), family, std::move(endpoints));
  made.ports.push_back({.name = "extra", .protocol = kube::Protocol::udp, .port = 5353});
  return made;
}

kube::NetworkPolicy::Peer RandomCluster::random_peer() {
  switch (below(8)) {
    case 0:
      return pods({});
    case 1:
    case 2:
      return pods({{"app", chance(50) ? "web" : "api"}});
    case 3:
      return spaces({{"team", chance(50) ? "red" : "blue"}});
    case 4: {
      auto peer = spaces({});
      peer.pod_selector = labels({{"tier", "back"}});
      return peer;
    }
    case 5:
      return chance(50) ? block("10.0.0.0/8", {"10.0.0.8/29"}) : block("10.0.0.8/30");
    case 6:
      return chance(50) ? block("0.0.0.0/0", {"10.0.0.0/24"}) : block("192.168.0.0/16");
    default:
      return chance(50) ? block("::/0", {"fd00::8/125"}) : block("fd00::/64");
  }
}

kube::NetworkPolicy::Port RandomCluster::random_port() {
  switch (below(4)) {
    case 0:
      return port("http");
    case 1: {
      auto range = port(79);
      range.end_port = static_cast<std::uint16_t>(80 + below(9000));
      return range;
    }
    case 2: {
      kube::NetworkPolicy::Port every;
      every.protocol = chance(50) ? kube::Protocol::tcp : kube::Protocol::udp;
      return every;
    }
    default:
      return port(chance(50) ? 80 : 53, chance(50) ? kube::Protocol::tcp : kube::Protocol::udp);
  }
}

std::vector<kube::NetworkPolicy::Rule> RandomCluster::random_rules() {
  std::vector<kube::NetworkPolicy::Rule> rules(below(3));
  for (auto& rule : rules) {
    for (std::size_t i = below(3); i-- > 0;) rule.peers.push_back(random_peer());
    for (std::size_t i = below(3); i-- > 0;) rule.ports.push_back(random_port());
  }
  return rules;
}

kube::NetworkPolicy RandomCluster::random_policy(std::size_t i) {
  const kube::Labels selects =
      chance(40) ? kube::Labels{} : kube::Labels{{"app", chance(50) ? "web" : "api"}};
  auto made = policy(fmt::format("policy-{}", i), selects, space_of(i));
  made.isolates_ingress = chance(70);
  made.isolates_egress = chance(50);
  if (made.isolates_ingress) made.ingress = random_rules();
  if (made.isolates_egress) made.egress = random_rules();
  return made;
}

kube::Cluster RandomCluster::first() {
  kube::Cluster cluster;
  put(cluster, space("default"));
  put(cluster, space("shop", {{"team", "red"}}));
  for (std::size_t i = 0; i < 3; ++i) {
    put(cluster,
        node(node_name(i), {fmt::format("172.18.0.{}", i + 1), fmt::format("fd18::{}", i + 1)}));
  }
  for (std::size_t i = 0; i < pod_count; ++i) {
    if (chance(70)) put(cluster, random_pod(i));
  }
  for (std::size_t i = 0; i < service_count; ++i) {
    put(cluster, random_service(i));
    put(cluster, random_slice(i, Family::v4, cluster));
    put(cluster, random_slice(i, Family::v6, cluster));
  }
  for (std::size_t i = 0; i < policy_count; ++i) {
    if (chance(50)) put(cluster, random_policy(i));
  }
  return cluster;
}

kube::Change RandomCluster::next(const kube::Cluster& cluster) {
  const auto drop = [this](const auto& objects, auto made, unsigned percent) {
    const bool there = objects.contains(kube::key_of(made.meta));
    return there && chance(percent) ? deleted(std::move(made)) : upserted(std::move(made));
  };
  switch (below(12)) {
    case 0: {
      kube::Labels team;
      if (chance(70)) team["team"] = chance(50) ? "red" : "blue";
      return upserted(space(chance(50) ? "shop" : "default", team));
    }
    case 1: {
      const auto i = below(3);
      auto made = node(node_name(i), {fmt::format("172.18.0.{}", i + 1)});
      if (chance(80)) made.addresses.push_back(ip(fmt::format("fd18::{}", i + 1)));
      return drop(cluster.nodes, made, 30);
    }
    case 2:
      return drop(cluster.services, random_service(below(service_count)), 25);
    case 3:
    case 4:
    case 5:
      return drop(cluster.endpoint_slices,
                  random_slice(below(service_count), chance(60) ? Family::v4 : Family::v6, cluster),
                  10);
    case 6:
    case 7:
    case 8: {
      auto made = random_pod(below(pod_count));
      const auto held = cluster.pods.find(kube::key_of(made.meta));
      if (held == cluster.pods.end() || chance(25)) return drop(cluster.pods, made, 80);
      auto changed = held->second;  // labels only, which is what moves identities
      changed.meta.labels = made.meta.labels;
      return upserted(changed);
    }
    default:
      return drop(cluster.network_policies, random_policy(below(policy_count)), 30);
  }
}

std::vector<NodeContext> RandomCluster::all_contexts(std::size_t nodes) const {
  std::vector<NodeContext> made;
  for (std::size_t n = 0; n < nodes; ++n) {
    NodeContext context;
    context.node_name = node_name(n);
    context.zone = static_cast<std::uint16_t>(n);
    for (std::size_t i = 0; i < pod_count; ++i) {
      context.attachments[{space_of(i), pod_name(i)}] = {
          .ifindex = static_cast<std::uint32_t>(10 + i), .pod_mac = {2}, .host_mac = {4}};
    }
    made.push_back(std::move(context));
  }
  return made;
}

std::vector<Flow> RandomCluster::flows() const {
  std::vector<Address> four{ip("172.18.0.1"), ip("192.168.1.1"), ip("8.8.8.8")};
  std::vector<Address> six{ip("fd18::2"), ip("2001:db8::1")};
  for (std::size_t i = 0; i < address_count; ++i) {
    four.push_back(ip(address4(i)));
    six.push_back(ip(address6(i)));
  }
  std::vector<Flow> made;
  for (const auto* addresses : {&four, &six}) {
    for (const auto& source : *addresses) {
      for (const auto& destination : *addresses) {
        if (source == destination) continue;
        for (const auto& [protocol, port] : {std::pair{6, 80}, {6, 8080}, {17, 53}, {1, 0x800}}) {
          made.push_back({.source = source,
                          .destination = destination,
                          .protocol = static_cast<std::uint8_t>(protocol),
                          .port = static_cast<std::uint16_t>(port)});
        }
      }
    }
  }
  return made;
}

}  // namespace waggle::agent
