#include "waggle/kube/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace waggle::kube {

std::string SourceRef::to_string() const {
  return file ? fmt::format("{}:{}", *file, line) : "(generated)";
}

std::string ObjectKey::to_string() const {
  return namespace_name.empty() ? name : namespace_name + "/" + name;
}

ObjectKey key_of(const ObjectMeta& meta) { return {meta.namespace_name, meta.name}; }

std::string to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "TCP";
    case Protocol::udp:
      return "UDP";
    case Protocol::sctp:
      return "SCTP";
  }
  return fmt::format("protocol {}", static_cast<unsigned>(protocol));
}

std::string to_string(Workload::Kind kind) {
  constexpr std::array names = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"};
  return names.at(static_cast<std::size_t>(kind));
}

namespace {

bool holds(const LabelSelector::Requirement& requirement, const Labels& labels) {
  using Operator = LabelSelector::Operator;
  const auto found = labels.find(requirement.key);
  const bool exists = found != labels.end();
  const auto listed = [&] {
    return std::ranges::find(requirement.values, found->second) != requirement.values.end();
  };
  switch (requirement.op) {
    case Operator::in:
      return exists && listed();
    case Operator::not_in:
      return !exists || !listed();
    case Operator::exists:
      return exists;
    case Operator::does_not_exist:
      return !exists;
  }
  return false;
}

}  // namespace

bool LabelSelector::matches(const Labels& labels) const {
  const auto has = [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  };
  return std::ranges::all_of(match_labels, has) &&
         std::ranges::all_of(match_expressions,
                             [&](const auto& requirement) { return holds(requirement, labels); });
}

}  // namespace waggle::kube
