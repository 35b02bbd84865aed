#include "world.h"

#include <fmt/format.h>

namespace waggle::agent {

Address ip(const std::string& text) { return Address::parse(text).value(); }
Cidr cidr(const std::string& text) { return Cidr::parse(text).value(); }

namespace {

kube::ObjectMeta meta(const std::string& name, const std::string& namespace_name,
                      const kube::Labels& labels = {}) {
  kube::ObjectMeta made;
  made.name = name;
  made.namespace_name = namespace_name;
  made.labels = labels;
  return made;
}

}  // namespace

kube::Namespace space(const std::string& name, const kube::Labels& labels) {
  kube::Namespace made{.meta = meta(name, "", labels)};
  made.meta.labels["kubernetes.io/metadata.name"] = name;
  return made;
}

kube::Node node(const std::string& name, const std::vector<std::string>& addresses) {
  kube::Node made;
  made.meta = meta(name, "");
  for (const auto& address : addresses) made.addresses.push_back(ip(address));
  return made;
}

kube::Pod pod(const std::string& name, const std::string& node_name,
              const std::vector<std::string>& addresses, const kube::Labels& labels,
              const std::string& namespace_name) {
  kube::Pod made;
  made.meta = meta(name, namespace_name, labels);
  made.node_name = node_name;
  for (const auto& address : addresses) made.addresses.push_back(ip(address));
  return made;
}

kube::Service service(const std::string& name, const std::vector<std::string>& cluster_ips,
                      std::uint16_t port) {
  kube::Service made;
  made.meta = meta(name, "default");
  for (const auto& address : cluster_ips) made.cluster_ips.push_back(ip(address));
  kube::ServicePort first;
  first.name = "main";
  first.port = port;
  made.ports.push_back(first);
  return made;
}

kube::EndpointSlice::Endpoint endpoint(const std::string& address, Health health) {
  kube::EndpointSlice::Endpoint made;
  made.addresses.push_back(ip(address));
  made.ready = health == Health::ready;
  made.serving = health != Health::unready;
  made.terminating = health == Health::terminating;
  return made;
}

kube::EndpointSlice slice(const std::string& service_name, Family family,
                          std::vector<kube::EndpointSlice::Endpoint> endpoints,
                          std::uint16_t port) {
  kube::EndpointSlice made;
  made.meta = meta(service_name + (family == Family::v4 ? "-4" : "-6"), "default");
  made.service_name = service_name;
  made.family = family;
  made.endpoints = std::move(endpoints);
  made.ports.push_back({.name = "main", .protocol = kube::Protocol::tcp, .port = port});
  return made;
}

kube::LabelSelector labels(const kube::Labels& match) {
  kube::LabelSelector selector;
  selector.match_labels = match;
  return selector;
}

kube::NetworkPolicy policy(const std::string& name, const kube::Labels& selects,
                           const std::string& namespace_name) {
  kube::NetworkPolicy made;
  made.meta = meta(name, namespace_name);
  made.pod_selector = labels(selects);
  return made;
}

kube::NetworkPolicy::Port port(std::uint16_t number, kube::Protocol protocol) {
  kube::NetworkPolicy::Port made;
  made.protocol = protocol;
  made.port = number;
  return made;
}

kube::NetworkPolicy::Port port(const std::string& name, kube::Protocol protocol) {
  kube::NetworkPolicy::Port made;
  made.protocol = protocol;
  made.port = name;
  return made;
}

kube::NetworkPolicy::Peer pods(const kube::Labels& match) {
  kube::NetworkPolicy::Peer made;
  made.pod_selector = labels(match);
  return made;
}

kube::NetworkPolicy::Peer spaces(const kube::Labels& match) {
  kube::NetworkPolicy::Peer made;
  made.namespace_selector = labels(match);
  return made;
}

kube::NetworkPolicy::Peer block(const std::string& cidr_text,
                                const std::vector<std::string>& except) {
  kube::NetworkPolicy::IpBlock ip_block{.cidr = cidr(cidr_text), .except = {}};
  for (const auto& text : except) ip_block.except.push_back(cidr(text));
  kube::NetworkPolicy::Peer made;
  made.ip_block = std::move(ip_block);
  return made;
}

void put(kube::Cluster& cluster, kube::Object object) {
  cluster.apply(upserted(std::move(object)));
}

kube::Change upserted(kube::Object object) {
  return {kube::Change::Kind::upserted, std::move(object)};
}

kube::Change deleted(kube::Object object) {
  return {kube::Change::Kind::deleted, std::move(object)};
}

std::vector<NodeContext> contexts(const kube::Cluster& cluster,
                                  const std::vector<std::string>& nodes) {
  std::vector<NodeContext> made;
  for (const auto& name : nodes) {
    NodeContext context;
    context.node_name = name;
    context.zone = static_cast<std::uint16_t>(made.size());
    std::uint32_t ifindex = 10;
    for (const auto& [key, pod] : cluster.pods) {
      context.attachments[key] = {.ifindex = ifindex++, .pod_mac = {2}, .host_mac = {4}};
    }
    made.push_back(std::move(context));
  }
  return made;
}

std::string many_address(std::size_t service, std::size_t endpoint) {
  const auto number = service * 100 + endpoint;
  return fmt::format("10.{}.{}.{}", 1 + number / 65536, number / 256 % 256, number % 256);
}

kube::Cluster many_services(std::size_t services, std::size_t endpoints,
                            kube::Service::Algorithm algorithm) {
  kube::Cluster cluster;
  for (std::size_t i = 0; i < services; ++i) {
    const auto name = fmt::format("service-{}", i);
    auto made = service(name, {fmt::format("10.96.{}.{}", i / 256, i % 256)});
    made.algorithm = algorithm;
    put(cluster, made);
    std::vector<kube::EndpointSlice::Endpoint> members;
    for (std::size_t k = 0; k < endpoints; ++k) members.push_back(endpoint(many_address(i, k)));
    put(cluster, slice(name, Family::v4, std::move(members)));
  }
  return cluster;
}

}  // namespace waggle::agent
