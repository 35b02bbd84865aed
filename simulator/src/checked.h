#pragma once
// A single Error among functions that report all of theirs.

#include <type_traits>
#include <utility>

#include "waggle/kube/result.h"

namespace waggle::simulator {

template <class T>
Checked<T> checked(Result<T> result) {
  if (!result) return std::unexpected(Errors{std::move(result).error()});
  if constexpr (std::is_void_v<T>)
    return {};
  else
    return std::move(result).value();
}

}  // namespace waggle::simulator
