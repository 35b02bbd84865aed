#pragma once
// Small clusters, written as values.

#include <cstdint>
#include <string>
#include <vector>

#include "waggle/agent/compile.h"

namespace waggle::agent {

[[nodiscard]] Address ip(const std::string& text);
[[nodiscard]] Cidr cidr(const std::string& text);

[[nodiscard]] kube::Namespace space(const std::string& name, const kube::Labels& labels = {});
[[nodiscard]] kube::Node node(const std::string& name, const std::vector<std::string>& addresses);
[[nodiscard]] kube::Pod pod(const std::string& name, const std::string& node_name,
                            const std::vector<std::string>& addresses,
                            const kube::Labels& labels = {},
                            const std::string& namespace_name = "default");
[[nodiscard]] kube::Service service(const std::string& name,
                                    const std::vector<std::string>& cluster_ips,
                                    std::uint16_t port = 80);

enum class Health { ready, terminating, unready };
[[nodiscard]] kube::EndpointSlice::Endpoint endpoint(const std::string& address,
                                                     Health health = Health::ready);
/// The slice `service`-`family` of a service made by service().
[[nodiscard]] kube::EndpointSlice slice(const std::string& service_name, Family family,
                                        std::vector<kube::EndpointSlice::Endpoint> endpoints,
                                        std::uint16_t port = 8080);

[[nodiscard]] kube::LabelSelector labels(const kube::Labels& match);
/// Selects pods of `namespace_name`; isolates nothing until rules are added.
[[nodiscard]] kube::NetworkPolicy policy(const std::string& name, const kube::Labels& selects,
                                         const std::string& namespace_name = "default");
[[nodiscard]] kube::NetworkPolicy::Port port(std::uint16_t number,
                                             kube::Protocol protocol = kube::Protocol::tcp);
[[nodiscard]] kube::NetworkPolicy::Port port(const std::string& name,
                                             kube::Protocol protocol = kube::Protocol::tcp);
[[nodiscard]] kube::NetworkPolicy::Peer pods(const kube::Labels& match);
[[nodiscard]] kube::NetworkPolicy::Peer spaces(const kube::Labels& match);
[[nodiscard]] kube::NetworkPolicy::Peer block(const std::string& cidr_text,
                                              const std::vector<std::string>& except = {});

void put(kube::Cluster& cluster, kube::Object object);
[[nodiscard]] kube::Change upserted(kube::Object object);
[[nodiscard]] kube::Change deleted(kube::Object object);

/// Contexts of these nodes with every pod of the cluster attached.
[[nodiscard]] std::vector<NodeContext> contexts(const kube::Cluster& cluster,
                                                const std::vector<std::string>& nodes);

/// `services` services of `endpoints` ready endpoints each, IPv4.
[[nodiscard]] kube::Cluster many_services(std::size_t services, std::size_t endpoints,
                                          kube::Service::Algorithm algorithm);
[[nodiscard]] std::string many_address(std::size_t service, std::size_t endpoint);

}  // namespace waggle::agent
