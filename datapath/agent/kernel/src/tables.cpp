#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "state.h"

namespace waggle::kernel {
namespace {

using agent::Bytes;
using agent::TableId;

Bytes bytes_from(const std::byte* data, std::uint32_t size) {
  Bytes bytes;
  WAGGLE_ASSERT(size <= bytes.data.size());
  std::memcpy(bytes.data.data(), data, size);
  bytes.size = static_cast<std::uint8_t>(size);
  return bytes;
}

Error table_error(TableId table, int error_number, const char* verb) {
  const auto& about = agent::info(table);
  if (error_number == ENOENT)
    return {Error::Kind::not_found, fmt::format("table {} has no such entry", about.name), "", ""};
  if (error_number == E2BIG || error_number == ENOSPC)
    return {Error::Kind::kernel, fmt::format("table {} is full", about.name), "",
            "raise its entries_max"};
  return kernel_error(error_number, fmt::format("cannot {} table {}", verb, about.name), "bpf");
}

/// Every entry by key order of the kernel. A key deleted in between is passed over.
Result<std::vector<Datapath::Entry>> walk(int fd, TableId table) {
  const auto& about = agent::info(table);
  std::vector<Datapath::Entry> entries;
  std::array<std::byte, 40> key{}, next{}, value{};
  const void* from = nullptr;
  while (bpf_map_get_next_key(fd, from, next.data()) == 0) {
    key = next;
    from = key.data();
    if (bpf_map_lookup_elem(fd, key.data(), value.data()) == 0)
      entries.push_back(
          {bytes_from(key.data(), about.key_bytes), bytes_from(value.data(), about.value_bytes)});
    else if (errno != ENOENT)
      return std::unexpected(table_error(table, errno, "read"));
  }
  if (errno != ENOENT) return std::unexpected(table_error(table, errno, "read"));
  return entries;
}

/// One system call for thousands of entries of a hash.
Result<std::vector<Datapath::Entry>> read_hash(int fd, TableId table) {
  const auto& about = agent::info(table);
  std::uint32_t room = 8192;
  std::vector<std::byte> keys, values;
  std::vector<Datapath::Entry> entries;
  std::uint32_t cursor = 0;
  for (bool first = true, more = true; more; first = false) {
    keys.resize(std::size_t{room} * about.key_bytes);
    values.resize(std::size_t{room} * about.value_bytes);
    std::uint32_t count = room;
    const int failed = bpf_map_lookup_batch(fd, first ? nullptr : &cursor, &cursor, keys.data(),
                                            values.data(), &count, nullptr);
    if (failed != 0 && errno == ENOSPC) {  // one bucket is longer than the room
      room *= 2;
      return room > (1U << 24) ? walk(fd, table) : read_hash(fd, table);
    }
    if (failed != 0 && errno != ENOENT) return walk(fd, table);
    more = failed == 0;
    for (std::uint32_t i = 0; i < count; ++i)
      entries.push_back(
          {bytes_from(keys.data() + std::size_t{i} * about.key_bytes, about.key_bytes),
           bytes_from(values.data() + std::size_t{i} * about.value_bytes, about.value_bytes)});
  }
  return entries;
}

template <class Map>
Result<> read_into(const Datapath& datapath, TableId table, Map& map) {
  for (const auto& entry : TRY(datapath.entries(table)))
    map.emplace(entry.key.template as<typename Map::key_type>(),
                entry.value.template as<typename Map::mapped_type>());
  return {};
}

}  // namespace

Result<std::vector<Datapath::Entry>> Datapath::entries(TableId table) const {
  const int fd = state_->map_fd(table);
  if (table == TableId::maglev) {
    std::vector<Entry> entries;
    for (std::uint32_t i = 0; i < state_->positions(); ++i)
      if (const auto backend = state_->position(i); backend != 0)
        entries.push_back({Bytes::of(i), Bytes::of(dp_maglev{backend})});
    return entries;
  }
  if (table == TableId::metrics) {
    std::vector<Entry> entries;
    for (const auto& [index, metric] : TRY(metrics()))
      entries.push_back({Bytes::of(index), Bytes::of(metric)});
    return entries;
  }
  const auto type = bpf_map__type(state_->maps[static_cast<std::size_t>(table)]);
  return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH ? read_hash(fd, table)
                                                                    : walk(fd, table);
}

Result<std::optional<Bytes>> Datapath::find(TableId table, const Bytes& key) const {
  const auto& about = agent::info(table);
  WAGGLE_ASSERT(key.size == about.key_bytes && table != TableId::metrics);
  std::array<std::byte, 40> value{};
  if (bpf_map_lookup_elem(state_->map_fd(table), key.data.data(), value.data()) == 0)
    return bytes_from(value.data(), about.value_bytes);
  if (errno == ENOENT) return std::nullopt;
  return std::unexpected(table_error(table, errno, "read"));
}

Result<> Datapath::put(TableId table, const Bytes& key, const Bytes& value) {
  const auto& about = agent::info(table);
  WAGGLE_ASSERT(key.size == about.key_bytes && value.size == about.value_bytes);
  if (bpf_map_update_elem(state_->map_fd(table), key.data.data(), value.data.data(), BPF_ANY) != 0)
    return std::unexpected(table_error(table, errno, "write"));
  return {};
}

Result<> Datapath::erase(TableId table, const Bytes& key) {
  WAGGLE_ASSERT(key.size == agent::info(table).key_bytes);
  if (bpf_map_delete_elem(state_->map_fd(table), key.data.data()) != 0)
    return std::unexpected(table_error(table, errno, "erase from"));
  return {};
}

Result<agent::Tables> Datapath::agent_tables() const {
  agent::Tables tables;
  TRY(read_into(*this, TableId::services, tables.services));
  TRY(read_into(*this, TableId::backends, tables.backends));
  TRY(read_into(*this, TableId::reverse_nat, tables.reverse_nat));
  TRY(read_into(*this, TableId::ipcache, tables.ipcache));
  TRY(read_into(*this, TableId::ipcache_prefix, tables.ipcache_prefix));
  TRY(read_into(*this, TableId::policy, tables.policy));
  TRY(read_into(*this, TableId::endpoints, tables.endpoints));
  TRY(read_into(*this, TableId::nodes, tables.nodes));
  for (const auto& [key, service] : tables.services) {
    if (service.size == 0) continue;
    if (service.base >= state_->positions() || service.size > state_->positions() - service.base)
      return std::unexpected(
          Error{Error::Kind::kernel,
                fmt::format("frontend {} claims positions {}+{} of {}", service.frontend,
                            service.base, service.size, state_->positions()),
                "services", ""});
    auto& region = tables.maglev[service.base];
    for (std::uint32_t i = 0; i < service.size; ++i)
      region.push_back(state_->position(service.base + i));
  }
  tables.policy_generation = state_->node().policy_generation;
  tables.numbers_used = state_->numbers();
  return tables;
}

Result<std::map<std::uint32_t, dp_metric>> Datapath::metrics() const {
  const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
  const int fd = state_->map_fd(TableId::metrics);
  std::vector<dp_metric> values(cpus * DP_METRIC_COUNT);
  std::vector<std::uint32_t> keys(DP_METRIC_COUNT);
  std::uint32_t cursor = 0, count = DP_METRIC_COUNT;
  if (bpf_map_lookup_batch(fd, nullptr, &cursor, keys.data(), values.data(), &count, nullptr) !=
          0 &&
      errno != ENOENT) {
    count = DP_METRIC_COUNT;
    for (std::uint32_t i = 0; i < count; ++i) {
      keys[i] = i;
      if (bpf_map_lookup_elem(fd, &i, &values[i * cpus]) != 0)
        return std::unexpected(table_error(TableId::metrics, errno, "read"));
    }
  }
  std::map<std::uint32_t, dp_metric> sums;
  for (std::size_t i = 0; i < count; ++i) {
    dp_metric total{};
    for (std::size_t cpu = 0; cpu < cpus; ++cpu) {
      total.packets += values[i * cpus + cpu].packets;
      total.bytes += values[i * cpus + cpu].bytes;
    }
    if (total.packets != 0) sums.emplace(keys[i], total);
  }
  return sums;
}

std::uint64_t Datapath::map_bytes() const {
  std::uint64_t total = 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, state_->object.get()) {
    std::ifstream info(fmt::format("/proc/self/fdinfo/{}", bpf_map__fd(map)));
    for (std::string name, value; info >> name >> value;)
      if (name == "memlock:") total += std::stoull(value);
  }
  return total;
}

Result<std::vector<dp_event>> Datapath::read_events() {
  if (const int result = ring_buffer__consume(state_->ring.get()); result < 0)
    return std::unexpected(kernel_error(-result, "cannot read the event ring", "libbpf"));
  return std::exchange(state_->events, {});
}

agent::TableSink& Datapath::sink() { return state_->sink; }
std::uint64_t Datapath::sink_system_calls() const { return state_->sink.system_calls; }
std::uint64_t Datapath::sink_operations() const { return state_->sink.operations; }

}  // namespace waggle::kernel
