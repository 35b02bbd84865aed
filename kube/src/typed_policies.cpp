// NetworkPolicy. Rules: the API server's validation.

#include <fmt/format.h>

#include "typed.h"

namespace waggle::kube {
namespace {

NetworkPolicy::Port read_policy_port(const View& view) {
  NetworkPolicy::Port port;
  port.source = view.source();
  port.protocol = read_protocol(view.at("protocol"));
  const View number = view.at("port");
  if (number.present()) port.port = read_port_ref(number, {});
  const View end = view.at("endPort");
  if (!end.present()) return port;
  port.end_port = read_port(end);
  if (!number.present())
    end.refuse("is set without port");
  else if (!number.is(Value::Kind::integer))
    end.refuse("is set, but port is not a number");
  else if (const auto low = std::get<std::uint16_t>(*port.port);
           *port.end_port != 0 && *port.end_port < low)
    end.refuse(fmt::format("{} is below port {}", end.quoted(), low));
  return port;
}

NetworkPolicy::IpBlock read_ip_block(const View& view) {
  NetworkPolicy::IpBlock block;
  const View cidr = view.at("cidr");
  const auto outer = cidr.require() ? read_cidr(cidr) : std::nullopt;
  if (outer) block.cidr = *outer;
  for (const auto& item : view.at("except").items()) {
    if (!item.require()) continue;
    const auto inner = read_cidr(item);
    if (!inner) continue;
    block.except.push_back(*inner);
    if (outer && (!outer->contains(*inner) || *outer == *inner))
      item.refuse(
          fmt::format("{} is not strictly inside cidr {}", inner->to_string(), outer->to_string()));
  }
  return block;
}

NetworkPolicy::Peer read_peer(const View& view) {
  NetworkPolicy::Peer peer;
  peer.source = view.source();
  const View pods = view.object("podSelector");
  const View namespaces = view.object("namespaceSelector");
  const View block = view.object("ipBlock");
  if (pods.present()) peer.pod_selector = read_selector(pods);
  if (namespaces.present()) peer.namespace_selector = read_selector(namespaces);
  if (block.present()) peer.ip_block = read_ip_block(block);
  if (!view.at("podSelector").present() && !view.at("namespaceSelector").present() &&
      !view.at("ipBlock").present())
    view.refuse("says no peer", "use podSelector, namespaceSelector or ipBlock");
  if (block.present() && (pods.present() || namespaces.present()))
    block.refuse("stands beside a selector", "make it a list item of its own");
  return peer;
}

std::vector<NetworkPolicy::Rule> read_rules(const View& rules, std::string_view peers) {
  std::vector<NetworkPolicy::Rule> read;
  for (const auto& view : rules.objects()) {
    NetworkPolicy::Rule rule;
    rule.source = view.source();
    for (const auto& peer : view.at(peers).objects()) rule.peers.push_back(read_peer(peer));
    for (const auto& port : view.at("ports").objects())
      rule.ports.push_back(read_policy_port(port));
    read.push_back(std::move(rule));
  }
  return read;
}

void read_policy_types(const View& types, NetworkPolicy& policy) {
  const auto views = types.items();
  if (views.size() > 2) types.refuse("has more than two entries");
  for (const auto& view : views) {
    if (!view.require()) continue;
    if (view.one_of({"Ingress", "Egress"}) == 0)
      policy.isolates_ingress = true;
    else
      policy.isolates_egress = true;
  }
  if (views.empty()) {
    policy.isolates_ingress = true;
    policy.isolates_egress = !policy.egress.empty();
  }
}

}  // namespace

NetworkPolicy read_network_policy(const View& object) {
  NetworkPolicy policy;
  policy.meta = read_meta(object, {});
  const View spec = object.object("spec");
  policy.pod_selector = read_selector(spec.object("podSelector"));
  policy.ingress = read_rules(spec.at("ingress"), "from");
  policy.egress = read_rules(spec.at("egress"), "to");
  read_policy_types(spec.at("policyTypes"), policy);
  if (!policy.isolates_ingress) policy.ingress.clear();
  if (!policy.isolates_egress) policy.egress.clear();
  return policy;
}

}  // namespace waggle::kube
