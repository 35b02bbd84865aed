#pragma once
// plan in two parts, so that a transaction of several stages bumps the generation once, at its end.

#include <vector>

#include "waggle/agent/compile.h"

namespace waggle::agent {

/// plan() without the generation. Appends to `ops`.
/// Returns whether a cached policy verdict may rest on something that changed.
bool plan_tables(const Tables& before, const Tables& after, std::vector<TableOp>& ops);

[[nodiscard]] TableOp generation_op(std::uint32_t before, std::uint32_t after);

/// The generation after `generation`: 0 is never used.
[[nodiscard]] std::uint32_t next_generation(std::uint32_t generation);

}  // namespace waggle::agent
