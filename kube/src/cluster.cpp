#include "waggle/kube/cluster.h"

namespace waggle::kube {
namespace {

template <class T>
void apply_to(std::map<ObjectKey, T>& objects, Change::Kind kind, const T& object) {
  if (kind == Change::Kind::deleted)
    objects.erase(key_of(object.meta));
  else
    objects.insert_or_assign(key_of(object.meta), object);
}

struct Apply {
  Cluster& cluster;
  Change::Kind kind;

  void operator()(const Namespace& object) { apply_to(cluster.namespaces, kind, object); }
  void operator()(const Node& object) { apply_to(cluster.nodes, kind, object); }
  void operator()(const Pod& object) { apply_to(cluster.pods, kind, object); }
  void operator()(const Service& object) { apply_to(cluster.services, kind, object); }
  void operator()(const EndpointSlice& object) { apply_to(cluster.endpoint_slices, kind, object); }
  void operator()(const NetworkPolicy& object) { apply_to(cluster.network_policies, kind, object); }
};

}  // namespace

void Cluster::apply(const Change& change) { std::visit(Apply{*this, change.kind}, change.object); }

Labels Cluster::namespace_labels(const std::string& name) const {
  const auto found = namespaces.find(ObjectKey{{}, name});
  if (found != namespaces.end()) return found->second.meta.labels;
  return {{"kubernetes.io/metadata.name", name}};
}

}  // namespace waggle::kube
