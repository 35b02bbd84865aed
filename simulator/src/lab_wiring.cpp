#include "lab_wiring.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "netns.h"

namespace waggle::simulator {
namespace {

using Lines = std::vector<std::string>;

constexpr unsigned namespace_name_max = 200;  // NAME_MAX with room for the rest

Mac mac(std::uint8_t kind, std::uint32_t number) {
  return {0x02,
          0x77,
          kind,
          static_cast<std::uint8_t>(number >> 16 & 255),
          static_cast<std::uint8_t>(number >> 8 & 255),
          static_cast<std::uint8_t>(number & 255)};
}

std::string text(const Mac& m) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", m[0], m[1], m[2], m[3], m[4],
                     m[5]);
}

bool is_v4(const Address& address) { return address.family() == Family::v4; }
const char* everything(Family family) { return family == Family::v4 ? "0.0.0.0/0" : "::/0"; }
unsigned whole(const Address& address) { return is_v4(address) ? 32 : 128; }

std::string add_address(const Address& address, const std::string& device) {
  return fmt::format("address add {}/{} dev {}{}", address.to_string(), whole(address), device,
                     is_v4(address) ? "" : " nodad");
}
std::string neighbour(const Address& address, const Mac& link, const std::string& device) {
  return fmt::format("neighbour replace {} lladdr {} dev {} nud permanent", address.to_string(),
                     text(link), device);
}
std::string direct_route(const Address& address, const std::string& device) {
  return fmt::format("route replace {}/{} dev {}", address.to_string(), whole(address), device);
}
std::string route_via(const std::string& destination, const Address& gateway,
                      const std::string& device) {
  return fmt::format("route replace {} via {} dev {} onlink", destination, gateway.to_string(),
                     device);
}

/// What a namespace needs before its first device: later devices inherit "default".
Result<> prepare(const std::string& netns, bool forwards, bool mute) {
  const auto inside = TRY(InNamespace::enter(netns));
  for (const auto* scope : {"all", "default"}) {
    for (const auto& [key, value] :
         {std::pair{"disable_ipv6", "0"}, {"accept_dad", "0"}, {"accept_ra", "0"}})
      TRY(set_sysctl(fmt::format("ipv6/conf/{}/{}", scope, key), value));
    TRY(set_sysctl(fmt::format("ipv4/conf/{}/rp_filter", scope), "0"));
    TRY(set_sysctl(fmt::format("ipv4/conf/{}/send_redirects", scope), "0"));
    if (forwards) TRY(set_sysctl(fmt::format("ipv6/conf/{}/forwarding", scope), "1"));
  }
  // No link-local addresses: nothing here needs one, and each would be announced.
  TRY(set_sysctl("ipv6/conf/default/addr_gen_mode", "1"));
  TRY(set_sysctl("ipv6/conf/default/router_solicitations", "0"));
  if (forwards) TRY(set_sysctl("ipv4/ip_forward", "1"));
  if (mute)
    TRY(run_tool({"nft", "-f", "-"},
                 "table inet waggle {\n chain output {\n"
                 "  type filter hook output priority -400; policy drop;\n }\n}\n"));
  return {};
}

Result<> make_namespaces(const std::vector<std::string>& names) {
  Lines lines;
  for (const auto& name : names) {
    if (name.size() > namespace_name_max)
      return std::unexpected(Error{.kind = Error::Kind::bad_input,
                                   .what = "a lab cannot name a namespace " + name,
                                   .where = {},
                                   .advice = "use shorter names"});
    lines.push_back("netns add " + name);
  }
  return ip_batch({}, lines);
}

Result<> remove_namespaces(const std::vector<std::string>& names) {
  Lines lines;
  for (const auto& name : names)
    if (namespace_exists(name)) lines.push_back("netns delete " + name);
  return ip_batch({}, lines);
}

/// A port of the bridge that learns nothing and floods nothing: frames go where the table says.
Result<> plug_in(const std::string& wire, const std::string& port, const std::string& netns,
                 const Mac& link) {
  TRY(ip_batch(wire,
               {fmt::format("link add {} type veth peer name eth0 address {} netns {}", port,
                            text(link), netns),
                fmt::format("link set {} master wire up", port),
                fmt::format("link set {} type bridge_slave learning off flood off mcast_flood off "
                            "bcast_flood off",
                            port)}));
  TRY(run_tool(
      {"bridge", "-n", wire, "fdb", "replace", text(link), "dev", port, "master", "static"}));
  return {};
}

Result<> build_wire(const LabLayout& layout, const LabOptions& options) {
  TRY(make_namespaces({layout.wire, layout.world}));
  TRY(prepare(layout.wire, false, false));
  TRY(prepare(layout.world, false, options.mute));
  TRY(ip_batch(layout.wire,
               {"link add wire type bridge stp_state 0 mcast_snooping 0", "link set wire up"}));
  TRY(plug_in(layout.wire, "world", layout.world, world_mac()));
  return ip_batch(
      layout.world,
      {"link set lo up", "link set eth0 up", add_address(world_address(Family::v4), "eth0"),
       add_address(world_address(Family::v6), "eth0"),
       // The world owns every address that has no route of its own.
       "route add local 0.0.0.0/0 dev lo table main", "route add local ::/0 dev lo table main"});
}

Result<> build_node(const LabLayout& layout, const LabNode& node, const LabOptions& options) {
  TRY(make_namespaces({node.netns}));
  TRY(prepare(node.netns, true, options.mute));
  TRY(plug_in(layout.wire, fmt::format("node{}", node.number), node.netns,
              uplink_mac(node.number)));
  Lines lines{"link set lo up", "link set eth0 up"};
  for (const auto& address : node.addresses) lines.push_back(add_address(address, "eth0"));
  for (const auto family : {Family::v4, Family::v6}) {
    lines.push_back(neighbour(world_address(family), world_mac(), "eth0"));
    lines.push_back(route_via(everything(family), world_address(family), "eth0"));
  }
  return ip_batch(node.netns, lines);
}

/// The ways to `node` from another node or from the world. All of it can be said again.
Lines ways_to(const LabNode& node) {
  Lines lines;
  for (const auto& address : node.addresses) {
    lines.push_back(neighbour(address, uplink_mac(node.number), "eth0"));
    lines.push_back(direct_route(address, "eth0"));
    for (const auto& cidr : node.pod_cidrs)
      if (cidr.family() == address.family())
        lines.push_back(route_via(cidr.to_string(), address, "eth0"));
  }
  return lines;
}

Result<> connect_nodes(const LabLayout& layout) {
  Lines to_all;
  for (const auto& [name, node] : layout.nodes) {
    Lines to_others;
    for (const auto& [other_name, other] : layout.nodes)
      if (other_name != name) std::ranges::copy(ways_to(other), std::back_inserter(to_others));
    TRY(ip_batch(node.netns, to_others));
    std::ranges::copy(ways_to(node), std::back_inserter(to_all));
  }
  return ip_batch(layout.world, to_all);
}

Result<> forget_node(const LabLayout& before, const LabLayout& now, const LabNode& node) {
  TRY(ip_batch(now.wire, {fmt::format("link delete node{}", node.number)}));
  TRY(remove_namespaces({node.netns}));
  Lines lines;
  for (const auto& address : node.addresses) {
    lines.push_back(fmt::format("route delete {}/{}", address.to_string(), whole(address)));
    lines.push_back(fmt::format("neighbour delete {} dev eth0", address.to_string()));
    for (const auto& cidr : node.pod_cidrs)
      if (cidr.family() == address.family())
        lines.push_back(fmt::format("route delete {}", cidr.to_string()));
  }
  TRY(ip_batch(now.world, lines));
  for (const auto& [name, other] : now.nodes)
    if (before.nodes.contains(name)) TRY(ip_batch(other.netns, lines));
  return {};
}

Lines pod_lines(const LabPod& pod) {
  Lines lines{"link set lo up", "link set eth0 up"};
  for (const auto& address : pod.addresses) {
    const auto gateway = Address::parse(is_v4(address) ? "169.254.1.1" : "fe80::1").value();
    lines.push_back(add_address(address, "eth0"));
    lines.push_back(neighbour(gateway, host_mac(pod.number), "eth0"));
    lines.push_back(route_via(everything(address.family()), gateway, "eth0"));
  }
  return lines;
}

Lines host_lines(const LabPod& pod) {
  Lines lines{fmt::format("link add {} address {} type veth peer name eth0 address {} netns {}",
                          pod.host_device, text(host_mac(pod.number)), text(pod_mac(pod.number)),
                          pod.netns),
              fmt::format("link set {} up", pod.host_device)};
  for (const auto& address : pod.addresses) {
    lines.push_back(neighbour(address, pod_mac(pod.number), pod.host_device));
    lines.push_back(direct_route(address, pod.host_device));
  }
  return lines;
}

Result<> build_pods(const LabNode& node, const std::vector<const LabPod*>& pods,
                    const LabOptions& options) {
  std::vector<std::string> names;
  Lines lines;
  for (const auto* pod : pods) {
    names.push_back(pod->netns);
    std::ranges::copy(host_lines(*pod), std::back_inserter(lines));
  }
  TRY(make_namespaces(names));
  for (const auto& name : names) TRY(prepare(name, false, options.mute));
  TRY(ip_batch(node.netns, lines));
  for (const auto* pod : pods) {
    TRY(ip_batch(pod->netns, pod_lines(*pod)));
    if (options.offloads) continue;
    const auto inside = TRY(InNamespace::enter(pod->netns));
    TRY(disable_offloads("eth0"));
  }
  return {};
}

Result<> check_host_ports(const LabLayout& layout) {
  std::map<std::tuple<std::string, std::uint16_t, kube::Protocol>, kube::ObjectKey> taken;
  for (const auto& [key, pod] : layout.pods) {
    if (!pod.host_network) continue;
    for (const auto& port : pod.ports) {
      const auto [at, fresh] = taken.try_emplace({pod.node, port.port, port.protocol}, key);
      if (!fresh)
        return std::unexpected(
            Error{.kind = Error::Kind::bad_input,
                  .what = fmt::format("host-network pods {} and {} both want port {}/{} of node {}",
                                      at->second.to_string(), key.to_string(), port.port,
                                      kube::to_string(port.protocol), pod.node),
                  .where = {},
                  .advice = {}});
    }
  }
  return {};
}

bool runs(const kube::Pod& pod) {
  return !pod.addresses.empty() && pod.phase != kube::Pod::Phase::succeeded &&
         pod.phase != kube::Pod::Phase::failed;
}

}  // namespace

Address world_address(Family family) {
  return Address::parse(family == Family::v4 ? "198.51.100.1" : "2001:db8:ffff::1").value();
}

Mac uplink_mac(std::uint32_t node_number) { return mac(0x6e, node_number); }
Mac world_mac() { return mac(0x77, 1); }
Mac pod_mac(std::uint32_t pod_number) { return mac(0x70, pod_number); }
Mac host_mac(std::uint32_t pod_number) { return mac(0x68, pod_number); }

std::string namespace_prefix(const std::string& lab) { return "waggle." + lab + "."; }

Result<LabLayout> layout_of(const std::string& name, const kube::Cluster& cluster,
                            const LabLayout& before) {
  const auto prefix = namespace_prefix(name);
  LabLayout layout;
  layout.name = name;
  layout.wire = prefix + "wire";
  layout.world = prefix + "world";
  std::uint32_t last_node = 0, last_pod = 0;
  for (const auto& [key, node] : before.nodes) last_node = std::max(last_node, node.number);
  for (const auto& [key, pod] : before.pods) last_pod = std::max(last_pod, pod.number);

  for (const auto& [key, node] : cluster.nodes) {
    LabNode made{.name = key.name,
                 .netns = prefix + "node." + key.name,
                 .addresses = node.addresses,
                 .pod_cidrs = node.pod_cidrs,
                 .number = 0,
                 .pins = std::filesystem::path(lab_pin_folder) / name / key.name};
    const auto known = before.nodes.find(key.name);
    made.number = known != before.nodes.end() ? known->second.number : ++last_node;
    if (known != before.nodes.end() && known->second.addresses != made.addresses)
      return std::unexpected(
          Error{.kind = Error::Kind::unsupported,
                .what = "a running lab cannot change the addresses of node " + key.name,
                .where = node.meta.source.to_string(),
                .advice = {}});
    layout.nodes.emplace(key.name, std::move(made));
  }
  for (const auto& [key, pod] : cluster.pods) {
    const auto node = layout.nodes.find(pod.node_name);
    if (!runs(pod) || node == layout.nodes.end()) continue;
    LabPod made{.key = key,
                .node = pod.node_name,
                .netns = node->second.netns,
                .addresses = pod.addresses,
                .ports = pod.ports,
                .host_network = pod.host_network,
                .host_device = {}};
    const auto known = before.pods.find(key);
    const bool stays = known != before.pods.end() && known->second.node == made.node &&
                       known->second.addresses == made.addresses &&
                       known->second.host_network == made.host_network;
    made.number = stays ? known->second.number : ++last_pod;
    if (!made.host_network) {
      made.netns = fmt::format("{}pod.{}.{}", prefix, key.namespace_name, key.name);
      made.host_device = fmt::format("lxc{}", made.number);
    }
    layout.pods.emplace(key, std::move(made));
  }
  for (const auto& [key, service] : cluster.services)
    if (!service.cluster_ips.empty()) layout.services.emplace(key, service.cluster_ips);
  TRY(check_host_ports(layout));
  return layout;
}

Result<> wire(const LabLayout& before, const LabLayout& now, const LabOptions& options) {
  std::vector<std::string> gone;
  for (const auto& [key, pod] : before.pods) {
    const auto stays = now.pods.find(key);
    if (pod.host_network || (stays != now.pods.end() && stays->second.number == pod.number))
      continue;
    gone.push_back(pod.netns);
    // A namespace dies when the kernel finds the time, its device shall be gone now.
    TRY(ip_batch(before.nodes.at(pod.node).netns, {"link delete " + pod.host_device}));
  }
  TRY(remove_namespaces(gone));
  for (const auto& [name, node] : before.nodes)
    if (!now.nodes.contains(name)) TRY(forget_node(before, now, node));

  if (before.nodes.empty()) TRY(build_wire(now, options));
  for (const auto& [name, node] : now.nodes)
    if (!before.nodes.contains(name)) TRY(build_node(now, node, options));
  if (before.nodes != now.nodes) TRY(connect_nodes(now));
  for (const auto& [name, node] : now.nodes) {
    std::vector<const LabPod*> fresh;
    for (const auto& [key, pod] : now.pods) {
      const auto known = before.pods.find(key);
      if (pod.node == name && !pod.host_network &&
          (known == before.pods.end() || known->second.number != pod.number))
        fresh.push_back(&pod);
    }
    TRY(build_pods(node, fresh, options));
  }
  return {};
}

Result<agent::Attachment> attachment_of(const LabLayout& layout, const LabPod& pod) {
  const auto inside = TRY(InNamespace::enter(layout.nodes.at(pod.node).netns));
  return agent::Attachment{.ifindex = TRY(device_index(pod.host_device)),
                           .pod_mac = pod_mac(pod.number),
                           .host_mac = host_mac(pod.number)};
}

Result<std::string> namespace_of(const LabLayout& layout, const Origin& origin) {
  if (origin.kind == Origin::Kind::world) return layout.world;
  if (origin.kind == Origin::Kind::pod) {
    const auto pod = layout.pods.find(origin.pod);
    if (pod != layout.pods.end()) return pod->second.netns;
  } else if (const auto node = layout.nodes.find(origin.node); node != layout.nodes.end()) {
    return node->second.netns;
  }
  return std::unexpected(Error{.kind = Error::Kind::not_found,
                               .what = origin.kind == Origin::Kind::pod
                                           ? "the lab has no pod " + origin.pod.to_string()
                                           : "the lab has no node " + origin.node,
                               .where = {},
                               .advice = {}});
}

}  // namespace waggle::simulator
