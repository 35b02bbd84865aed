#include "waggle/kube/result.h"

#include <cstdio>
#include <cstdlib>

namespace waggle {

std::string to_string(const Error& error) {
  std::string text = error.where.empty() ? error.what : error.where + ": " + error.what;
  if (!error.advice.empty()) text += " (" + error.advice + ")";
  return text;
}

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "waggle: %s:%d: broken assumption: %s\n", file, line, condition);
  std::abort();
}

}  // namespace waggle
