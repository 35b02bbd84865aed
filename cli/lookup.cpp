#include "lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace waggle::cli {

namespace {

Error bad(std::string what, std::string advice) {
  return {Error::Kind::bad_input, std::move(what), "", std::move(advice)};
}

/// Something with addresses that a packet can be sent to.
struct Target {
  std::string words;
  std::vector<Address> addresses;
  const kube::Pod* pod = nullptr;
  const kube::Service* service = nullptr;
};

Result<Target> find_target(const kube::Cluster& cluster, const std::string& text) {
  if (const auto address = Address::parse(text)) return Target{text, {*address}};
  const auto key = parse_key(text);
  const auto pod = cluster.pods.find(key);
  if (pod != cluster.pods.end())
    return Target{"pod " + key.to_string(), pod->second.addresses, &pod->second};
  const auto service = cluster.services.find(key);
  if (service != cluster.services.end()) {
    if (service->second.cluster_ips.empty())
      return std::unexpected(bad("service " + key.to_string() + " is headless: it has no address",
                                 "name one of its pods"));
    return Target{"service " + key.to_string(), service->second.cluster_ips, nullptr,
                  &service->second};
  }
  const auto* workload = TRY(find_pod(cluster, text));
  return Target{"pod " + key_of(workload->meta).to_string(), workload->addresses, workload};
}

std::optional<Address> of_family(const std::vector<Address>& addresses, Family family) {
  const auto found = std::ranges::find(addresses, family, &Address::family);
  return found == addresses.end() ? std::nullopt : std::optional(*found);
}

Result<PortChoice> named_port(const Target& target, PortChoice choice) {
  if (target.service != nullptr)
    for (const auto& port : target.service->ports)
      if (port.name == choice.name)
        return PortChoice{static_cast<std::uint8_t>(port.protocol), port.port, {}};
  if (target.pod != nullptr)
    for (const auto& port : target.pod->ports)
      if (port.name == choice.name)
        return PortChoice{static_cast<std::uint8_t>(port.protocol), port.port, {}};
  return std::unexpected(bad(fmt::format("{} has no port named {}", target.words, choice.name),
                             "give --port as N/PROTOCOL, such as 80/TCP"));
}

void set_port(simulator::PacketFields& packet, const PortChoice& choice) {
  packet.protocol = choice.protocol;
  if (choice.protocol != simulator::protocol_icmp) {
    packet.source_port = 40000;
    packet.destination_port = choice.port;
    return;
  }
  const bool v4 = packet.source.family() == Family::v4;
  packet.protocol = v4 ? simulator::protocol_icmp : simulator::protocol_icmp6;
  packet.icmp_type = v4 ? 8 : 128;
  packet.icmp_id = 7;
}

}  // namespace

kube::ObjectKey parse_key(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos) return {"default", text};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

Result<const kube::Pod*> find_pod(const kube::Cluster& cluster, const std::string& text) {
  const auto key = parse_key(text);
  const auto exact = cluster.pods.find(key);
  if (exact != cluster.pods.end()) return &exact->second;
  std::string near;
  for (const auto& [have, pod] : cluster.pods) {
    if (have.namespace_name != key.namespace_name) continue;
    if (have.name.starts_with(key.name + "-")) return &pod;
    if (near.size() < 200) near += (near.empty() ? "" : ", ") + have.to_string();
  }
  const auto what = fmt::format("there is no pod {}", key.to_string());
  return std::unexpected(
      Error{Error::Kind::not_found, what, "",
            near.empty() ? "its namespace has no pods; write NAMESPACE/POD" : "there are " + near});
}

std::vector<agent::NodeContext> node_contexts(const kube::Cluster& cluster) {
  std::map<std::string, agent::NodeContext> contexts;
  for (const auto& entry : cluster.nodes) {
    const auto zone = static_cast<std::uint16_t>(contexts.size() + 1);
    contexts[entry.first.name] = {entry.first.name, zone, {}};
  }
  std::uint32_t device = 100;
  for (const auto& [key, pod] : cluster.pods) {
    const auto context = contexts.find(pod.node_name);
    if (context == contexts.end() || pod.host_network || pod.addresses.empty()) continue;
    ++device;
    const auto low = static_cast<std::uint8_t>(device),
               high = static_cast<std::uint8_t>(device >> 8);
    context->second.attachments[key] = {
        device, {0x02, 0, 0, 0, high, low}, {0x06, 0, 0, 0, high, low}};
  }
  std::vector<agent::NodeContext> all;
  for (auto& entry : contexts) all.push_back(std::move(entry.second));
  return all;
}

Result<PortChoice> parse_port(const std::string& text) {
  std::string lower = text;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "icmp") return PortChoice{simulator::protocol_icmp, 0, {}};
  PortChoice choice;
  const auto slash = lower.find('/');
  const auto protocol = slash == std::string::npos ? "tcp" : lower.substr(slash + 1);
  const auto number = lower.substr(0, slash);
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp")
    return std::unexpected(bad(fmt::format("protocol {} is not known", protocol),
                               "use TCP, UDP or SCTP, or --port icmp for an echo request"));
  choice.protocol = protocol == "tcp" ? 6 : protocol == "udp" ? 17 : 132;
  unsigned value = 0;
  const auto* end = number.data() + number.size();
  const auto read = std::from_chars(number.data(), end, value);
  if (read.ec == std::errc() && read.ptr == end) {
    if (value < 1 || value > 65535)
      return std::unexpected(bad(fmt::format("port {} is not 1 to 65535", number), ""));
    choice.port = static_cast<std::uint16_t>(value);
    return choice;
  }
  if (number.empty() || slash != std::string::npos)
    return std::unexpected(bad(fmt::format("port {} is not a number", text), "such as 80/TCP"));
  choice.name = text;
  return choice;
}

Result<Journey> plan_journey(const kube::Cluster& cluster, const std::string& from,
                             const std::string& to, const std::string& port,
                             std::optional<Family> family) {
  const auto* source = TRY(find_pod(cluster, from));
  if (source->host_network)
    return std::unexpected(bad(from +
                                   " uses its node's network: no program of the datapath runs on "
                                   "what it sends",
                               "start at a pod with a network of its own"));
  const auto target = TRY(find_target(cluster, to));
  auto choice = TRY(parse_port(port));
  if (!choice.name.empty()) choice = TRY(named_port(target, choice));
  Journey journey;
  journey.from = {simulator::Origin::Kind::pod, key_of(source->meta), source->node_name};
  journey.to = target.words;
  for (const auto one : {Family::v4, Family::v6}) {
    const auto a = of_family(source->addresses, one), b = of_family(target.addresses, one);
    if (!a || !b || (family && *family != one)) continue;
    journey.packet.source = *a;
    journey.packet.destination = *b;
    set_port(journey.packet, choice);
    return journey;
  }
  return std::unexpected(bad(fmt::format("{} and {} have no {} address in common", from, to,
                                         !family                 ? "family of"
                                         : *family == Family::v4 ? "IPv4"
                                                                 : "IPv6"),
                             "see `kubectl get pods,services -o wide`, or leave --family out"));
}

}  // namespace waggle::cli
