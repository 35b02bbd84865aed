#pragma once
// The spelling rules of the API server for names, labels and ports.

#include <optional>
#include <string>
#include <string_view>

namespace waggle::kube {

/// What is wrong with the text, or nothing.
using Flaw = std::optional<std::string>;

[[nodiscard]] Flaw flaw_of_dns_label(std::string_view text);      ///< DNS-1123, at most 63
[[nodiscard]] Flaw flaw_of_dns_subdomain(std::string_view text);  ///< DNS-1123, at most 253
[[nodiscard]] Flaw flaw_of_service_name(std::string_view text);   ///< DNS-1035, at most 63
[[nodiscard]] Flaw flaw_of_port_name(std::string_view text);      ///< IANA_SVC_NAME, at most 15
[[nodiscard]] Flaw flaw_of_label_key(std::string_view text);      ///< [prefix/]name
[[nodiscard]] Flaw flaw_of_label_value(std::string_view text);    ///< may be empty, at most 63

}  // namespace waggle::kube
