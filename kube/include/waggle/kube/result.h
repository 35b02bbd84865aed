#pragma once
// Errors of the outside world, as values. Included by every C++ part of waggle.

#include <expected>
#include <string>
#include <utility>
#include <vector>

namespace waggle {

/// Something the outside world did wrong. Our own mistakes are WAGGLE_ASSERTs, never Errors.
struct Error {
  enum class Kind { bad_input, not_found, unsupported, kernel };
  Kind kind = Kind::bad_input;
  std::string what;    ///< One sentence, lower case, no full stop: "port 70000 is above 65535".
  std::string where;   ///< "file.yaml:12" or "bpf(PROG_LOAD)"; empty when the caller knows.
  std::string advice;  ///< What to do about it, when that is not plain from `what`; may be empty.

  bool operator==(const Error&) const = default;
};

using Errors = std::vector<Error>;

template <class T = void>
using Result = std::expected<T, Error>;

/// For readers: every error of the input at once, in file order. Never an empty list.
template <class T = void>
using Checked = std::expected<T, Errors>;

/// "file.yaml:12: port 70000 is above 65535 (use 1 to 65535)".
[[nodiscard]] std::string to_string(const Error& error);

/// Ends the process with the place and the broken condition. Stays on in release builds.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace waggle

#define WAGGLE_ASSERT(condition) \
  ((condition) ? void() : ::waggle::assertion_failed(#condition, __FILE__, __LINE__))

/// The value of a Result, or return its Error from the enclosing function. A statement expression,
/// which g++ and clang both have; the counter lets one stand inside another.
#define TRY(expression) WAGGLE_TRY_NAMED(expression, WAGGLE_JOIN(waggle_result_, __COUNTER__))
#define WAGGLE_JOIN(a, b) WAGGLE_JOIN_EXPANDED(a, b)
#define WAGGLE_JOIN_EXPANDED(a, b) a##b
#define WAGGLE_TRY_NAMED(expression, result) WAGGLE_TRY_IN(expression, result)
#define WAGGLE_TRY_IN(expression, result)                           \
  __extension__({                                                   \
    auto&& result = (expression);                                   \
    if (!result) return std::unexpected(std::move(result).error()); \
    std::move(result).value();                                      \
  })
