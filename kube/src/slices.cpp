#include "slices.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace waggle::kube {
namespace {

constexpr std::size_t endpoints_a_slice_max = 100;  // the controller's default

using ResolvedPorts = std::vector<std::tuple<std::string, Protocol, std::uint16_t>>;
using PodsByPorts = std::map<ResolvedPorts, std::vector<const Pod*>>;

std::optional<std::uint16_t> resolve(const PortRef& target, Protocol protocol, const Pod& pod) {
  if (const auto* number = std::get_if<std::uint16_t>(&target)) return *number;
  const auto& name = std::get<std::string>(target);
  for (const auto& port : pod.ports)
    if (port.name == name && port.protocol == protocol) return port.port;
  return std::nullopt;
}

ResolvedPorts resolve_all(const Service& service, const Pod& pod) {
  ResolvedPorts ports;
  for (const auto& port : service.ports)
    if (const auto number = resolve(port.target_port, port.protocol, pod))
      ports.emplace_back(port.name, port.protocol, *number);
  return ports;
}

const Address* address_of(const Pod& pod, Family family) {
  const auto found = std::ranges::find(pod.addresses, family, &Address::family);
  return found == pod.addresses.end() ? nullptr : &*found;
}

EndpointSlice::Endpoint endpoint_of(const Cluster& cluster, const Service& service, const Pod& pod,
                                    const Address& address) {
  EndpointSlice::Endpoint endpoint;
  endpoint.addresses = {address};
  endpoint.serving = pod.ready;
  endpoint.terminating = pod.terminating;
  endpoint.ready = service.publish_not_ready || (pod.ready && !pod.terminating);
  endpoint.node_name = pod.node_name;
  const auto node = cluster.nodes.find(ObjectKey{{}, pod.node_name});
  if (node != cluster.nodes.end()) endpoint.zone = node->second.zone;
  endpoint.target_pod = key_of(pod.meta);
  return endpoint;
}

class SliceMaker {
 public:
  SliceMaker(const Cluster& cluster, const Service& service)
      : cluster_(cluster), service_(service) {}

  void add_family(Family family, const PodsByPorts& pods_by_ports) {
    const std::size_t before = slices_.size();
    int number = 0;
    for (const auto& [ports, pods] : pods_by_ports) {
      EndpointSlice* slice = nullptr;
      for (const Pod* pod : pods) {
        const Address* address = address_of(*pod, family);
        if (address == nullptr) continue;
        if (slice == nullptr || slice->endpoints.size() == endpoints_a_slice_max)
          slice = &start_slice(family, ports, ++number);
        slice->endpoints.push_back(endpoint_of(cluster_, service_, *pod, *address));
      }
    }
    if (slices_.size() == before) start_slice(family, {}, 1);
  }

  std::vector<EndpointSlice> take() { return std::move(slices_); }

 private:
  EndpointSlice& start_slice(Family family, const ResolvedPorts& ports, int number) {
    EndpointSlice slice;
    const auto& owner = service_.meta;
    slice.meta.name =
        fmt::format("{}-{}-{}", owner.name, family == Family::v4 ? "ipv4" : "ipv6", number);
    slice.meta.namespace_name = owner.namespace_name;
    slice.meta.labels = {
        {"kubernetes.io/service-name", owner.name},
        {"endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"}};
    slice.service_name = owner.name;
    slice.family = family;
    for (const auto& [name, protocol, port] : ports) slice.ports.push_back({name, protocol, port});
    return slices_.emplace_back(std::move(slice));
  }

  const Cluster& cluster_;
  const Service& service_;
  std::vector<EndpointSlice> slices_;
};

std::vector<Family> families_of(const Service& service) {
  if (!service.ip_families.empty()) return service.ip_families;
  std::vector<Family> families;
  for (const auto& address : service.cluster_ips) families.push_back(address.family());
  if (families.empty()) families.push_back(Family::v4);
  return families;
}

}  // namespace

std::vector<EndpointSlice> slices_of(const Cluster& cluster, const Service& service,
                                     std::span<const Pod* const> pods) {
  PodsByPorts by_ports;
  for (const Pod* pod : pods)
    if (!pod->finished() && !pod->addresses.empty())
      by_ports[resolve_all(service, *pod)].push_back(pod);
  SliceMaker maker(cluster, service);
  for (const Family family : families_of(service)) maker.add_family(family, by_ports);
  return maker.take();
}

std::vector<EndpointSlice> endpoint_slices_for(const Cluster& cluster, const Service& service) {
  if (!service.selector || service.type == Service::Type::external_name) return {};
  LabelSelector selector;
  selector.match_labels = *service.selector;
  std::vector<const Pod*> pods;
  const auto& namespace_name = service.meta.namespace_name;
  for (auto it = cluster.pods.lower_bound(ObjectKey{namespace_name, {}});
       it != cluster.pods.end() && it->first.namespace_name == namespace_name; ++it)
    if (selector.matches(it->second.meta.labels)) pods.push_back(&it->second);
  return slices_of(cluster, service, pods);
}

}  // namespace waggle::kube
