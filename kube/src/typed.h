#pragma once
// One function a kind: a View into an object. What is wrong is in the View's Report; the object
// that is returned then is not to be used.

#include <string_view>

#include "syntax.h"
#include "view.h"
#include "waggle/kube/cluster.h"

namespace waggle::kube {

// Parts that several kinds share.
struct MetaRules {
  bool namespaced = true;
  Flaw (*flaw_of_name)(std::string_view) = flaw_of_dns_subdomain;
};
[[nodiscard]] ObjectMeta read_meta(const View& object, const MetaRules& rules);
[[nodiscard]] Labels read_labels(const View& labels);
[[nodiscard]] LabelSelector read_selector(const View& selector);
[[nodiscard]] Protocol read_protocol(const View& protocol);  ///< absent: TCP
[[nodiscard]] std::uint16_t read_port(const View& port);     ///< 1 to 65535; absent: 0
[[nodiscard]] PortRef read_port_ref(const View& port, PortRef when_absent);
[[nodiscard]] std::optional<Address> read_address(const View& address);
[[nodiscard]] std::optional<Cidr> read_cidr(const View& cidr);
/// The condition's status; nothing when it is not listed.
[[nodiscard]] std::optional<bool> read_condition(const View& status, std::string_view type);
void refuse_flaw(const View& view, const Flaw& flaw);

// Kinds. `object` is the whole of it, with metadata.
[[nodiscard]] Namespace read_namespace(const View& object);
[[nodiscard]] Node read_node(const View& object);
[[nodiscard]] Pod read_pod(const View& object);
/// spec and status of a pod or of a pod template; meta is left alone.
void read_pod_body(const View& object, Pod& pod);
[[nodiscard]] Workload read_workload(const View& object, Workload::Kind kind);
[[nodiscard]] Service read_service(const View& object);
/// Nothing when its addresses are names (FQDN).
[[nodiscard]] std::optional<EndpointSlice> read_endpoint_slice(const View& object);
[[nodiscard]] NetworkPolicy read_network_policy(const View& object);

}  // namespace waggle::kube
