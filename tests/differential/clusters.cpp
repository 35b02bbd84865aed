#include "clusters.h"

#include "waggle/kube/reader.h"

namespace waggle::simulator {
namespace {

constexpr const char* manifests = R"(
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
metadata: {name: client, labels: {app: client}}
spec:
  nodeName: node-a
  containers: [{name: c, image: i}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec:
  nodeName: node-a
  containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web}}
spec:
  nodeName: node-b
  containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: vault, labels: {app: vault}}
spec:
  nodeName: node-b
  containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: dns, port: 53, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {app: nobody}
  ports: [{port: 80}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: vault}
spec:
  podSelector: {matchLabels: {app: vault}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 8080}]
)";

template <class Objects>
Address pick(const Objects& addresses, Family family) {
  for (const auto& address : addresses)
    if (address.family() == family) return address;
  ADD_FAILURE() << "no address of the family";
  return {};
}

}  // namespace

std::string text_of(const Errors& errors) {
  std::string text;
  for (const auto& error : errors) text += to_string(error) + "\n";
  return text;
}

kube::Cluster small_cluster() {
  kube::Cluster cluster;
  auto objects = kube::read_objects(manifests, "small.yaml");
  if (!objects) ADD_FAILURE() << text_of(objects.error());
  const auto added = kube::add_objects(cluster, std::move(objects).value());
  if (!added) ADD_FAILURE() << text_of(added.error());
  const auto done = kube::complete(cluster);
  if (!done) ADD_FAILURE() << text_of(done.error());
  return cluster;
}

kube::Change change_of(const std::string& yaml, kube::Change::Kind kind) {
  auto objects = kube::read_objects(yaml, "change.yaml");
  if (!objects) ADD_FAILURE() << text_of(objects.error());
  return {kind, std::move(objects).value().front()};
}

Origin pod(const std::string& name) { return {Origin::Kind::pod, {"default", name}, ""}; }
Origin node(const std::string& name) { return {Origin::Kind::node, {}, name}; }
Origin world() { return {Origin::Kind::world, {}, ""}; }

Address address_of(const kube::Cluster& cluster, const std::string& pod, Family family) {
  return pick(cluster.pods.at({"default", pod}).addresses, family);
}
Address service_of(const kube::Cluster& cluster, const std::string& service, Family family) {
  return pick(cluster.services.at({"default", service}).cluster_ips, family);
}
Address node_address(const kube::Cluster& cluster, const std::string& node, Family family) {
  return pick(cluster.nodes.at({"", node}).addresses, family);
}

PacketFields packet(const kube::Cluster& cluster, const std::string& from, const Address& to,
                    std::uint16_t port) {
  PacketFields fields;
  fields.source = address_of(cluster, from, to.family());
  fields.destination = to;
  fields.source_port = 40000;
  fields.destination_port = port;
  return fields;
}

PacketFields answer_to(const Walk& walk) {
  auto fields = parse(walk.packet).value();
  std::swap(fields.source, fields.destination);
  std::swap(fields.source_port, fields.destination_port);
  fields.source_mac = fields.destination_mac = {};
  if (fields.protocol == 6) fields.tcp_flags = syn | ack;
  fields.ttl = 64;
  return fields;
}

std::string line_of(const Result<Walk>& walk) {
  if (!walk) return to_string(walk.error());
  std::string line = std::string(to_string(walk->fate)) + " " + walk->where;
  if (walk->fate == Walk::Fate::dropped)
    line += std::string(" ") + kernel::drop_name(walk->drop_reason());
  return line;
}

}  // namespace waggle::simulator
