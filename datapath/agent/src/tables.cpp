#include "waggle/agent/tables.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "errors.h"

namespace waggle::agent {

namespace {

constexpr bool written_by_AGENT = true;
constexpr bool written_by_DATAPATH = false;

constexpr TableInfo tables_[] = {
#define WAGGLE_TABLE_INFO(name, type, key, value, entries, flags, writer) \
  {TableId::name, #name, sizeof(key), sizeof(value), entries, written_by_##writer},
    DP_TABLES(WAGGLE_TABLE_INFO)
#undef WAGGLE_TABLE_INFO
};

using Words = std::map<std::uint32_t, std::vector<std::uint32_t>>;

Words::iterator piece_with(Words& words, std::uint32_t position) {
  auto piece = words.upper_bound(position);
  if (piece == words.begin()) return words.end();
  --piece;
  return position - piece->first < piece->second.size() ? piece : words.end();
}

// Makes `position` the start of a piece, when it lies in one.
void cut(Words& words, std::uint32_t position) {
  const auto piece = piece_with(words, position);
  if (piece == words.end() || piece->first == position) return;
  const auto offset = static_cast<std::ptrdiff_t>(position - piece->first);
  std::vector<std::uint32_t> tail(piece->second.begin() + offset, piece->second.end());
  piece->second.resize(static_cast<std::size_t>(offset));
  words.emplace(position, std::move(tail));
}

// A frontend names these positions: they become one region. A longer one stays: another frontend
// may still read all of it, and it shrinks when its last positions are cleared.
void name_region(Words& words, std::uint32_t base, std::uint32_t size) {
  if (size == 0) return;
  const auto whole = words.find(base);
  if (whole != words.end() && whole->second.size() >= size) return;
  cut(words, base);
  cut(words, base + size);
  std::vector<std::uint32_t> region(size, 0);
  const auto first = words.lower_bound(base);
  const auto last = words.lower_bound(base + size);
  for (auto piece = first; piece != last; ++piece) {
    std::ranges::copy(piece->second, region.begin() + (piece->first - base));
  }
  words.erase(first, last);
  words.emplace(base, std::move(region));
}

template <class Key, class Value>
Result<> change(Table<Key, Value>& table, const TableOp& op) {
  const auto key = op.key.as<Key>();
  if (op.kind == TableOp::Kind::upsert) {
    table.insert_or_assign(key, op.value.as<Value>());
    return {};
  }
  if (table.erase(key) == 1) return {};
  return error(Error::Kind::not_found, "no entry to erase", std::string(info(op.table).name));
}

Result<> change(Tables& tables, const TableOp& op) {
  switch (op.table) {
    case TableId::services:
      TRY(change(tables.services, op));
      if (op.kind == TableOp::Kind::upsert) {
        const auto service = op.value.as<dp_service>();
        name_region(tables.maglev, service.base, service.size);
      }
      return {};
    case TableId::backends:
      return change(tables.backends, op);
    case TableId::reverse_nat:
      return change(tables.reverse_nat, op);
    case TableId::ipcache:
      return change(tables.ipcache, op);
    case TableId::ipcache_prefix:
      return change(tables.ipcache_prefix, op);
    case TableId::policy:
      return change(tables.policy, op);
    case TableId::endpoints:
      return change(tables.endpoints, op);
    case TableId::nodes:
      return change(tables.nodes, op);
    default:
      return error(Error::Kind::unsupported, "not a table that the agent changes by key",
                   std::string(info(op.table).name));
  }
}

template <class Key, class Value>
bool same(const Table<Key, Value>& a, const Table<Key, Value>& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return same_bytes(x.first, y.first) && same_bytes(x.second, y.second);
  });
}

}  // namespace

std::span<const TableInfo> all_tables() { return tables_; }

const TableInfo& info(TableId id) { return tables_[static_cast<std::size_t>(id)]; }

bool operator==(const Tables& a, const Tables& b) {
  return a.policy_generation == b.policy_generation && a.maglev == b.maglev &&
         same(a.services, b.services) && same(a.backends, b.backends) &&
         same(a.reverse_nat, b.reverse_nat) && same(a.ipcache, b.ipcache) &&
         same(a.ipcache_prefix, b.ipcache_prefix) && same(a.policy, b.policy) &&
         same(a.endpoints, b.endpoints) && same(a.nodes, b.nodes);
}

TableOp TableOp::inverse() const {
  TableOp op = *this;
  op.value = old_value;
  op.old_value = value;
  if (kind == Kind::upsert && old_value.empty()) op.kind = Kind::erase;
  if (kind == Kind::erase) op.kind = Kind::upsert;
  return op;
}

void MemorySink::store(std::uint32_t position, std::uint32_t backend) {
  auto& words = tables_.maglev;
  const auto piece = piece_with(words, position);
  if (piece != words.end()) {
    auto& held = piece->second;
    held[position - piece->first] = backend;
    while (!held.empty() && held.back() == 0) held.pop_back();
    if (held.empty()) words.erase(piece);
    return;
  }
  if (backend == 0) return;
  const auto grown = growing_ ? words.find(*growing_) : words.end();
  if (grown != words.end() && *growing_ + grown->second.size() == position) {
    grown->second.push_back(backend);
    return;
  }
  words.emplace(position, std::vector{backend});
  growing_ = position;
}

Result<> MemorySink::apply(std::span<const TableOp> ops) {
  applied_ = 0;
  for (const auto& op : ops) {
    if (op.kind == TableOp::Kind::generation) {
      tables_.policy_generation = op.value.as<std::uint32_t>();
    } else if (op.kind == TableOp::Kind::store) {
      store(op.key.as<std::uint32_t>(), op.value.as<std::uint32_t>());
    } else {
      growing_.reset();
      TRY(change(tables_, op));
    }
    ++applied_;
  }
  return {};
}

dp_addr to_abi(const Address& address) {
  dp_addr result;
  std::memcpy(&result, address.bytes().data(), sizeof(result));
  return result;
}

Address from_abi(const dp_addr& address) {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &address, bytes.size());
  return Address::from_bytes(bytes);
}

}  // namespace waggle::agent
