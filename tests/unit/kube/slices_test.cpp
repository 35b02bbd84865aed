// The EndpointSlice controller.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "describe.h"

namespace waggle::kube {
namespace {

const ObjectKey web = {"default", "web"};

/// Pods p0 … of app=web on invented nodes, and the service "web".
std::string base(std::string_view service_spec, int pods, std::string_view containers = "[]") {
  std::string text = fmt::format(
      "{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {}}}\n", service_spec);
  for (int i = 0; i < pods; ++i)
    text += fmt::format(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{:03}, labels: {{app: "
        "web}}}}, spec: {{containers: {}}}}}\n",
        i, containers);
  return text;
}

std::string slices(const Cluster& cluster) {
  std::string all;
  for (const auto& slice : endpoint_slices_for(cluster, cluster.services.at(web)))
    all += describe(slice) + "\n";
  return all;
}

TEST(EndpointSlices, FollowReadinessAndTermination) {
  Cluster cluster = completed(base("{selector: {app: web}, ports: [{port: 80}]}", 4));
  cluster.pods.at({"default", "p001"}).ready = false;
  cluster.pods.at({"default", "p002"}).terminating = true;
  cluster.pods.at({"default", "p003"}).phase = Pod::Phase::failed;
  EXPECT_EQ(slices(cluster),
            "slice default/web-ipv4-1 of web v4 :80/TCP"
            " [10.244.0.2 rs node-1 zone-a default/p000] [10.244.1.2 -- node-2 zone-b default/p001]"
            " [10.244.2.2 -st node-3 zone-a default/p002]\n");
  cluster.services.at(web).publish_not_ready = true;
  EXPECT_EQ(slices(cluster),
            "slice default/web-ipv4-1 of web v4 :80/TCP"
            " [10.244.0.2 rs node-1 zone-a default/p000] [10.244.1.2 r- node-2 zone-b default/p001]"
            " [10.244.2.2 rst node-3 zone-a default/p002]\n");
}

TEST(EndpointSlices, AreSplitAtAHundredEndpointsAndByFamily) {
  const auto cluster = completed(
      base("{ipFamilyPolicy: PreferDualStack, selector: {app: web}, ports: [{port: 80}]}", 201));
  std::string sizes;
  for (const auto& [key, slice] : cluster.endpoint_slices)
    sizes += fmt::format("{}:{} ", key.name, slice.endpoints.size());
  EXPECT_EQ(sizes,
            "web-ipv4-1:100 web-ipv4-2:100 web-ipv4-3:1 "
            "web-ipv6-1:100 web-ipv6-2:100 web-ipv6-3:1 ");
}

TEST(EndpointSlices, ResolveNamedPortsPodByPodWithTheirProtocol) {
  std::string text = base(
      "{selector: {app: web}, ports: [{name: a, port: 80, targetPort: http}, "
      "{name: b, port: 81, targetPort: 8081}]}",
      1, "[{ports: [{name: http, containerPort: 8080}]}]");
  const auto more = [&](std::string_view name, std::string_view ports) {
    text += fmt::format(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {}, labels: {{app: "
        "web}}}}, spec: {{containers: [{{ports: {}}}]}}}}\n",
        name, ports);
  };
  more("q", "[{name: http, containerPort: 9090}]");
  more("r", "[{name: http, containerPort: 7070, protocol: UDP}]");
  EXPECT_EQ(slices(completed(text)),
            "slice default/web-ipv4-1 of web v4 a:8080/TCP b:8081/TCP"
            " [10.244.0.2 rs node-1 zone-a default/p000]\n"
            "slice default/web-ipv4-2 of web v4 a:9090/TCP b:8081/TCP"
            " [10.244.1.2 rs node-2 zone-b default/q]\n"
            "slice default/web-ipv4-3 of web v4 b:8081/TCP"
            " [10.244.2.2 rs node-3 zone-a default/r]\n");
}

TEST(EndpointSlices, AreOneEmptySliceWhenNoPodMatches) {
  const auto cluster = completed(base("{selector: {app: none}, ports: [{port: 80}]}", 2));
  EXPECT_EQ(slices(cluster), "slice default/web-ipv4-1 of web v4\n");
  EXPECT_EQ(cluster.endpoint_slices.size(), 1U);
}

TEST(EndpointSlices, AreNotMadeWithoutASelectorOrBesideGivenOnes) {
  EXPECT_TRUE(completed(base("{ports: [{port: 80}]}", 2)).endpoint_slices.empty());
  const auto cluster =
      completed(base("{selector: {app: web}, ports: [{port: 80}]}", 2) +
                "---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, "
                "metadata: {name: own, labels: {kubernetes.io/service-name: web}}, "
                "addressType: IPv4, endpoints: []}\n");
  EXPECT_EQ(cluster.endpoint_slices.size(), 1U);
}

TEST(EndpointSlices, HoldPodsOfTheServicesNamespaceOnly) {
  const auto cluster =
      completed(base("{selector: {app: web}, ports: [{port: 80}]}", 1) +
                "---\n{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: "
                "default2, labels: {app: web}}}\n");
  EXPECT_EQ(cluster.endpoint_slices.begin()->second.endpoints.size(), 1U);
}

TEST(EndpointSlices, OfAHeadlessServiceWithoutPortsHaveNone) {
  const auto cluster = completed(base("{clusterIP: None, selector: {app: web}}", 1));
  EXPECT_EQ(slices(cluster),
            "slice default/web-ipv4-1 of web v4 [10.244.0.2 rs node-1 zone-a default/p000]\n");
}

TEST(EndpointSlices, ThatCompletionMakesAreThoseOfTheController) {
  const auto cluster =
      completed(base("{selector: {app: web}, ipFamilies: [IPv6], ports: [{port: 80}]}", 150));
  std::string made;
  for (const auto& [key, slice] : cluster.endpoint_slices) made += describe(slice) + "\n";
  EXPECT_EQ(made, slices(cluster));
}

}  // namespace
}  // namespace waggle::kube
