#pragma once
// Errors in one expression.

#include <expected>
#include <string>
#include <utility>

#include "waggle/kube/result.h"

namespace waggle::agent {

inline std::unexpected<Error> error(Error::Kind kind, std::string what, std::string where = {},
                                    std::string advice = {}) {
  return std::unexpected(Error{kind, std::move(what), std::move(where), std::move(advice)});
}

}  // namespace waggle::agent
