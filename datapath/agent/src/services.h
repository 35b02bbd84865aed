#pragma once
// One service and its endpoints to frontends, backends and positions.

#include <set>
#include <span>
#include <string>

#include "waggle/agent/compile.h"

namespace waggle::agent {

/// What one service puts into the tables, and the contents whose numbers it uses.
struct ServicePart {
  Tables tables;  ///< services, backends, reverse_nat and maglev only
  std::set<std::string> sets, frontends, backends;
  std::map<std::uint32_t, Provenance::Frontend> frontend_provenance;
  std::map<std::uint32_t, Provenance::Backend> backend_provenance;
};

/// Work in proportion to this service's endpoints and ports. `slices` are the service's own.
[[nodiscard]] Result<ServicePart> compile_service(
    const kube::Service& service, std::span<const kube::EndpointSlice* const> slices,
    const Config& config, Ids& ids);

/// "shop/web/http/TCP/v4": the content of a backend set.
[[nodiscard]] std::string set_content(const kube::Service& service, const kube::ServicePort& port,
                                      Family family);
/// "shop/web/http/TCP/v4/10.96.0.1:80".
[[nodiscard]] std::string frontend_content(const kube::Service& service,
                                           const kube::ServicePort& port, const Address& address);
[[nodiscard]] dp_service_key frontend_key(const kube::ServicePort& port, const Address& address);
/// Two services claim one address and port.
[[nodiscard]] std::unexpected<Error> frontend_taken(const kube::Service& service,
                                                    const dp_service_key& key);
/// "10.0.1.5:8080/TCP" or "[fd00::5]:8080/TCP".
[[nodiscard]] std::string endpoint_text(const Address& address, std::uint16_t port,
                                        kube::Protocol protocol);

}  // namespace waggle::agent
