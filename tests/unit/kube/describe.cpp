#include "describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <iterator>

namespace waggle::kube {
namespace {

std::vector<std::string> texts(const auto& items) {
  std::vector<std::string> all;
  for (const auto& item : items) all.push_back(item.to_string());
  return all;
}

}  // namespace

std::string lines_of(const Errors& errors) {
  std::string lines;
  for (const auto& error : errors) lines += to_string(error) + "\n";
  return lines;
}

Cluster cluster_of(std::string_view text) {
  Cluster cluster;
  auto objects = read_objects(text, "test.yaml");
  EXPECT_TRUE(objects.has_value()) << lines_of(objects.error());
  if (!objects) return cluster;
  const auto added = add_objects(cluster, std::move(*objects));
  EXPECT_TRUE(added.has_value()) << lines_of(added.error());
  return cluster;
}

Cluster completed(std::string_view text) {
  Cluster cluster = cluster_of(text);
  const auto done = complete(cluster);
  EXPECT_TRUE(done.has_value()) << lines_of(done.error());
  return cluster;
}

std::string refusal_of(std::string_view text) {
  auto objects = read_objects(text, "test.yaml");
  if (!objects) return lines_of(objects.error());
  Cluster cluster;
  const auto added = add_objects(cluster, std::move(*objects));
  return added ? "" : lines_of(added.error());
}

std::string incompletion_of(Cluster cluster, const Defaults& defaults) {
  const auto done = complete(cluster, defaults);
  return done ? "" : lines_of(done.error());
}

std::string describe(const EndpointSlice& slice) {
  std::string text = fmt::format("slice {} of {} {}", key_of(slice.meta).to_string(),
                                 slice.service_name, slice.family == Family::v4 ? "v4" : "v6");
  for (const auto& port : slice.ports)
    text += fmt::format(" {}:{}/{}", port.name, port.port, to_string(port.protocol));
  for (const auto& endpoint : slice.endpoints)
    text += fmt::format(" [{} {}{}{} {} {} {}]", fmt::join(texts(endpoint.addresses), ","),
                        endpoint.ready ? "r" : "-", endpoint.serving ? "s" : "-",
                        endpoint.terminating ? "t" : "", endpoint.node_name, endpoint.zone,
                        endpoint.target_pod ? endpoint.target_pod->to_string() : "");
  return text;
}

std::string describe(const Cluster& cluster) {
  std::string text;
  const auto out = std::back_inserter(text);
  for (const auto& [key, object] : cluster.namespaces)
    fmt::format_to(out, "namespace {} {}\n", key.to_string(), object.meta.labels);
  for (const auto& [key, node] : cluster.nodes)
    fmt::format_to(out, "node {} {} {} {} {}\n", key.to_string(),
                   fmt::join(texts(node.addresses), ","), fmt::join(texts(node.pod_cidrs), ","),
                   node.zone, node.ready);
  for (const auto& [key, pod] : cluster.pods)
    fmt::format_to(out, "pod {} {} on {} {}\n", key.to_string(), pod.meta.labels, pod.node_name,
                   fmt::join(texts(pod.addresses), ","));
  for (const auto& [key, service] : cluster.services)
    fmt::format_to(out, "service {} {}\n", key.to_string(),
                   fmt::join(texts(service.cluster_ips), ","));
  for (const auto& [key, slice] : cluster.endpoint_slices)
    fmt::format_to(out, "{}\n", describe(slice));
  for (const auto& [key, policy] : cluster.network_policies)
    fmt::format_to(out, "policy {} {} {}\n", key.to_string(), policy.ingress.size(),
                   policy.egress.size());
  return text;
}

}  // namespace waggle::kube
