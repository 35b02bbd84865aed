#include "syntax.h"

#include <fmt/format.h>

#include <algorithm>

namespace waggle::kube {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter_or_digit(char c) { return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z'); }
bool is_lower_or_digit(char c) { return is_lower(c) || is_digit(c); }

/// Lower case letters, digits and '-' inside.
bool is_label(std::string_view text) {
  return !text.empty() && is_lower_or_digit(text.front()) && is_lower_or_digit(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

/// Letters, digits, and inside '-', '_' and '.'.
bool is_qualified_name(std::string_view text) {
  return !text.empty() && is_letter_or_digit(text.front()) && is_letter_or_digit(text.back()) &&
         std::ranges::all_of(text, [](char c) {
           return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
         });
}

Flaw too_long(std::string_view text, std::size_t length_max) {
  if (text.size() <= length_max) return std::nullopt;
  return fmt::format("is {} characters long, more than {}", text.size(), length_max);
}

Flaw not_spelled(std::string_view text, const char* rule) {
  return fmt::format("is \"{}\", not {}", text, rule);
}

}  // namespace

Flaw flaw_of_dns_label(std::string_view text) {
  if (auto flaw = too_long(text, 63)) return flaw;
  if (is_label(text)) return std::nullopt;
  return not_spelled(text, "a DNS label: lower case letters, digits and '-' inside");
}

Flaw flaw_of_dns_subdomain(std::string_view text) {
  if (auto flaw = too_long(text, 253)) return flaw;
  for (auto rest = text;;) {
    const auto dot = rest.find('.');
    if (!is_label(rest.substr(0, dot)))
      return not_spelled(text, "a DNS name: lower case letters, digits, '-' and '.' inside");
    if (dot == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(dot + 1);
  }
}

Flaw flaw_of_service_name(std::string_view text) {
  if (auto flaw = too_long(text, 63)) return flaw;
  if (is_label(text) && is_lower(text.front())) return std::nullopt;
  return not_spelled(text,
                     "a service name: a lower case letter, then these, digits and '-' inside");
}

Flaw flaw_of_port_name(std::string_view text) {
  if (auto flaw = too_long(text, 15)) return flaw;
  if (is_label(text) && text.find("--") == std::string_view::npos &&
      std::ranges::any_of(text, is_lower))
    return std::nullopt;
  return not_spelled(text, "a port name: lower case letters (one at least), digits and single '-'");
}

Flaw flaw_of_label_key(std::string_view text) {
  const auto slash = text.find('/');
  std::string_view name = text;
  if (slash != std::string_view::npos) {
    if (auto flaw = flaw_of_dns_subdomain(text.substr(0, slash)))
      return fmt::format("\"{}\" has a prefix that {}", text, *flaw);
    name = text.substr(slash + 1);
  }
  if (auto flaw = too_long(name, 63)) return flaw;
  if (is_qualified_name(name)) return std::nullopt;
  return not_spelled(text, "a label key: [DNS name/] letters, digits, '-', '_' and '.' inside");
}

Flaw flaw_of_label_value(std::string_view text) {
  if (auto flaw = too_long(text, 63)) return flaw;
  if (text.empty() || is_qualified_name(text)) return std::nullopt;
  return not_spelled(text, "a label value: letters, digits, '-', '_' and '.' inside");
}

}  // namespace waggle::kube
