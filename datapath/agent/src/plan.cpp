#include "plan.h"

#include <algorithm>

namespace waggle::agent {

namespace {

// Visits every key of either table, in order: (key, value before or null, value after or null).
template <class Key, class Value, class Visit>
void compare(const Table<Key, Value>& before, const Table<Key, Value>& after, Visit visit) {
  auto b = before.begin();
  auto a = after.begin();
  const Bytewise less;
  while (b != before.end() || a != after.end()) {
    if (a == after.end() || (b != before.end() && less(b->first, a->first))) {
      visit(b->first, &b->second, static_cast<const Value*>(nullptr));
      ++b;
    } else if (b == before.end() || less(a->first, b->first)) {
      visit(a->first, static_cast<const Value*>(nullptr), &a->second);
      ++a;
    } else {
      if (!same_bytes(a->second, b->second)) visit(a->first, &b->second, &a->second);
      ++a;
      ++b;
    }
  }
}

template <class Key, class Value>
const Value* find(const Table<Key, Value>& table, const Key& key) {
  const auto it = table.find(key);
  return it == table.end() ? nullptr : &it->second;
}

class Planner {
 public:
  Planner(const Tables& before, const Tables& after, std::vector<TableOp>& ops)
      : before_(before), after_(after), ops_(ops) {}

  bool plan() {
    nodes(false);
    policy(false);
    blocks(false);
    addresses(false);
    services();
    addresses(true);
    blocks(true);
    policy(true);
    nodes(true);
    return verdicts_change_;
  }

 private:
  template <class Key, class Value>
  void change(TableId table, const Key& key, const Value* before, const Value* after) {
    ops_.push_back({.kind = after != nullptr ? TableOp::Kind::upsert : TableOp::Kind::erase,
                    .table = table,
                    .key = Bytes::of(key),
                    .value = after != nullptr ? Bytes::of(*after) : Bytes{},
                    .old_value = before != nullptr ? Bytes::of(*before) : Bytes{}});
  }

  // Additions and changes, or (out) removals, in key order.
  template <class Key, class Value>
  void walk(TableId table, const Table<Key, Value>& before, const Table<Key, Value>& after,
            bool out) {
    compare(before, after, [&](const Key& key, const Value* old_value, const Value* value) {
      if ((value == nullptr) == out) change(table, key, old_value, value);
    });
  }

  void nodes(bool out) { walk(TableId::nodes, before_.nodes, after_.nodes, out); }

  void policy(bool out) {
    const auto planned = ops_.size();
    walk(TableId::policy, before_.policy, after_.policy, out);
    verdicts_change_ |= ops_.size() != planned;
  }

  // Inner blocks first in and last out: an address never falls to an outer block on the way.
  void blocks(bool out) {
    const auto planned = static_cast<std::ptrdiff_t>(ops_.size());
    walk(TableId::ipcache_prefix, before_.ipcache_prefix, after_.ipcache_prefix, out);
    std::sort(ops_.begin() + planned, ops_.end(), [&](const TableOp& a, const TableOp& b) {
      const auto a_bits = a.key.as<dp_ipcache_prefix_key>().prefix_bits;
      const auto b_bits = b.key.as<dp_ipcache_prefix_key>().prefix_bits;
      if (a_bits == b_bits) return a.key.data < b.key.data;
      return out ? a_bits < b_bits : a_bits > b_bits;
    });
    verdicts_change_ |= static_cast<std::ptrdiff_t>(ops_.size()) != planned;
  }

  // A pod's two entries change one after the other, before the next pod's.
  void addresses(bool out) {
    compare(before_.endpoints, after_.endpoints,
            [&](const dp_endpoint_key& key, const dp_endpoint* before, const dp_endpoint* after) {
              if ((after == nullptr) != out) return;
              change(TableId::endpoints, key, before, after);
              verdicts_change_ |=
                  before == nullptr || after == nullptr || before->identity != after->identity;
              const dp_ipcache_key exact{.space = 0, .address = key.address};
              address(exact, out);
            });
    compare(before_.ipcache, after_.ipcache,
            [&](const dp_ipcache_key& key, const dp_ipcache*, const dp_ipcache*) {
              if (!planned_addresses_.contains(key)) address(key, out);
            });
  }

  void address(const dp_ipcache_key& key, bool out) {
    const auto* before = find(before_.ipcache, key);
    const auto* after = find(after_.ipcache, key);
    const bool differs =
        before == nullptr || after == nullptr ? before != after : !same_bytes(*before, *after);
    if (!differs || (after == nullptr) != out) return;
    if (!planned_addresses_.emplace(key, true).second) return;
    change(TableId::ipcache, key, before, after);
    verdicts_change_ |=
        before == nullptr || after == nullptr || before->identity != after->identity;
  }

  void services() {
    backends_in();
    for (const auto& [key, service] : after_.services) positions(service);
    walk(TableId::reverse_nat, before_.reverse_nat, after_.reverse_nat, false);
    frontends(false);
    frontends(true);
    positions_out();
    walk(TableId::reverse_nat, before_.reverse_nat, after_.reverse_nat, true);
    backends_out();
  }

  static bool retires(const dp_backend* before, const dp_backend* after) {
    return before != nullptr && after != nullptr && before->state == DP_BACKEND_ACTIVE &&
           after->state == DP_BACKEND_TERMINATING;
  }

  void backends_in() {
    compare(before_.backends, after_.backends,
            [&](const dp_backend_key& key, const dp_backend* before, const dp_backend* after) {
              if (after != nullptr && !retires(before, after)) {
                change(TableId::backends, key, before, after);
              }
            });
  }

  // No position names a retiring backend any more, or its frontend now says TERMINATING.
  void backends_out() {
    compare(before_.backends, after_.backends,
            [&](const dp_backend_key& key, const dp_backend* before, const dp_backend* after) {
              if (retires(before, after)) change(TableId::backends, key, before, after);
            });
    walk(TableId::backends, before_.backends, after_.backends, true);
  }

  void store(std::uint32_t position, std::uint32_t before, std::uint32_t after) {
    if (before == after) return;
    ops_.push_back({.kind = TableOp::Kind::store,
                    .table = TableId::maglev,
                    .key = Bytes::of(position),
                    .value = Bytes::of(after),
                    .old_value = Bytes::of(before)});
  }

  static std::uint32_t word(const Tables& tables, std::uint32_t position) {
    auto region = tables.maglev.upper_bound(position);
    if (region == tables.maglev.begin()) return 0;
    --region;
    const auto offset = position - region->first;
    return offset < region->second.size() ? region->second[offset] : 0;
  }

  // Frontends as they were that read positions from `base`: also those that are about to go.
  const std::vector<const dp_service_key*>& readers_of(std::uint32_t base) {
    if (readers_.empty()) {
      for (const auto& [key, service] : before_.services) {
        if (service.size != 0) readers_[service.base].push_back(&key);
      }
    }
    return readers_[base];
  }

  // Terminating backends become eligible when the last ready one goes: every frontend that reads
  // the region says so before one of its positions names one.
  void admit_terminating(const dp_service& service) {
    if ((service.flags & DP_SERVICE_TERMINATING) == 0) return;
    for (const auto* key : readers_of(service.base)) {
      const auto& before = before_.services.at(*key);
      if ((before.flags & DP_SERVICE_TERMINATING) != 0) continue;
      bool changes = false;
      for (std::uint32_t i = 0; i < std::min(before.size, service.size) && !changes; ++i) {
        changes = word(before_, service.base + i) != word(after_, service.base + i);
      }
      if (!changes) continue;
      auto turned = before;
      turned.flags |= DP_SERVICE_TERMINATING;
      change(TableId::services, *key, &before, &turned);
      admitted_.emplace(*key, turned);
    }
  }

  // Additions and changes, or (out) removals.
  void frontends(bool out) {
    compare(before_.services, after_.services,
            [&](const dp_service_key& key, const dp_service* before, const dp_service* after) {
              if ((after == nullptr) != out) return;
              if (const auto* turned = find(admitted_, key); turned != nullptr) before = turned;
              const bool same =
                  before != nullptr && after != nullptr && same_bytes(*before, *after);
              if (!same) change(TableId::services, key, before, after);
            });
  }

  void positions(const dp_service& service) {
    if (service.size == 0) return;
    const auto region = after_.maglev.find(service.base);
    if (region == after_.maglev.end()) return;
    if (!written_.emplace(service.base, true).second) return;
    admit_terminating(service);
    const auto held = before_.maglev.find(service.base);
    for (std::uint32_t offset = 0; offset < region->second.size(); ++offset) {
      const bool in_place = held != before_.maglev.end() && offset < held->second.size();
      store(service.base + offset, in_place ? held->second[offset] : 0, region->second[offset]);
    }
  }

  // What no frontend names any more holds 0 again. From the end, so that a MemorySink only shrinks.
  void positions_out() {
    for (const auto& [base, words] : before_.maglev) {
      for (auto offset = static_cast<std::uint32_t>(words.size()); offset-- > 0;) {
        if (word(after_, base + offset) == 0) store(base + offset, words[offset], 0);
      }
    }
  }

  const Tables& before_;
  const Tables& after_;
  std::vector<TableOp>& ops_;
  bool verdicts_change_ = false;
  Table<dp_ipcache_key, bool> planned_addresses_;
  Table<dp_service_key, dp_service> admitted_;
  std::map<std::uint32_t, std::vector<const dp_service_key*>> readers_;
  std::map<std::uint32_t, bool> written_;
};

}  // namespace

bool plan_tables(const Tables& before, const Tables& after, std::vector<TableOp>& ops) {
  return Planner(before, after, ops).plan();
}

TableOp generation_op(std::uint32_t before, std::uint32_t after) {
  TableOp op;
  op.kind = TableOp::Kind::generation;
  op.value = Bytes::of(after);
  op.old_value = Bytes::of(before);
  return op;
}

std::uint32_t next_generation(std::uint32_t generation) {
  return generation == 0xffffffff ? 1 : generation + 1;
}

std::vector<TableOp> plan(const Tables& before, const Tables& after) {
  std::vector<TableOp> ops;
  const bool verdicts_change = plan_tables(before, after, ops);
  auto generation = after.policy_generation;
  if (verdicts_change && generation == before.policy_generation) {
    generation = next_generation(generation);
  }
  if (generation != before.policy_generation) {
    ops.push_back(generation_op(before.policy_generation, generation));
  }
  return ops;
}

}  // namespace waggle::agent
