#include "services.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "errors.h"

namespace waggle::agent {

namespace {

// In order of preference: an endpoint may be in two slices for a while, then the better word
// counts.
enum class Standing { absent, terminating, ready };

struct Endpoint {
  Address address;
  std::uint16_t port = 0;
  Standing standing = Standing::absent;
  kube::ObjectKey pod;
};

using Endpoints = std::map<std::string, Endpoint>;  // by endpoint_text: one canonical order

Standing standing_of(const kube::EndpointSlice::Endpoint& endpoint) {
  if (endpoint.ready) return Standing::ready;
  return endpoint.serving && endpoint.terminating ? Standing::terminating : Standing::absent;
}

Endpoints endpoints_of(std::span<const kube::EndpointSlice* const> slices,
                       const kube::ServicePort& port, Family family) {
  Endpoints endpoints;
  for (const auto* slice : slices) {
    if (slice->family != family) continue;
    for (const auto& slice_port : slice->ports) {
      if (slice_port.name != port.name || slice_port.protocol != port.protocol) continue;
      for (const auto& endpoint : slice->endpoints) {
        const auto standing = standing_of(endpoint);
        if (standing == Standing::absent || endpoint.addresses.empty()) continue;
        const auto& address = endpoint.addresses.front();
        auto& held = endpoints[endpoint_text(address, slice_port.port, port.protocol)];
        if (standing <= held.standing) continue;
        held = {.address = address,
                .port = slice_port.port,
                .standing = standing,
                .pod = endpoint.target_pod.value_or(kube::ObjectKey{})};
      }
    }
  }
  return endpoints;
}

struct Builder {
  const kube::Service& service;
  const Config& config;
  Ids& ids;
  ServicePart part;

  [[nodiscard]] bool uses_maglev() const {
    const auto algorithm = service.algorithm == kube::Service::Algorithm::by_default
                               ? config.default_algorithm
                               : service.algorithm;
    return algorithm == kube::Service::Algorithm::maglev;
  }

  Result<std::uint32_t> add_backend(const std::string& set, std::uint32_t set_number,
                                    const std::string& name, const Endpoint& endpoint,
                                    kube::Protocol protocol) {
    const auto content = set + "/" + name;
    const auto id = TRY(ids.backends.get(content));
    part.backends.insert(content);
    dp_backend backend{};
    backend.address = to_abi(endpoint.address);
    backend.service = set_number;
    backend.port = htons(endpoint.port);
    backend.protocol = static_cast<std::uint8_t>(protocol);
    backend.state =
        endpoint.standing == Standing::ready ? DP_BACKEND_ACTIVE : DP_BACKEND_TERMINATING;
    part.tables.backends[{.id = id}] = backend;
    part.backend_provenance[id] = {
        .service = kube::key_of(service.meta), .pod = endpoint.pod, .address = name};
    return id;
  }

  // Fills in where the set's positions are; `eligible` is in canonical order.
  Result<> place(const std::string& set,
                 const std::vector<std::pair<std::string, std::uint32_t>>& eligible,
                 dp_service& entry) {
    entry.algorithm = uses_maglev() ? DP_ALGORITHM_MAGLEV : DP_ALGORITHM_RANDOM;
    if (eligible.empty()) {
      ids.placements.remove(set);
      return {};
    }
    if (uses_maglev()) {
      const auto placement =
          TRY(ids.placements.maglev(set, eligible.size(), config.maglev_positions_per_backend));
      entry.base = placement.base;
      entry.size = placement.capacity;
      part.tables.maglev[entry.base] = maglev_table(eligible, entry.size);
      return {};
    }
    std::vector<std::uint32_t> members;
    for (const auto& [name, id] : eligible) members.push_back(id);
    auto placement = TRY(ids.placements.random(set, members));
    entry.base = placement.base;
    entry.size = static_cast<std::uint32_t>(placement.positions.size());
    part.tables.maglev[entry.base] = std::move(placement.positions);
    return {};
  }

  Result<> add_frontend(const kube::ServicePort& port, const Address& address, dp_service entry) {
    const auto content = frontend_content(service, port, address);
    entry.frontend = TRY(ids.frontends.get(content));
    part.frontends.insert(content);
    part.tables.services[frontend_key(port, address)] = entry;
    dp_reverse_nat reverse{};
    reverse.address = to_abi(address);
    reverse.port = htons(port.port);
    reverse.protocol = static_cast<std::uint8_t>(port.protocol);
    part.tables.reverse_nat[{.frontend = entry.frontend}] = reverse;
    part.frontend_provenance[entry.frontend] = {.service = kube::key_of(service.meta),
                                                .port_name = port.name,
                                                .source = service.meta.source};
    return {};
  }

  // The backend set of one port and family, as the frontends' entry without their number.
  Result<dp_service> add_set(std::span<const kube::EndpointSlice* const> slices,
                             const kube::ServicePort& port, Family family) {
    const auto set = set_content(service, port, family);
    dp_service entry{};
    entry.service = TRY(ids.services.get(set));
    part.sets.insert(set);
    const auto endpoints = endpoints_of(slices, port, family);
    auto best = Standing::absent;
    for (const auto& [name, endpoint] : endpoints) best = std::max(best, endpoint.standing);
    std::vector<std::pair<std::string, std::uint32_t>> eligible;
    for (const auto& [name, endpoint] : endpoints) {
      const auto id = TRY(add_backend(set, entry.service, name, endpoint, port.protocol));
      if (endpoint.standing == best) eligible.emplace_back(name, id);
    }
    if (best == Standing::terminating) entry.flags |= DP_SERVICE_TERMINATING;
    if (service.client_ip_affinity) {
      entry.flags |= DP_SERVICE_AFFINITY;
      entry.affinity_timeout_s = service.affinity_timeout_s;
    }
    TRY(place(set, eligible, entry));
    return entry;
  }
};

}  // namespace

Result<ServicePart> compile_service(const kube::Service& service,
                                    std::span<const kube::EndpointSlice* const> slices,
                                    const Config& config, Ids& ids) {
  Builder builder{service, config, ids, {}};
  if (service.headless || service.type == kube::Service::Type::external_name) {
    return std::move(builder.part);
  }
  for (const auto& port : service.ports) {
    std::map<Family, dp_service> entries;
    for (const auto& address : service.cluster_ips) {
      const auto family = address.family();
      if (!entries.contains(family)) {
        entries[family] = TRY(builder.add_set(slices, port, family));
      }
      TRY(builder.add_frontend(port, address, entries[family]));
    }
  }
  return std::move(builder.part);
}

std::string set_content(const kube::Service& service, const kube::ServicePort& port,
                        Family family) {
  return fmt::format("{}/{}/{}/{}/{}", service.meta.namespace_name, service.meta.name, port.name,
                     kube::to_string(port.protocol), family == Family::v4 ? "v4" : "v6");
}

std::string frontend_content(const kube::Service& service, const kube::ServicePort& port,
                             const Address& address) {
  return set_content(service, port, address.family()) + "/" +
         endpoint_text(address, port.port, port.protocol);
}

dp_service_key frontend_key(const kube::ServicePort& port, const Address& address) {
  dp_service_key key{};
  key.address = to_abi(address);
  key.port = htons(port.port);
  key.protocol = static_cast<std::uint8_t>(port.protocol);
  return key;
}

std::unexpected<Error> frontend_taken(const kube::Service& service, const dp_service_key& key) {
  const auto claimed = endpoint_text(from_abi(key.address), ntohs(key.port),
                                     static_cast<kube::Protocol>(key.protocol));
  return error(Error::Kind::bad_input,
               fmt::format("service {} claims {}, which another service has",
                           kube::key_of(service.meta).to_string(), claimed),
               service.meta.source.to_string());
}

std::string endpoint_text(const Address& address, std::uint16_t port, kube::Protocol protocol) {
  const auto text = address.to_string();
  return fmt::format("{}:{}/{}", address.family() == Family::v4 ? text : "[" + text + "]", port,
                     kube::to_string(protocol));
}

}  // namespace waggle::agent
