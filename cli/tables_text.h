#pragma once
// Table entries as people read them, for `waggle tables diff`.

#include <string>

#include "waggle/agent/tables.h"

namespace waggle::cli {

/// "10.96.0.1:80/TCP scope 0"
[[nodiscard]] std::string key_text(agent::TableId table, const agent::Bytes& key);
/// "frontend 3 service 3 base 0 size 2 random"
[[nodiscard]] std::string value_text(agent::TableId table, const agent::Bytes& value);

}  // namespace waggle::cli
