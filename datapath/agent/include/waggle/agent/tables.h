#pragma once
// The tables as values, and operations on them. Pure: no I/O, no clock, no libbpf.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "waggle/abi/tables.h"
#include "waggle/kube/address.h"
#include "waggle/kube/result.h"

namespace waggle::agent {

/// Every table of the datapath, in the order of DP_TABLES.
enum class TableId : std::uint8_t {
#define WAGGLE_TABLE_ID(name, ...) name,
  DP_TABLES(WAGGLE_TABLE_ID)
#undef WAGGLE_TABLE_ID
};

struct TableInfo {
  TableId id;
  std::string_view name;  ///< the BPF map's name
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;
  std::uint32_t entries_max;  ///< default
  bool agent_writes;          ///< false: packets write it
};
[[nodiscard]] std::span<const TableInfo> all_tables();
[[nodiscard]] const TableInfo& info(TableId id);

/// ABI structs have no padding that matters: the kernel compares keys bytewise, and so do we.
struct Bytewise {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return std::memcmp(&a, &b, sizeof(T)) < 0;
  }
};
template <class T>
[[nodiscard]] bool same_bytes(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}
template <class Key, class Value>
using Table = std::map<Key, Value, Bytewise>;

struct TableOp;

/// The highest number of each kind that was ever written to the kernel. Persisted with the tables,
/// so that a restarted agent hands out none of them again: conntrack may still remember one.
struct NumbersUsed {
  std::uint32_t identity = 0, cidr_identity = 0, service = 0, frontend = 0, backend = 0, rule = 0,
                node = 0;
  void note(const TableOp& op);
  bool operator==(const NumbersUsed&) const = default;
};

/// The agent's tables, desired or observed. An invariant-free value: the prover and the tests build
/// wrong ones on purpose.
struct Tables {
  Table<dp_service_key, dp_service> services;
  Table<dp_backend_key, dp_backend> backends;
  Table<dp_reverse_nat_key, dp_reverse_nat> reverse_nat;
  /// Region base -> backend ids, one vector a region that `services` names, of dp_service.size
  /// words. In the middle of an update also positions that no frontend names yet, or any more.
  std::map<std::uint32_t, std::vector<std::uint32_t>> maglev;
  Table<dp_ipcache_key, dp_ipcache> ipcache;
  Table<dp_ipcache_prefix_key, dp_ipcache> ipcache_prefix;
  Table<dp_policy_key, dp_policy> policy;
  Table<dp_endpoint_key, dp_endpoint> endpoints;
  Table<dp_node_key, dp_node> nodes;
  std::uint32_t policy_generation = 1;
  NumbersUsed numbers_used;  ///< only in tables found in a kernel; not compared
};
[[nodiscard]] bool operator==(const Tables& a, const Tables& b);

/// A key or value held in place; the widest is dp_ct_key with 40 bytes.
struct Bytes {
  std::array<std::byte, 40> data{};
  std::uint8_t size = 0;

  template <class T>
  static Bytes of(const T& value) {
    static_assert(sizeof(T) <= 40);
    Bytes bytes;
    std::memcpy(bytes.data.data(), &value, sizeof(T));
    bytes.size = sizeof(T);
    return bytes;
  }
  template <class T>
  [[nodiscard]] T as() const {
    WAGGLE_ASSERT(size == sizeof(T));
    T value;
    std::memcpy(&value, data.data(), sizeof(T));
    return value;
  }
  [[nodiscard]] bool empty() const { return size == 0; }
  bool operator==(const Bytes&) const = default;
};

/// One indivisible change of one table. Invertible: it carries what was there.
struct TableOp {
  enum class Kind : std::uint8_t {
    upsert,      ///< bpf_map_update_elem
    erase,       ///< bpf_map_delete_elem
    store,       ///< one aligned word of `maglev`: key = position, value = backend id
    generation,  ///< node_config.policy_generation; table and key unused
  };
  Kind kind = Kind::upsert;
  TableId table = TableId::services;
  Bytes key;
  Bytes value;      ///< empty for erase
  Bytes old_value;  ///< empty when the entry was absent

  [[nodiscard]] TableOp inverse() const;
  bool operator==(const TableOp&) const = default;
};

/// Where planned operations go: kernel maps, a simulated node, the prover.
class TableSink {
 public:
  virtual ~TableSink() = default;
  /// Applies in order, as if one by one: runs of one table may be batched, never reordered across
  /// tables. On an Error, `applied()` operations of this call have taken effect.
  virtual Result<> apply(std::span<const TableOp> ops) = 0;
  [[nodiscard]] virtual std::size_t applied() const = 0;
};

/// A sink over a value. Erasing what is absent is an Error. Positions outside every region hold 0,
/// as in the kernel; a frontend's upsert makes the positions that it names one region.
class MemorySink final : public TableSink {
 public:
  explicit MemorySink(Tables& tables) : tables_(tables) {}
  Result<> apply(std::span<const TableOp> ops) override;
  [[nodiscard]] std::size_t applied() const override { return applied_; }

 private:
  void store(std::uint32_t position, std::uint32_t backend);

  Tables& tables_;
  std::size_t applied_ = 0;
  std::optional<std::uint32_t> growing_;  ///< base of the positions that stores are adding to
};

[[nodiscard]] dp_addr to_abi(const Address& address);
[[nodiscard]] Address from_abi(const dp_addr& address);

}  // namespace waggle::agent
