#include "lab_fixture.h"

#include <unistd.h>

#include <algorithm>

#include "waggle/kube/reader.h"

namespace waggle::simulator {
namespace {

constexpr const char* manifests = R"(
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Node
metadata: {name: node-a}
---
apiVersion: v1
kind: Node
metadata: {name: node-b}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  nodeName: node-a
  containers: [{name: c, image: i, ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: guest, namespace: shop, labels: {app: guest}}
spec:
  nodeName: node-b
  containers: [{name: c, image: i}]
---
apiVersion: v1
kind: Pod
metadata: {name: api-0, namespace: shop, labels: {app: api}}
spec:
  nodeName: node-a
  containers:
  - {name: c, image: i, ports: [{containerPort: 8080}, {containerPort: 5353, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api-1, namespace: shop, labels: {app: api}}
spec:
  nodeName: node-b
  containers:
  - {name: c, image: i, ports: [{containerPort: 8080}, {containerPort: 5353, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata: {name: vault, namespace: shop, labels: {app: vault}}
spec:
  nodeName: node-b
  containers: [{name: c, image: i, ports: [{containerPort: 443}]}]
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec:
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv4, IPv6]
  selector: {app: api}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: dns, port: 53, protocol: UDP, targetPort: 5353}
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec:
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv4, IPv6]
  selector: {app: nobody}
  ports: [{name: t, port: 80}, {name: u, port: 80, protocol: UDP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: vault, namespace: shop}
spec:
  podSelector: {matchLabels: {app: vault}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 443}]}]
)";

constexpr const char* closed = R"(
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  policyTypes: [Ingress]
)";

std::vector<kube::Object> read(const char* text) {
  auto objects = kube::read_objects(text, "lab_fixture");
  WAGGLE_ASSERT(objects.has_value());
  return *std::move(objects);
}

}  // namespace

kube::Cluster lab_cluster() {
  kube::Cluster cluster;
  WAGGLE_ASSERT(kube::add_objects(cluster, read(manifests)).has_value());
  WAGGLE_ASSERT(kube::complete(cluster).has_value());
  return cluster;
}

std::string lab_name(const std::string& what) {
  return "test-" + std::to_string(getpid()) + "-" + what;
}

std::string text_of(const Error& error) { return to_string(error); }
std::string text_of(const Errors& errors) {
  std::string text;
  for (const auto& error : errors) text += text_of(error) + "\n";
  return text;
}

Address address(const std::string& text) { return Address::parse(text).value(); }

kube::Change policy_change(const std::string& name, kube::Change::Kind kind) {
  auto objects = read(name == "closed" ? closed : manifests);
  for (auto& object : objects)
    if (const auto* policy = std::get_if<kube::NetworkPolicy>(&object);
        policy != nullptr && policy->meta.name == name)
      return {.kind = kind, .object = std::move(object)};
  WAGGLE_ASSERT(false);
  return {};
}

/// The pod goes, and the slices that the controller would then keep come.
std::vector<kube::Change> pod_removed(const kube::Cluster& cluster, const std::string& name) {
  auto next = cluster;
  std::vector<kube::Change> changes{
      {.kind = kube::Change::Kind::deleted, .object = cluster.pods.at({"shop", name})}};
  next.apply(changes.front());
  for (const auto& [key, service] : next.services)
    for (auto& slice : kube::endpoint_slices_for(next, service))
      changes.push_back({.kind = kube::Change::Kind::upserted, .object = std::move(slice)});
  return changes;
}

std::unique_ptr<Lab> LabTest::lab_;

void LabTest::SetUpTestSuite() {
  auto lab = Lab::up(lab_name("suite"), lab_cluster(), {});
  ASSERT_TRUE(lab.has_value()) << text_of(lab.error());
  lab_ = *std::move(lab);
}

void LabTest::TearDownTestSuite() { lab_.reset(); }

Address LabTest::address_of(const std::string& pod, Family family) {
  const auto& addresses = lab_->layout().pods.at({"shop", pod}).addresses;
  return *std::ranges::find(addresses, family, &Address::family);
}

Address LabTest::service(const std::string& name, Family family) {
  const auto& addresses = lab_->layout().services.at({"shop", name});
  return *std::ranges::find(addresses, family, &Address::family);
}

ProbeResult LabTest::probe(const Origin& from, const Address& to, std::uint16_t port,
                           std::uint8_t protocol, std::uint16_t source_port) {
  auto result = lab_->probe(
      {.from = from, .to = to, .protocol = protocol, .port = port, .source_port = source_port});
  EXPECT_TRUE(result.has_value()) << text_of(result.error());
  return result.value_or(ProbeResult{});
}

void LabTest::change(const std::vector<kube::Change>& changes) {
  const auto done = lab_->apply(changes);
  ASSERT_TRUE(done.has_value()) << text_of(done.error());
}

std::size_t LabTest::drop_events(std::uint32_t reason) {
  std::size_t count = 0;
  for (const auto& [name, node] : lab_->layout().nodes) {
    auto events = lab_->datapath(name).value()->read_events();
    EXPECT_TRUE(events.has_value()) << text_of(events.error());
    count += static_cast<std::size_t>(std::ranges::count_if(*events, [&](const dp_event& event) {
      return event.verdict.kind == DP_VERDICT_DROP && event.verdict.reason == reason;
    }));
  }
  return count;
}

}  // namespace waggle::simulator

/// "serve NAME": the server process of the lab tests. Otherwise the tests.
int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "serve")
    return waggle::simulator::serve_lab(argv[2]).has_value() ? 0 : 1;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
