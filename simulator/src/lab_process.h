#pragma once
// The process that serves a lab's ports when the one that brought it up has gone.

#include <string>

#include "waggle/kube/result.h"

namespace waggle::simulator {

/// Ends it and waits; fine when there is none.
Result<> end_server_process(const std::string& name);

}  // namespace waggle::simulator
