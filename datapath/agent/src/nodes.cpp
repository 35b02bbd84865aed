#include "nodes.h"

#include <algorithm>

#include <fmt/format.h>

#include "errors.h"

namespace waggle::agent {

dp_addr node_address(const kube::Node& node, Family family) {
  const auto it = std::ranges::find(node.addresses, family, &Address::family);
  return it == node.addresses.end() ? dp_addr{} : to_abi(*it);
}

dp_node node_entry(const kube::Node& node) {
  return {.address4 = node_address(node, Family::v4), .address6 = node_address(node, Family::v6)};
}

dp_endpoint endpoint_entry(const Attachment& attachment, std::uint32_t identity) {
  dp_endpoint endpoint{};
  endpoint.ifindex = attachment.ifindex;
  endpoint.identity = identity;
  std::ranges::copy(attachment.pod_mac, endpoint.pod_mac);
  std::ranges::copy(attachment.host_mac, endpoint.host_mac);
  return endpoint;
}

dp_endpoint_key endpoint_key(const Address& address, std::uint16_t zone) {
  dp_endpoint_key key{};
  key.address = to_abi(address);
  key.zone = zone;
  return key;
}

Result<> check_room(TableId table, std::size_t entries, const Config& config) {
  const auto it = config.entries_max.find(table);
  const auto entries_max = it == config.entries_max.end() ? info(table).entries_max : it->second;
  if (entries <= entries_max) return {};
  const auto name = info(table).name;
  return error(
      Error::Kind::unsupported, fmt::format("{} entries do not fit into {}", entries, entries_max),
      std::string(name), fmt::format("give {} more entries when the datapath is loaded", name));
}

Checked<> check_room(const Tables& tables, const Config& config) {
  Errors errors;
  const auto check = [&](TableId table, std::size_t entries) {
    if (auto room = check_room(table, entries, config); !room) errors.push_back(room.error());
  };
  check(TableId::services, tables.services.size());
  check(TableId::backends, tables.backends.size());
  check(TableId::reverse_nat, tables.reverse_nat.size());
  check(TableId::ipcache, tables.ipcache.size());
  check(TableId::ipcache_prefix, tables.ipcache_prefix.size());
  check(TableId::policy, tables.policy.size());
  check(TableId::endpoints, tables.endpoints.size());
  check(TableId::nodes, tables.nodes.size());
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return {};
}

Result<dp_node_config> node_config_for(const kube::Cluster& cluster, const NodeContext& node,
                                       const Ids& ids, const Tables& tables) {
  const auto object = cluster.nodes.find({.namespace_name = "", .name = node.node_name});
  const auto number = ids.nodes.find(node.node_name);
  if (object == cluster.nodes.end() || number == 0) {
    return error(Error::Kind::not_found, fmt::format("there is no node {}", node.node_name));
  }
  dp_node_config config{};
  config.address4 = node_address(object->second, Family::v4);
  config.address6 = node_address(object->second, Family::v6);
  config.hairpin4 = to_abi(Address::v4(0xa9fe2a01));  // 169.254.42.1: link-local, never routed
  config.hairpin6 = to_abi(*Address::parse("fd77:6167:676c:65::1"));  // unique local: "waggle"
  config.policy_generation = tables.policy_generation;
  config.node_id = number;
  config.scope = number;
  config.zone = node.zone;
  return config;
}

}  // namespace waggle::agent
