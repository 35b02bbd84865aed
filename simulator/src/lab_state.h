#pragma once
// A running lab's state file, /run/waggle/<name>/state.json: what Lab::open reads.

#include <filesystem>

#include "waggle/simulator/lab.h"

namespace waggle::simulator {

[[nodiscard]] std::filesystem::path state_folder(const std::string& name);
Result<> write_state(const LabLayout& layout);
Result<LabLayout> read_state(const std::string& name);

}  // namespace waggle::simulator
