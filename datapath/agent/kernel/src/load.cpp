#include <bpf/btf.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "state.h"

// After the ABI: it names our structs.
#include "datapath.skel.h"

namespace waggle::kernel {
namespace {

constexpr const char* numbers_pin = "numbers";
constexpr std::uint32_t verifier_statistics = 4;  // BPF_LOG_STATS, not in the UAPI

thread_local std::string log_text;

int keep_log(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 4096> line{};
  const int length = vsnprintf(line.data(), line.size(), format, arguments);
  log_text += line.data();
  return length;
}

/// The last lines of a log: where the verifier says what it did not like.
std::string tail(const std::string& text, std::size_t lines) {
  auto at = text.size();
  for (std::size_t i = 0; i <= lines && at != std::string::npos && at != 0; ++i)
    at = text.rfind('\n', at - 1);
  return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

struct Variable {
  bpf_map* map;
  std::size_t offset;
};

/// A global variable of the object: the map that holds its section, and where in it.
Result<Variable> find_variable(bpf_object* object, const char* section, const char* name) {
  const auto missing = [&] {
    return Error{Error::Kind::bad_input, fmt::format("the object has no variable {}", name), "",
                 "build it from datapath/bpf"};
  };
  const btf* types = bpf_object__btf(object);
  const int id = types == nullptr ? -1 : btf__find_by_name_kind(types, section, BTF_KIND_DATASEC);
  if (id < 0) return std::unexpected(missing());
  const btf_type* datasec = btf__type_by_id(types, static_cast<std::uint32_t>(id));
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string_view map_name = bpf_map__name(map);
    if (!bpf_map__is_internal(map) || !map_name.ends_with(section)) continue;
    const btf_var_secinfo* variables = btf_var_secinfos(datasec);
    for (unsigned i = 0; i < btf_vlen(datasec); ++i) {
      const btf_type* variable = btf__type_by_id(types, variables[i].type);
      if (std::strcmp(btf__name_by_offset(types, variable->name_off), name) == 0)
        return Variable{map, variables[i].offset};
    }
  }
  return std::unexpected(missing());
}

Result<> set_config(bpf_object* object, const dp_config& config) {
  const auto variable = TRY(find_variable(object, ".rodata", "dp_config"));
  std::size_t size = 0;
  const void* initial = bpf_map__initial_value(variable.map, &size);
  WAGGLE_ASSERT(initial != nullptr && variable.offset + sizeof(config) <= size);
  std::vector<std::byte> value(size);
  std::memcpy(value.data(), initial, size);
  std::memcpy(value.data() + variable.offset, &config, sizeof(config));
  if (const int error = bpf_map__set_initial_value(variable.map, value.data(), size); error != 0)
    return std::unexpected(kernel_error(-error, "cannot set the knobs", "libbpf"));
  return {};
}

Error wrong_shape(const char* map, const char* what, std::uint32_t pinned, std::uint32_t wanted) {
  return {Error::Kind::bad_input,
          fmt::format("pinned map {} has {} {}, this datapath wants {}", map, what, pinned, wanted),
          "", "remove the pins (existing connections are then forgotten) or load the old build"};
}

Result<> check_shape(bpf_map* map, int fd) {
  bpf_map_info info{};
  std::uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0)
    return std::unexpected(kernel_error(errno, "cannot read a pinned map", bpf_map__name(map)));
  const auto* name = bpf_map__name(map);
  const auto same = [&](const char* what, std::uint32_t pinned, std::uint32_t wanted) -> Result<> {
    if (pinned != wanted) return std::unexpected(wrong_shape(name, what, pinned, wanted));
    return {};
  };
  TRY(same("type", info.type, static_cast<std::uint32_t>(bpf_map__type(map))));
  TRY(same("key bytes", info.key_size, bpf_map__key_size(map)));
  TRY(same("value bytes", info.value_size, bpf_map__value_size(map)));
  TRY(same("entries", info.max_entries, bpf_map__max_entries(map)));
  return same("flags", info.map_flags, bpf_map__map_flags(map));
}

/// State that outlives an agent. Not the knobs: they belong to the programs they were pruned for.
bool is_kept(const bpf_map* map) {
  return bpf_map__is_internal(map) ? std::string_view(bpf_map__name(map)).ends_with(".data.node")
                                   : true;
}

std::filesystem::path pin_of(const std::filesystem::path& directory, const bpf_map* map) {
  const std::string_view name = bpf_map__name(map);
  return directory / (bpf_map__is_internal(map) ? "node" : name);
}

Result<> adopt_pins(bpf_object* object, const std::filesystem::path& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  struct statfs where{};
  if (failed || statfs(directory.c_str(), &where) != 0 ||
      where.f_type != static_cast<decltype(where.f_type)>(BPF_FS_MAGIC))
    return std::unexpected(Error{Error::Kind::unsupported,
                                 fmt::format("{} is not on a bpf file system", directory.string()),
                                 "", "mount -t bpf bpf /sys/fs/bpf"});
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (!is_kept(map)) continue;
    const Fd pinned(bpf_obj_get(pin_of(directory, map).c_str()));
    if (!pinned) continue;
    TRY(check_shape(map, pinned.get()));
    if (const int error = bpf_map__reuse_fd(map, pinned.get()); error != 0)
      return std::unexpected(kernel_error(-error, "cannot adopt a pinned map", bpf_map__name(map)));
  }
  return {};
}

Result<> pin_new(bpf_object* object, const std::filesystem::path& directory) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (!is_kept(map)) continue;
    const auto path = pin_of(directory, map);
    if (std::filesystem::exists(path)) continue;
    if (bpf_obj_pin(bpf_map__fd(map), path.c_str()) != 0)
      return std::unexpected(kernel_error(errno, "cannot pin a map", path.string()));
  }
  return {};
}

Result<bpf_object*> open_object(const LoadOptions& options) {
  bpf_object* object = nullptr;
  if (options.object) {
    object = bpf_object__open_file(options.object->c_str(), nullptr);
  } else {
    std::size_t size = 0;
    const void* bytes = datapath::elf_bytes(&size);
    bpf_object_open_opts open{};
    open.sz = sizeof(open);
    open.object_name = "waggle";
    object = bpf_object__open_mem(bytes, size, &open);
  }
  if (object == nullptr)
    return std::unexpected(kernel_error(errno, "cannot open the datapath object: " + take_log(),
                                        options.object ? options.object->string() : "built in"));
  return object;
}

Error load_failed(int error, const std::array<std::string, DP_HOOK_COUNT>& logs,
                  const bpf_object* object) {
  auto said = tail(take_log(), 6);
  for (unsigned hook = 0; hook < DP_HOOK_COUNT; ++hook) {
    const auto* program =
        bpf_object__find_program_by_name(object, hook_name(static_cast<dp_hook>(hook)));
    if (program != nullptr && bpf_program__fd(program) < 0 && !logs[hook].empty() &&
        logs[hook].front() != '\0')
      said += fmt::format("\n{}: {}", bpf_program__name(program), tail(logs[hook].c_str(), 12));
  }
  return kernel_error(-error, "the kernel refused the datapath: " + said, "bpf(PROG_LOAD)");
}

}  // namespace

void collect_log() {
  log_text.clear();
  libbpf_set_print(keep_log);
}
std::string take_log() { return std::exchange(log_text, {}); }

Result<std::unique_ptr<Datapath>> Datapath::load(const LoadOptions& options) {
  collect_log();
  auto state = std::make_unique<State>();
  state->options = options;
  state->object.reset(TRY(open_object(options)));
  auto* object = state->object.get();
  for (const auto& table : agent::all_tables()) {
    auto* map = bpf_object__find_map_by_name(object, std::string(table.name).c_str());
    if (map == nullptr)
      return std::unexpected(Error{Error::Kind::bad_input,
                                   fmt::format("the object has no map {}", table.name), "",
                                   "build it from datapath/bpf"});
    state->maps[static_cast<std::size_t>(table.id)] = map;
    if (const auto found = options.entries_max.find(table.id); found != options.entries_max.end())
      bpf_map__set_max_entries(map, found->second);
  }
  TRY(set_config(object, options.config));
  if (options.pin_directory) TRY(adopt_pins(object, *options.pin_directory));
  TRY(state->find_programs());
  if (const int error = bpf_object__load(object); error != 0)
    return std::unexpected(load_failed(error, state->verifier_logs, object));
  TRY(state->map_memory());
  TRY(state->map_numbers());
  if (options.pin_directory) TRY(pin_new(object, *options.pin_directory));
  state->tcx = options.tcx && kernel_has_tcx();
  return std::unique_ptr<Datapath>(new Datapath(std::move(state)));
}

Result<> Datapath::State::find_programs() {
  for (unsigned hook = 0; hook < DP_HOOK_COUNT; ++hook) {
    const char* name = hook_name(static_cast<dp_hook>(hook));
    programs[hook] = bpf_object__find_program_by_name(object.get(), name);
    if (programs[hook] == nullptr)
      return std::unexpected(Error{Error::Kind::bad_input,
                                   fmt::format("the object has no program {}", name), "",
                                   "build it from datapath/bpf"});
    verifier_logs[hook].assign(1U << 16, '\0');
    bpf_program__set_log_level(programs[hook], verifier_statistics);
    bpf_program__set_log_buf(programs[hook], verifier_logs[hook].data(),
                             verifier_logs[hook].size());
  }
  gc = bpf_object__find_program_by_name(object.get(), "gc");
  return {};
}

Result<> Datapath::State::map_memory() {
  const auto node_at = TRY(find_variable(object.get(), ".data.node", "dp_this_node"));
  const auto env_at = TRY(find_variable(object.get(), ".data.env", "dp_env"));
  node_page = TRY(Mapping::of(bpf_map__fd(node_at.map), bpf_map__value_size(node_at.map)));
  env_page = TRY(Mapping::of(bpf_map__fd(env_at.map), bpf_map__value_size(env_at.map)));
  node_offset = node_at.offset;
  env_offset = env_at.offset;
  maglev_page = TRY(Mapping::of(map_fd(agent::TableId::maglev), positions() * array_stride));

  auto* ring_map = bpf_object__find_map_by_name(object.get(), "events");
  if (ring_map == nullptr)
    return std::unexpected(Error{Error::Kind::bad_input, "the object has no map events", "", ""});
  const auto take = [](void* context, void* data, std::size_t size) {
    auto& taken = *static_cast<std::vector<dp_event>*>(context);
    WAGGLE_ASSERT(size >= sizeof(dp_event));
    std::memcpy(&taken.emplace_back(), data, sizeof(dp_event));
    return 0;
  };
  ring.reset(ring_buffer__new(bpf_map__fd(ring_map), take, &events, nullptr));
  if (!ring) return std::unexpected(kernel_error(errno, "cannot map the event ring", "libbpf"));
  out.resize(1U << 16);
  return {};
}

Result<> Datapath::State::map_numbers() {
  const auto pin = options.pin_directory ? (*options.pin_directory / numbers_pin).string() : "";
  Fd map(pin.empty() ? -1 : bpf_obj_get(pin.c_str()));
  if (!map) {
    bpf_map_create_opts create{};
    create.sz = sizeof(create);
    create.map_flags = BPF_F_MMAPABLE;
    map = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, numbers_pin, sizeof(std::uint32_t),
                            sizeof(agent::NumbersUsed), 1, &create));
    if (!map || (!pin.empty() && bpf_obj_pin(map.get(), pin.c_str()) != 0))
      return std::unexpected(kernel_error(errno, "cannot keep the numbers used", pin));
  }
  numbers_page = TRY(Mapping::of(map.get(), sizeof(agent::NumbersUsed)));
  return {};
}

Datapath::Datapath(std::unique_ptr<State> state) : state_(std::move(state)) {}

Datapath::~Datapath() {
  if (state_ && !state_->options.pin_directory) state_->detach_all();
}

dp_node_config& Datapath::node() { return state_->node(); }
dp_env& Datapath::env() {
  return *reinterpret_cast<dp_env*>(state_->env_page.data() + state_->env_offset);
}

Result<> Datapath::remove() {
  state_->detach_all();
  if (!state_->options.pin_directory) return {};
  const auto& directory = *state_->options.pin_directory;
  std::error_code failed;
  std::filesystem::remove(directory / numbers_pin, failed);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, state_->object.get())
      std::filesystem::remove(pin_of(directory, map), failed);
  if (!std::filesystem::remove(directory, failed) && failed)
    return std::unexpected(
        Error{Error::Kind::kernel,
              fmt::format("cannot remove {}: {}", directory.string(), failed.message()), "", ""});
  return {};
}

}  // namespace waggle::kernel
