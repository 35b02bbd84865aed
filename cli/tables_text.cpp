#include "tables_text.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace waggle::cli {

namespace {

using agent::Bytes;
using agent::TableId;

std::string text(const dp_addr& address) { return agent::from_abi(address).to_string(); }

std::string protocol(std::uint8_t number) {
  switch (number) {
    case 6:
      return "TCP";
    case 17:
      return "UDP";
    case 132:
      return "SCTP";
    default:
      return std::to_string(number);
  }
}

std::string mac(const __u8 (&bytes)[6]) { return fmt::format("{:02x}", fmt::join(bytes, ":")); }

std::string text(const dp_service_key& key) {
  return fmt::format("{} {}/{} scope {}", text(key.address), ntohs(key.port),
                     protocol(key.protocol), key.scope);
}
std::string text(const dp_service& value) {
  return fmt::format("frontend {} service {} base {} size {} {} flags {}", value.frontend,
                     value.service, value.base, value.size,
                     value.algorithm == DP_ALGORITHM_MAGLEV ? "maglev" : "random", value.flags);
}
std::string text(const dp_backend_key& key) { return std::to_string(key.id); }
std::string text(const dp_backend& value) {
  return fmt::format("{} {}/{} service {}{}", text(value.address), ntohs(value.port),
                     protocol(value.protocol), value.service,
                     value.state == DP_BACKEND_ACTIVE ? "" : " terminating");
}
std::string text(const dp_reverse_nat_key& key) { return fmt::format("frontend {}", key.frontend); }
std::string text(const dp_reverse_nat& value) {
  return fmt::format("{} {}/{}", text(value.address), ntohs(value.port), protocol(value.protocol));
}
std::string text(const __u32& position) { return fmt::format("position {}", position); }
std::string text(const dp_maglev& value) { return fmt::format("backend {}", value.backend); }
std::string text(const dp_ipcache_key& key) { return text(key.address); }
std::string text(const dp_ipcache& value) {
  return fmt::format("identity {} node {}", value.identity, value.node);
}
std::string text(const dp_ipcache_prefix_key& key) {
  const auto base = agent::from_abi(key.address);
  const unsigned skip =
      DP_IPCACHE_STATIC_BITS + (base.family() == Family::v4 ? DP_V4_PREFIX_BITS : 0);
  return fmt::format("{}/{}", base.to_string(), static_cast<int>(key.prefix_bits - skip));
}
std::string text(const dp_policy_key& key) {
  return fmt::format("{} {} {} {} {}/{} bits", ntohl(key.subject),
                     key.direction == DP_EGRESS ? "->" : "<-", ntohl(key.peer),
                     protocol(key.protocol), ntohs(key.port), key.prefix_bits);
}
std::string text(const dp_policy& value) {
  return fmt::format("{} precedence {} rule {}",
                     value.verdict == DP_POLICY_ALLOW ? "allow" : "deny", value.precedence,
                     value.rule);
}
std::string text(const dp_endpoint_key& key) {
  return fmt::format("{} zone {}", text(key.address), key.zone);
}
std::string text(const dp_endpoint& value) {
  return fmt::format("device {} identity {} pod {} host {}", value.ifindex, value.identity,
                     mac(value.pod_mac), mac(value.host_mac));
}
std::string text(const dp_node_key& key) { return fmt::format("node {}", key.id); }
std::string text(const dp_node& value) {
  return fmt::format("{} {}", text(value.address4), text(value.address6));
}
template <class T>
std::string text(const T&) {
  return "(written by packets)";
}

}  // namespace

std::string key_text(TableId table, const Bytes& key) {
  switch (table) {
#define WAGGLE_KEY(name, type, key_type, ...) \
  case TableId::name:                         \
    return text(key.as<key_type>());
    DP_TABLES(WAGGLE_KEY)
#undef WAGGLE_KEY
  }
  return {};
}

std::string value_text(TableId table, const Bytes& value) {
  switch (table) {
#define WAGGLE_VALUE(name, type, key_type, value_type, ...) \
  case TableId::name:                                       \
    return text(value.as<value_type>());
    DP_TABLES(WAGGLE_VALUE)
#undef WAGGLE_VALUE
  }
  return {};
}

}  // namespace waggle::cli
