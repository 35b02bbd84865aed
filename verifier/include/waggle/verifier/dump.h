#pragma once
// Tables in the JSON of `bpftool --json map dump`: a folder with one <table>.json each.

#include <filesystem>

#include "waggle/agent/tables.h"
#include "waggle/verifier/tables.h"

namespace waggle::verifier {

struct Dump {
  agent::Tables tables;
  std::vector<ConntrackEntry> conntrack;
};

/// Reads <folder>/<table>.json for every table; a file that is absent is an empty table, a folder
/// without any is an error. Of the maglev array only what `services` has a region for is kept.
/// Errors name the file and the entry, all at once: "services.json[3]: key has 23 bytes, not 24".
[[nodiscard]] Checked<Dump> read_dump(const std::filesystem::path& folder);

/// Writes a file for every table of the agent (and conntrack), as bpftool would, without
/// "formatted". Makes the folder.
[[nodiscard]] Result<> write_dump(const Dump& dump, const std::filesystem::path& folder);

}  // namespace waggle::verifier
