#pragma once
// Numbers for named things. The only state of the compiler: given the same Ids, compile is a pure
// function, so the full and the incremental form can be held equal.

#include <cstdint>
#include <map>
#include <set>
#include <string>

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
  [[nodiscard]] const std::map<std::string, std::uint32_t>& live() const { return live_; }

 private:
  std::uint32_t first_, last_, next_;
  std::map<std::string, std::uint32_t> live_;
  std::set<std::uint32_t> used_;
};

/// Regions of the maglev array. Invariant: live regions are disjoint and inside the capacity.
class Regions {
 public:
  explicit Regions(std::uint32_t capacity) : capacity_(capacity) {}
  Result<std::uint32_t> allocate(std::uint32_t size);  ///< first fit; returns the base
  void release(std::uint32_t base);
  Result<> adopt(std::uint32_t base, std::uint32_t size);

 private:
  std::uint32_t capacity_;
  std::map<std::uint32_t, std::uint32_t> live_;  ///< base -> size
};

}  // namespace waggle::agent
