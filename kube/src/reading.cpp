#include "reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "typed.h"

namespace waggle::kube {
namespace {

struct KindRow {
  std::string_view group;
  std::string_view kind;
  void (*read)(const View&, Found&);
};

template <auto read>
void add_object(const View& view, Found& found) {
  found.objects.emplace_back(read(view));
}

template <Workload::Kind kind>
void add_workload(const View& view, Found& found) {
  found.workloads.push_back(read_workload(view, kind));
}

void add_slice(const View& view, Found& found) {
  if (auto slice = read_endpoint_slice(view)) found.objects.emplace_back(std::move(*slice));
}

constexpr std::array kinds = {
    KindRow{"", "Namespace", add_object<read_namespace>},
    KindRow{"", "Node", add_object<read_node>},
    KindRow{"", "Pod", add_object<read_pod>},
    KindRow{"", "Service", add_object<read_service>},
    KindRow{"discovery.k8s.io", "EndpointSlice", add_slice},
    KindRow{"networking.k8s.io", "NetworkPolicy", add_object<read_network_policy>},
    KindRow{"apps", "Deployment", add_workload<Workload::Kind::deployment>},
    KindRow{"apps", "StatefulSet", add_workload<Workload::Kind::stateful_set>},
    KindRow{"apps", "DaemonSet", add_workload<Workload::Kind::daemon_set>},
    KindRow{"apps", "ReplicaSet", add_workload<Workload::Kind::replica_set>},
    KindRow{"batch", "Job", add_workload<Workload::Kind::job>},
};

/// Kinds of the core group that the datapath has nothing to do with.
constexpr std::array<std::string_view, 13> other_core_kinds = {"Binding",
                                                               "ComponentStatus",
                                                               "ConfigMap",
                                                               "Endpoints",
                                                               "Event",
                                                               "LimitRange",
                                                               "PersistentVolume",
                                                               "PersistentVolumeClaim",
                                                               "PodTemplate",
                                                               "ReplicationController",
                                                               "ResourceQuota",
                                                               "Secret",
                                                               "ServiceAccount"};

bool equal_but_for_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

/// What a List says for items that do not say it themselves.
struct ItemType {
  std::string kind;
  std::string api_version;
};

void read_typed(const View& document, const ItemType& type, Found& found);

void read_items(const View& document, const ItemType& type, Found& found) {
  ItemType item;
  if (type.kind != "List") item = {type.kind.substr(0, type.kind.size() - 4), type.api_version};
  for (const auto& view : document.at("items").objects())
    if (view.require()) read_typed(view, item, found);
}

void read_kind(const View& document, const ItemType& type, Found& found) {
  const auto slash = type.api_version.find('/');
  const auto group = slash == std::string::npos ? "" : type.api_version.substr(0, slash);
  const auto version =
      slash == std::string::npos ? type.api_version : type.api_version.substr(slash + 1);
  for (const auto& row : kinds) {
    if (row.group != group || !equal_but_for_case(row.kind, type.kind)) continue;
    if (row.kind != type.kind)
      document.at("kind").refuse(fmt::format("\"{}\" is not a kind", type.kind),
                                 fmt::format("write {}", row.kind));
    else if (version != "v1")
      document.at("apiVersion")
          .refuse(fmt::format("{} has no {}", type.api_version, type.kind),
                  group.empty() ? "use v1" : fmt::format("use {}/v1", group));
    else
      row.read(document, found);
    return;
  }
  if (group.empty() && std::ranges::find(other_core_kinds, type.kind) == other_core_kinds.end())
    document.at("kind").refuse(fmt::format("{} has no {}", type.api_version, type.kind));
}

void read_typed(const View& document, const ItemType& by_default, Found& found) {
  const auto field = [&](std::string_view name, const std::string& when_absent) {
    const View view = document.at(name);
    if (!view.present() && !when_absent.empty()) return when_absent;
    return view.require() ? view.string() : "";
  };
  const ItemType type{field("kind", by_default.kind), field("apiVersion", by_default.api_version)};
  if (type.kind.empty() || type.api_version.empty()) return;
  if (type.kind.ends_with("List") && document.at("items").present())
    read_items(document, type, found);
  else
    read_kind(document, type, found);
}

}  // namespace

void read_document(const View& document, Found& found) {
  if (!document.is(Value::Kind::mapping)) {
    if (!document.is(Value::Kind::null)) document.refuse("is not a mapping, so not an object");
    return;
  }
  read_typed(document, {}, found);
}

Errors errors_of(const Report& report) {
  std::vector<const Complaint*> sorted;
  for (const auto& complaint : report.complaints) sorted.push_back(&complaint);
  std::ranges::sort(sorted, [](const Complaint* a, const Complaint* b) {
    return std::tie(a->line, a) < std::tie(b->line, b);
  });
  Errors errors;
  for (const Complaint* complaint : sorted) {
    Error error{.kind = Error::Kind::bad_input,
                .what = complaint->what,
                .where = SourceRef{report.file, complaint->line}.to_string(),
                .advice = complaint->advice};
    // Those of one line stand together.
    const auto again = std::find_if(errors.rbegin(), errors.rend(), [&](const Error& other) {
      return other.where != error.where || other == error;
    });
    if (again == errors.rend() || *again != error) errors.push_back(std::move(error));
  }
  return errors;
}

}  // namespace waggle::kube
