#include <fmt/format.h>

#include "typed.h"

namespace waggle::kube {

void refuse_flaw(const View& view, const Flaw& flaw) {
  if (flaw) view.refuse(*flaw);
}

Labels read_labels(const View& labels) {
  for (const auto& [key, value] : labels.fields()) {
    refuse_flaw(value, flaw_of_label_key(key));
    if (value.is(Value::Kind::string)) refuse_flaw(value, flaw_of_label_value(value.string()));
  }
  return labels.string_map();
}

namespace {

Labels read_annotations(const View& annotations) {
  for (const auto& [key, value] : annotations.fields()) {
    std::string lower = key;
    for (auto& c : lower)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    refuse_flaw(value, flaw_of_label_key(lower));
  }
  return annotations.string_map();
}

std::string read_controller(const View& owners) {
  std::string controller;
  for (const auto& owner : owners.objects()) {
    const auto kind = owner.at("kind").string();
    const auto name = owner.at("name").string();
    if (owner.at("controller").boolean(false)) controller = kind + "/" + name;
  }
  return controller;
}

}  // namespace

ObjectMeta read_meta(const View& object, const MetaRules& rules) {
  ObjectMeta meta;
  meta.source = object.source();
  const View metadata = object.object("metadata");
  const View name = metadata.at("name");
  if (name.require() && name.is(Value::Kind::string)) {
    refuse_flaw(name, rules.flaw_of_name(name.string()));
  }
  meta.name = name.string();
  const View namespace_name = metadata.at("namespace");
  meta.namespace_name = namespace_name.string();
  if (!rules.namespaced) {
    if (!meta.namespace_name.empty())
      namespace_name.refuse("is set, but this kind has no namespace");
  } else if (meta.namespace_name.empty()) {
    meta.namespace_name = "default";
  } else {
    refuse_flaw(namespace_name, flaw_of_dns_label(meta.namespace_name));
  }
  meta.labels = read_labels(metadata.at("labels"));
  meta.annotations = read_annotations(metadata.at("annotations"));
  meta.resource_version = metadata.at("resourceVersion").string();
  meta.controller = read_controller(metadata.at("ownerReferences"));
  return meta;
}

namespace {

LabelSelector::Requirement read_requirement(const View& view) {
  using Operator = LabelSelector::Operator;
  LabelSelector::Requirement requirement;
  const View key = view.at("key");
  requirement.key = key.string();
  if (key.require() && key.is(Value::Kind::string))
    refuse_flaw(key, flaw_of_label_key(requirement.key));
  const View op = view.at("operator");
  if (op.require())
    requirement.op = static_cast<Operator>(op.one_of({"In", "NotIn", "Exists", "DoesNotExist"}));
  const View values = view.at("values");
  for (const auto& value : values.items()) {
    requirement.values.push_back(value.string());
    if (value.is(Value::Kind::string)) refuse_flaw(value, flaw_of_label_value(value.string()));
  }
  if (!op.is(Value::Kind::string)) return requirement;
  const bool takes_values = requirement.op == Operator::in || requirement.op == Operator::not_in;
  if (takes_values && requirement.values.empty())
    values.refuse(fmt::format("is empty, but operator {} needs one", op.string()));
  if (!takes_values && !requirement.values.empty())
    values.refuse(fmt::format("is not empty, but operator {} takes none", op.string()));
  return requirement;
}

}  // namespace

LabelSelector read_selector(const View& selector) {
  LabelSelector read;
  read.match_labels = read_labels(selector.at("matchLabels"));
  for (const auto& requirement : selector.at("matchExpressions").objects())
    read.match_expressions.push_back(read_requirement(requirement));
  return read;
}

Protocol read_protocol(const View& protocol) {
  constexpr std::array known = {Protocol::tcp, Protocol::udp, Protocol::sctp};
  return known.at(protocol.one_of({"TCP", "UDP", "SCTP"}));
}

std::uint16_t read_port(const View& port) {
  return static_cast<std::uint16_t>(port.integer(1, 65535, 0));
}

PortRef read_port_ref(const View& port, PortRef when_absent) {
  if (!port.present()) return when_absent;
  if (!port.is(Value::Kind::string)) return read_port(port);
  refuse_flaw(port, flaw_of_port_name(port.string()));
  return port.string();
}

std::optional<Address> read_address(const View& address) {
  if (!address.is(Value::Kind::string)) {
    static_cast<void>(address.string());
    return std::nullopt;
  }
  const auto parsed = Address::parse(address.string());
  if (parsed) return *parsed;
  address.refuse(parsed.error().what, parsed.error().advice);
  return std::nullopt;
}

std::optional<Cidr> read_cidr(const View& cidr) {
  if (!cidr.is(Value::Kind::string)) {
    static_cast<void>(cidr.string());
    return std::nullopt;
  }
  const auto parsed = Cidr::parse(cidr.string());
  if (parsed) return *parsed;
  cidr.refuse(parsed.error().what, parsed.error().advice);
  return std::nullopt;
}

std::optional<bool> read_condition(const View& status, std::string_view type) {
  std::optional<bool> found;
  for (const auto& condition : status.at("conditions").objects())
    if (condition.at("type").string() == type)
      found = condition.at("status").one_of({"True", "False", "Unknown"}) == 0;
  return found;
}

}  // namespace waggle::kube
