// Service and EndpointSlice.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "typed.h"

namespace waggle::kube {
namespace {

constexpr auto service_name_label = "kubernetes.io/service-name";

ServicePort read_service_port(const View& view, const Service& service) {
  ServicePort port;
  const View name = view.at("name");
  port.name = name.string();
  if (!port.name.empty()) refuse_flaw(name, flaw_of_dns_label(port.name));
  port.protocol = read_protocol(view.at("protocol"));
  const View number = view.at("port");
  if (number.require()) port.port = read_port(number);
  port.target_port = read_port_ref(view.at("targetPort"), port.port);
  const View node_port = view.at("nodePort");
  port.node_port = static_cast<std::uint16_t>(node_port.integer(0, 65535, 0));
  if (port.node_port != 0 && service.type == Service::Type::cluster_ip)
    node_port.refuse("is set, but type is ClusterIP", "use type NodePort or LoadBalancer");
  return port;
}

void read_ports(const View& spec, Service& service) {
  const View ports = spec.at("ports");
  const auto views = ports.objects();
  std::set<std::string> names;
  std::set<std::pair<Protocol, std::uint16_t>> numbers;
  for (const auto& view : views) {
    const auto port = read_service_port(view, service);
    if (port.name.empty() && views.size() > 1)
      view.at("name").refuse("is missing, but the service has several ports");
    if (!port.name.empty() && !names.insert(port.name).second)
      view.at("name").refuse(fmt::format("\"{}\" names two ports of the service", port.name));
    if (port.port != 0 && !numbers.emplace(port.protocol, port.port).second)
      view.at("port").refuse(
          fmt::format("{}/{} is given twice", port.port, to_string(port.protocol)));
    service.ports.push_back(port);
  }
  if (views.empty() && !service.headless && service.type != Service::Type::external_name)
    ports.refuse("is empty", "only a headless service has no ports");
}

bool is_blank(const View& view) {
  return !view.present() || (view.is(Value::Kind::string) && view.string().empty());
}

void read_cluster_ips(const View& spec, Service& service) {
  const View one = spec.at("clusterIP");
  auto views = spec.at("clusterIPs").items();
  if (views.empty() && !is_blank(one)) views = {one};
  for (const auto& view : views) {
    if (view.is(Value::Kind::string) && view.string() == "None") {
      service.headless = true;
      if (views.size() > 1) view.refuse("\"None\" does not stand beside addresses");
    } else if (!is_blank(view)) {
      if (const auto address = read_address(view)) service.cluster_ips.push_back(*address);
    }
  }
  if (!is_blank(one) && views.front().quoted() != one.quoted())
    one.refuse(
        fmt::format("{} is not the first of clusterIPs, {}", one.quoted(), views.front().quoted()));
  const auto& ips = service.cluster_ips;
  if (ips.size() > 2 || (ips.size() == 2 && ips[0].family() == ips[1].family()))
    spec.at("clusterIPs").refuse("has more than one address of a family");
  if (service.headless && service.type != Service::Type::cluster_ip)
    one.refuse("is \"None\", but type is not ClusterIP");
}

void read_families(const View& spec, Service& service) {
  const View families = spec.at("ipFamilies");
  for (const auto& view : families.items()) {
    if (!view.require()) continue;
    const auto family = view.one_of({"IPv4", "IPv6"}) == 0 ? Family::v4 : Family::v6;
    if (std::ranges::find(service.ip_families, family) != service.ip_families.end())
      view.refuse("is given twice");
    else
      service.ip_families.push_back(family);
  }
  const auto policy =
      spec.at("ipFamilyPolicy").one_of({"SingleStack", "PreferDualStack", "RequireDualStack"});
  const bool single = policy == 0 && spec.at("ipFamilyPolicy").present();
  if (single && (service.ip_families.size() > 1 || service.cluster_ips.size() > 1))
    spec.at("ipFamilyPolicy").refuse("is SingleStack, but two families are given");
  for (std::size_t i = 0; i < service.cluster_ips.size(); ++i) {
    const auto family = service.cluster_ips[i].family();
    if (families.items().size() > i && service.ip_families.size() > i &&
        service.ip_families[i] != family)
      spec.at("clusterIPs")
          .refuse(fmt::format("{} is not of the family that ipFamilies[{}] says",
                              service.cluster_ips[i].to_string(), i));
    if (std::ranges::find(service.ip_families, family) == service.ip_families.end())
      service.ip_families.push_back(family);
  }
  if (policy == 0) return;
  for (const auto family : {Family::v4, Family::v6})
    if (std::ranges::find(service.ip_families, family) == service.ip_families.end())
      service.ip_families.push_back(family);
}

void read_affinity(const View& spec, Service& service) {
  service.client_ip_affinity = spec.at("sessionAffinity").one_of({"None", "ClientIP"}) == 1;
  const View config = spec.object("sessionAffinityConfig");
  if (config.present() && !service.client_ip_affinity)
    config.refuse("is set, but sessionAffinity is not ClientIP");
  service.affinity_timeout_s = static_cast<std::uint32_t>(
      config.object("clientIP").at("timeoutSeconds").integer(1, 86400, 10800));
}

void read_traffic(const View& spec, Service& service) {
  service.publish_not_ready = spec.at("publishNotReadyAddresses").boolean(false);
  service.internal_traffic_local =
      spec.at("internalTrafficPolicy").one_of({"Cluster", "Local"}) == 1;
  service.external_traffic_local =
      spec.at("externalTrafficPolicy").one_of({"Cluster", "Local"}) == 1;
  for (const auto& view : spec.at("externalIPs").items())
    if (view.require()) static_cast<void>(read_address(view));
  for (const auto& view : spec.at("loadBalancerSourceRanges").items())
    if (view.require()) static_cast<void>(read_cidr(view));
}

Service::Algorithm read_algorithm(const View& object) {
  const View algorithm = object.at("metadata").at("annotations").at("waggle.io/lb-algorithm");
  if (!algorithm.present()) return Service::Algorithm::by_default;
  return algorithm.one_of({"random", "maglev"}) == 0 ? Service::Algorithm::random
                                                     : Service::Algorithm::maglev;
}

}  // namespace

Service read_service(const View& object) {
  Service service;
  service.meta = read_meta(object, {.namespaced = true, .flaw_of_name = flaw_of_service_name});
  service.algorithm = read_algorithm(object);
  const View spec = object.object("spec");
  if (!spec.require()) return service;
  service.type = static_cast<Service::Type>(
      spec.at("type").one_of({"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"}));
  read_cluster_ips(spec, service);
  read_families(spec, service);
  read_ports(spec, service);
  auto selector = read_labels(spec.at("selector"));
  if (!selector.empty()) service.selector = std::move(selector);
  read_affinity(spec, service);
  read_traffic(spec, service);
  if (service.type == Service::Type::external_name) {
    const View name = spec.at("externalName");
    if (name.require() && name.is(Value::Kind::string)) {
      auto text = name.string();
      if (text.ends_with('.')) text.pop_back();
      refuse_flaw(name, flaw_of_dns_subdomain(text));
    }
    if (!service.cluster_ips.empty())
      spec.at("clusterIP").refuse("is set, but type is ExternalName");
  }
  return service;
}

namespace {

/// Addresses that no backend has: the API server refuses them.
Flaw flaw_of_endpoint(const Address& address) {
  const auto in = [&](const char* block) { return Cidr::parse(block)->contains(address); };
  const bool v4 = address.family() == Family::v4;
  if (v4 ? in("0.0.0.0/32") : address.is_unspecified()) return "is the unspecified address";
  if (in(v4 ? "127.0.0.0/8" : "::1/128")) return "is a loopback address";
  if (in(v4 ? "169.254.0.0/16" : "fe80::/10")) return "is a link-local address";
  if (in(v4 ? "224.0.0.0/4" : "ff00::/8")) return "is a multicast address";
  return std::nullopt;
}

EndpointSlice::Endpoint read_endpoint(const View& view, Family family) {
  EndpointSlice::Endpoint endpoint;
  const View addresses = view.at("addresses");
  const auto views = addresses.items();
  if (views.empty()) addresses.refuse("is empty");
  if (views.size() > 100) addresses.refuse("has more than 100 addresses");
  for (const auto& item : views) {
    if (!item.require()) continue;
    const auto address = read_address(item);
    if (!address) continue;
    if (address->family() != family)
      item.refuse(fmt::format("{} is not of the addressType", address->to_string()));
    else if (const auto flaw = flaw_of_endpoint(*address))
      item.refuse(fmt::format("{} {}", address->to_string(), *flaw));
    endpoint.addresses.push_back(*address);
  }
  const View conditions = view.object("conditions");
  endpoint.ready = conditions.at("ready").boolean(true);
  endpoint.serving = conditions.at("serving").boolean(endpoint.ready);
  endpoint.terminating = conditions.at("terminating").boolean(false);
  endpoint.node_name = view.at("nodeName").string();
  endpoint.zone = view.at("zone").string();
  const View target = view.object("targetRef");
  if (target.at("kind").string() == "Pod")
    endpoint.target_pod = ObjectKey{target.at("namespace").string(), target.at("name").string()};
  return endpoint;
}

void read_slice_ports(const View& object, EndpointSlice& slice) {
  std::set<std::string> names;
  for (const auto& view : object.at("ports").objects()) {
    EndpointSlice::Port port;
    const View name = view.at("name");
    port.name = name.string();
    if (!port.name.empty()) refuse_flaw(name, flaw_of_dns_label(port.name));
    if (!names.insert(port.name).second)
      name.refuse(fmt::format("\"{}\" names two ports of the slice", port.name));
    port.protocol = read_protocol(view.at("protocol"));
    port.port = read_port(view.at("port"));
    // Without a number it means every port: a service cannot translate to that.
    if (view.at("port").present()) slice.ports.push_back(port);
  }
}

}  // namespace

std::optional<EndpointSlice> read_endpoint_slice(const View& object) {
  EndpointSlice slice;
  slice.meta = read_meta(object, {});
  const auto& labels = slice.meta.labels;
  if (const auto found = labels.find(service_name_label); found != labels.end())
    slice.service_name = found->second;
  const View type = object.at("addressType");
  if (!type.require()) return slice;
  const auto family = type.one_of({"IPv4", "IPv6", "FQDN"});
  if (family == 2) return std::nullopt;
  slice.family = family == 0 ? Family::v4 : Family::v6;
  for (const auto& view : object.at("endpoints").objects())
    slice.endpoints.push_back(read_endpoint(view, slice.family));
  read_slice_ports(object, slice);
  return slice;
}

}  // namespace waggle::kube
