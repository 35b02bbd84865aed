// Namespace, Node, Pod, and what makes pods.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "typed.h"

namespace waggle::kube {
namespace {

std::string label_or_empty(const Labels& labels, const std::string& key) {
  const auto found = labels.find(key);
  return found == labels.end() ? "" : found->second;
}

/// The singular field and the plural one, which have to agree on the first.
template <class T>
std::vector<T> read_both(const View& one, const std::vector<View>& many,
                         std::optional<T> (*read)(const View&)) {
  std::vector<T> all;
  for (const auto& view : many)
    if (view.require())
      if (const auto item = read(view)) all.push_back(*item);
  if (!one.present() || (one.is(Value::Kind::string) && one.string().empty())) return all;
  const auto first = read(one);
  if (!first) return all;
  if (many.empty()) return {*first};
  if (!all.empty() && all.front() != *first)
    one.refuse(fmt::format("{} is not the first of the list, {}", first->to_string(),
                           all.front().to_string()));
  return all;
}

void read_container_ports(const View& container, Pod& pod) {
  std::set<std::string> names;
  for (const auto& view : container.at("ports").objects()) {
    ContainerPort port;
    const View name = view.at("name");
    port.name = name.string();
    if (!port.name.empty()) {
      refuse_flaw(name, flaw_of_port_name(port.name));
      if (!names.insert(port.name).second)
        name.refuse(fmt::format("\"{}\" names two ports of the container", port.name));
    }
    const View number = view.at("containerPort");
    if (number.require()) port.port = read_port(number);
    port.protocol = read_protocol(view.at("protocol"));
    static_cast<void>(view.at("hostPort").integer(0, 65535, 0));
    pod.ports.push_back(port);
  }
}

void read_status(const View& status, Pod& pod) {
  const View phase = status.at("phase");
  if (phase.present())
    pod.phase = static_cast<Pod::Phase>(
        phase.one_of({"Pending", "Running", "Succeeded", "Failed", "Unknown"}));
  pod.ready = read_condition(status, "Ready").value_or(pod.phase == Pod::Phase::running);
  std::vector<View> addresses;
  for (const auto& item : status.at("podIPs").objects()) addresses.push_back(item.at("ip"));
  const View podIP = status.at("podIP");
  pod.addresses = read_both<Address>(podIP, addresses, read_address);
  if (pod.addresses.size() > 2 ||
      (pod.addresses.size() == 2 && pod.addresses[0].family() == pod.addresses[1].family()))
    status.at("podIPs").refuse("has more than one address of a family");
  if (pod.finished()) pod.addresses.clear();  // another pod may have been given them
}

}  // namespace

Namespace read_namespace(const View& object) {
  Namespace read;
  read.meta = read_meta(object, {.namespaced = false, .flaw_of_name = flaw_of_dns_label});
  read.meta.labels["kubernetes.io/metadata.name"] = read.meta.name;
  return read;
}

Node read_node(const View& object) {
  Node node;
  node.meta = read_meta(object, {.namespaced = false});
  const View spec = object.object("spec");
  std::vector<View> blocks;
  for (const auto& block : spec.at("podCIDRs").items()) blocks.push_back(block);
  node.pod_cidrs = read_both<Cidr>(spec.at("podCIDR"), blocks, read_cidr);
  const View status = object.object("status");
  for (const auto& view : status.at("addresses").objects()) {
    if (view.at("type").string() != "InternalIP") continue;
    const View address = view.at("address");
    if (address.require())
      if (const auto parsed = read_address(address)) node.addresses.push_back(*parsed);
  }
  node.ready = read_condition(status, "Ready").value_or(true);
  node.zone = label_or_empty(node.meta.labels, "topology.kubernetes.io/zone");
  node.region = label_or_empty(node.meta.labels, "topology.kubernetes.io/region");
  return node;
}

void read_pod_body(const View& object, Pod& pod) {
  const View spec = object.object("spec");
  const View node_name = spec.at("nodeName");
  pod.node_name = node_name.string();
  if (!pod.node_name.empty()) refuse_flaw(node_name, flaw_of_dns_subdomain(pod.node_name));
  pod.node_selector = read_labels(spec.at("nodeSelector"));
  pod.host_network = spec.at("hostNetwork").boolean(false);
  for (const auto& container : spec.at("containers").objects())
    read_container_ports(container, pod);
  // A sidecar: its ports can be named by services as those of the others.
  for (const auto& container : spec.at("initContainers").objects())
    if (container.at("restartPolicy").string() == "Always") read_container_ports(container, pod);
  read_status(object.object("status"), pod);
}

Pod read_pod(const View& object) {
  Pod pod;
  pod.meta = read_meta(object, {});
  read_pod_body(object, pod);
  pod.terminating = !object.at("metadata").at("deletionTimestamp").string().empty();
  return pod;
}

namespace {

std::uint32_t read_replicas(const View& object, Workload::Kind kind) {
  constexpr std::int64_t replicas_max = 200'000;  // Kubernetes itself is built for 150,000 pods
  const View spec = object.at("spec");
  const auto count = [&](std::string_view field, std::int64_t when_absent) {
    return static_cast<std::uint32_t>(spec.at(field).integer(0, replicas_max, when_absent));
  };
  if (kind != Workload::Kind::job) return count("replicas", 1);
  const View status = object.object("status");
  const bool over = read_condition(status, "Complete").value_or(false) ||
                    read_condition(status, "Failed").value_or(false) ||
                    spec.at("suspend").boolean(false);
  const auto parallelism = count("parallelism", 1);
  return over ? 0 : std::min(parallelism, count("completions", replicas_max));
}

}  // namespace

Workload read_workload(const View& object, Workload::Kind kind) {
  Workload workload;
  workload.kind = kind;
  workload.meta = read_meta(object, {});
  const View spec = object.object("spec");
  workload.replicas = read_replicas(object, kind);
  const View pod = spec.object("template");
  if (pod.require()) {
    workload.pod.meta.labels = read_labels(pod.object("metadata").at("labels"));
    workload.pod.meta.annotations = pod.object("metadata").at("annotations").string_map();
    read_pod_body(pod, workload.pod);
  }
  const View selector = spec.object("selector");
  workload.selector = read_selector(selector);
  if (kind == Workload::Kind::job) {
    if (!selector.present()) workload.selector.match_labels = {{"job-name", workload.meta.name}};
  } else if (selector.require() && pod.present() &&
             !workload.selector.matches(workload.pod.meta.labels)) {
    selector.refuse("does not match the labels of the template");
  }
  return workload;
}

}  // namespace waggle::kube
