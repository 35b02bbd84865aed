#pragma once
// A rule in words, for people who read verdicts.

#include <string>

#include "waggle/abi/types.h"
#include "waggle/kube/objects.h"

namespace waggle::agent {

/// "ingress rule 1: from pods app=web, port 8080/TCP". Rules are counted from 1.
[[nodiscard]] std::string rule_text(const kube::NetworkPolicy::Rule& rule, dp_direction direction,
                                    std::size_t index);

}  // namespace waggle::agent
