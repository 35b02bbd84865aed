#include <fmt/format.h>

#include <cerrno>

#include "state.h"

namespace waggle::kernel {

Result<std::map<agent::TableId, std::uint32_t>> pinned_entries_max(
    const std::filesystem::path& pin_directory) {
  std::map<agent::TableId, std::uint32_t> entries_max;
  for (const auto& table : agent::all_tables()) {
    const auto path = pin_directory / table.name;
    const Fd pinned(bpf_obj_get(path.c_str()));
    if (!pinned && errno == ENOENT) continue;
    if (!pinned) return std::unexpected(kernel_error(errno, "cannot open a pin", path.string()));
    bpf_map_info info{};
    std::uint32_t length = sizeof(info);
    if (bpf_obj_get_info_by_fd(pinned.get(), &info, &length) != 0)
      return std::unexpected(kernel_error(errno, "cannot read a pinned map", path.string()));
    entries_max[table.id] = info.max_entries;
  }
  if (entries_max.empty())
    return std::unexpected(Error{Error::Kind::not_found, "no table of the datapath is pinned here",
                                 pin_directory.string(),
                                 "name the folder that the agent pins into"});
  return entries_max;
}

}  // namespace waggle::kernel
