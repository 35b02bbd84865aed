#pragma once
// Numbers for named things. The only state of the compiler: given the same Ids, compile is a pure
// function, so the full and the incremental form can be held equal.

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "waggle/agent/tables.h"

namespace waggle::agent {

/// One number space: content -> number, never reused before 2^bits numbers have passed.
/// Invariant: no two live contents share a number.
class IdSpace {
 public:
  IdSpace(std::uint32_t first, std::uint32_t last) : first_(first), last_(last), next_(first) {}
  /// The number of `content`, allocated at first use. Error: the space is full.
  Result<std::uint32_t> get(const std::string& content);
  [[nodiscard]] std::uint32_t find(const std::string& content) const;  ///< 0: unknown
  void release(const std::string& content);
  /// Takes over a number that tables already use (restart). Error: taken by another content.
  Result<> adopt(const std::string& content, std::uint32_t number);
  /// The first number never handed out; persisted so that a restart does not reuse a released one.
  [[nodiscard]] std::uint32_t high_water() const { return next_; }
  void raise_high_water(std::uint32_t next);
  [[nodiscard]] const std::unordered_map<std::string, std::uint32_t>& live() const { return live_; }
  /// Releases every content that is not in `contents`.
  void keep_only(const std::set<std::string>& contents);

  /// From begin() on, rollback() takes back what get() allocated. The numbers stay spent.
  void begin() { allocated_.clear(); }
  void rollback();

 private:
  std::uint32_t first_, last_, next_;
  std::unordered_map<std::string, std::uint32_t> live_;
  std::unordered_set<std::uint32_t> used_;
  std::vector<std::string> allocated_;
};

/// Regions of the maglev array. Invariant: live regions are disjoint and inside the capacity.
class Regions {
 public:
  explicit Regions(std::uint32_t capacity) { add_hole(0, capacity); }
  /// The smallest hole that is large enough, the first of these; returns the base. Logarithmic.
  Result<std::uint32_t> allocate(std::uint32_t size);
  void release(std::uint32_t base);
  Result<> adopt(std::uint32_t base, std::uint32_t size);
  [[nodiscard]] const std::map<std::uint32_t, std::uint32_t>& live() const { return live_; }

 private:
  void add_hole(std::uint32_t base, std::uint32_t size);
  void remove_hole(std::uint32_t base, std::uint32_t size);

  std::map<std::uint32_t, std::uint32_t> live_, holes_;  ///< base -> size
  std::set<std::pair<std::uint32_t, std::uint32_t>> holes_by_size_;
};

/// Where a backend set's positions lie.
struct Placement {
  std::uint32_t base = 0;
  std::uint32_t capacity = 0;  ///< positions reserved; Maglev: the table's size
  bool maglev = false;
  std::vector<std::uint32_t> positions;  ///< random: who stands where, so that nobody moves

  bool operator==(const Placement&) const = default;
};

/// The regions of all backend sets, by the set's content. A region that a set leaves is free only
/// after commit(): until the transaction's operations are through, packets still read it.
class Placements {
 public:
  explicit Placements(std::uint32_t capacity) : regions_(capacity) {}
  [[nodiscard]] const Placement* find(const std::string& set) const;
  /// Random: every member of `eligible` (backend ids) gets one position; who has one keeps it,
  /// newcomers fill holes first, then the last ones do.
  Result<Placement> random(const std::string& set, std::span<const std::uint32_t> eligible);
  /// Maglev: the smallest listed prime >= positions_per_backend x backends, kept until the backends
  /// outgrow it or fall below a quarter.
  Result<Placement> maglev(const std::string& set, std::size_t backends,
                           unsigned positions_per_backend);
  /// The set has no positions any more.
  void remove(const std::string& set);
  /// Takes over a region that tables already use (restart). Error: it overlaps another.
  Result<> adopt(const std::string& set, const Placement& placement);
  void keep_only(const std::set<std::string>& sets);
  void begin();
  void rollback();
  void commit();
  [[nodiscard]] const std::unordered_map<std::string, Placement>& live() const { return live_; }

 private:
  Result<Placement> put(const std::string& set, Placement placement, bool moves);
  void remember(const std::string& set);

  Regions regions_;
  std::unordered_map<std::string, Placement> live_;
  std::unordered_map<std::string, Placement>
      before_;                                 ///< of sets touched since begin(); capacity 0: none
  std::vector<std::uint32_t> left_, entered_;  ///< bases, since begin()
};

}  // namespace waggle::agent
