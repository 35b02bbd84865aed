#include "lab_state.h"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "lab_wiring.h"

namespace waggle::simulator {
namespace {

using nlohmann::json;

json texts(const auto& values) {
  auto list = json::array();
  for (const auto& value : values) list.push_back(value.to_string());
  return list;
}

Error broken(const char* key) {
  return {.kind = Error::Kind::bad_input,
          .what = std::string("a lab's state lacks a right \"") + key + '"',
          .where = {},
          .advice = "take the lab down and up again"};
}

/// The member `key` of an object as a T; nlohmann's own accessors would throw.
template <class T>
Result<T> field(const json& from, const char* key) {
  const auto at = from.find(key);
  if (at == from.end()) return std::unexpected(broken(key));
  if constexpr (std::is_same_v<T, std::string>) {
    if (at->is_string()) return at->get_ref<const std::string&>();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (at->is_boolean()) return at->get<bool>();
  } else if constexpr (std::is_same_v<T, json>) {
    if (at->is_array()) return *at;
  } else {
    static_assert(std::is_unsigned_v<T>);
    if (at->is_number_unsigned() && at->get<std::uint64_t>() <= std::numeric_limits<T>::max())
      return at->get<T>();
  }
  return std::unexpected(broken(key));
}

template <class T>
Result<std::vector<T>> parsed(const json& from, const char* key) {
  const auto list = TRY(field<json>(from, key));
  std::vector<T> values;
  for (const auto& text : list) {
    if (!text.is_string()) return std::unexpected(broken(key));
    values.push_back(TRY(T::parse(text.template get_ref<const std::string&>())));
  }
  return values;
}

json to_json(const LabNode& node) {
  return {{"name", node.name},
          {"netns", node.netns},
          {"addresses", texts(node.addresses)},
          {"pod_cidrs", texts(node.pod_cidrs)},
          {"number", node.number},
          {"pins", node.pins.string()}};
}

json to_json(const LabPod& pod) {
  auto ports = json::array();
  for (const auto& port : pod.ports)
    ports.push_back({{"name", port.name},
                     {"port", port.port},
                     {"protocol", static_cast<unsigned>(port.protocol)}});
  return {{"namespace", pod.key.namespace_name},
          {"name", pod.key.name},
          {"node", pod.node},
          {"netns", pod.netns},
          {"addresses", texts(pod.addresses)},
          {"ports", ports},
          {"host_network", pod.host_network},
          {"number", pod.number},
          {"host_device", pod.host_device}};
}

Result<LabNode> node_of(const json& from) {
  return LabNode{.name = TRY(field<std::string>(from, "name")),
                 .netns = TRY(field<std::string>(from, "netns")),
                 .addresses = TRY(parsed<Address>(from, "addresses")),
                 .pod_cidrs = TRY(parsed<Cidr>(from, "pod_cidrs")),
                 .number = TRY(field<std::uint32_t>(from, "number")),
                 .pins = TRY(field<std::string>(from, "pins"))};
}

Result<kube::ObjectKey> key_of(const json& from) {
  return kube::ObjectKey{.namespace_name = TRY(field<std::string>(from, "namespace")),
                         .name = TRY(field<std::string>(from, "name"))};
}

Result<LabPod> pod_of(const json& from) {
  std::vector<kube::ContainerPort> ports;
  for (const auto& port : TRY(field<json>(from, "ports")))
    ports.push_back({.name = TRY(field<std::string>(port, "name")),
                     .port = TRY(field<std::uint16_t>(port, "port")),
                     .protocol = kube::Protocol{TRY(field<std::uint8_t>(port, "protocol"))}});
  return LabPod{.key = TRY(key_of(from)),
                .node = TRY(field<std::string>(from, "node")),
                .netns = TRY(field<std::string>(from, "netns")),
                .addresses = TRY(parsed<Address>(from, "addresses")),
                .ports = std::move(ports),
                .host_network = TRY(field<bool>(from, "host_network")),
                .number = TRY(field<std::uint32_t>(from, "number")),
                .host_device = TRY(field<std::string>(from, "host_device"))};
}

Result<LabLayout> layout_from(const json& from) {
  LabLayout layout;
  layout.name = TRY(field<std::string>(from, "name"));
  layout.wire = TRY(field<std::string>(from, "wire"));
  layout.world = TRY(field<std::string>(from, "world"));
  for (const auto& entry : TRY(field<json>(from, "nodes"))) {
    auto node = TRY(node_of(entry));
    layout.nodes.emplace(node.name, std::move(node));
  }
  for (const auto& entry : TRY(field<json>(from, "pods"))) {
    auto pod = TRY(pod_of(entry));
    layout.pods.emplace(pod.key, std::move(pod));
  }
  for (const auto& entry : TRY(field<json>(from, "services")))
    layout.services.emplace(TRY(key_of(entry)), TRY(parsed<Address>(entry, "addresses")));
  for (const auto& entry : TRY(field<json>(from, "entries_max"))) {
    const auto name = TRY(field<std::string>(entry, "table"));
    for (const auto& table : agent::all_tables())
      if (table.name == name)
        layout.entries_max[table.id] = TRY(field<std::uint32_t>(entry, "entries"));
  }
  return layout;
}

}  // namespace

std::filesystem::path state_folder(const std::string& name) {
  return std::filesystem::path(lab_state_folder) / name;
}

Result<> write_state(const LabLayout& layout) {
  json out{{"schema", 1},
           {"name", layout.name},
           {"wire", layout.wire},
           {"world", layout.world},
           {"nodes", json::array()},
           {"pods", json::array()},
           {"services", json::array()},
           {"entries_max", json::array()}};
  for (const auto& [name, node] : layout.nodes) out["nodes"].push_back(to_json(node));
  for (const auto& [key, pod] : layout.pods) out["pods"].push_back(to_json(pod));
  for (const auto& [key, addresses] : layout.services)
    out["services"].push_back(
        {{"namespace", key.namespace_name}, {"name", key.name}, {"addresses", texts(addresses)}});
  for (const auto& [table, entries] : layout.entries_max)
    out["entries_max"].push_back({{"table", agent::info(table).name}, {"entries", entries}});
  const auto path = state_folder(layout.name) / "state.json";
  const std::filesystem::path fresh = path.string() + ".new";
  std::ofstream(fresh) << out.dump(1) << '\n';
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (!error) return {};
  return std::unexpected(Error{
      .kind = Error::Kind::kernel, .what = error.message(), .where = path.string(), .advice = {}});
}

Result<LabLayout> read_state(const std::string& name) {
  const auto path = state_folder(name) / "state.json";
  std::ifstream file(path);
  if (!file)
    return std::unexpected(Error{.kind = Error::Kind::not_found,
                                 .what = "no lab \"" + name + "\" is up",
                                 .where = path.string(),
                                 .advice = {}});
  const auto content = json::parse(file, nullptr, false);
  if (content.is_discarded()) return std::unexpected(broken("json"));
  return layout_from(content);
}

}  // namespace waggle::simulator
