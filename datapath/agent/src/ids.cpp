#include "waggle/agent/ids.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "waggle/abi/identities.h"
#include "waggle/agent/compile.h"

#include "errors.h"

namespace waggle::agent {

Result<std::uint32_t> IdSpace::get(const std::string& content) {
  if (const auto number = find(content); number != 0) return number;
  if (used_.size() > last_ - first_) {
    return error(Error::Kind::unsupported, fmt::format("all {} numbers are in use", used_.size()));
  }
  do {
    if (next_ < first_ || next_ > last_) next_ = first_;
  } while (used_.contains(next_++));
  const auto number = next_ - 1;
  live_.emplace(content, number);
  used_.insert(number);
  allocated_.push_back(content);
  return number;
}

std::uint32_t IdSpace::find(const std::string& content) const {
  const auto it = live_.find(content);
  return it == live_.end() ? 0 : it->second;
}

void IdSpace::release(const std::string& content) {
  const auto it = live_.find(content);
  if (it == live_.end()) return;
  used_.erase(it->second);
  live_.erase(it);
}

Result<> IdSpace::adopt(const std::string& content, std::uint32_t number) {
  if (number < first_ || number > last_) {
    return error(Error::Kind::bad_input, fmt::format("number {} is outside its space", number));
  }
  const auto held = find(content);
  if (held == number) return {};
  if (held != 0 || used_.contains(number)) {
    return error(Error::Kind::bad_input, fmt::format("number {} names two contents", number));
  }
  live_.emplace(content, number);
  used_.insert(number);
  raise_high_water(number + 1);
  return {};
}

void IdSpace::raise_high_water(std::uint32_t next) { next_ = std::max(next_, next); }

void IdSpace::keep_only(const std::set<std::string>& contents) {
  std::erase_if(live_, [&](const auto& entry) {
    if (contents.contains(entry.first)) return false;
    used_.erase(entry.second);
    return true;
  });
}

void IdSpace::rollback() {
  for (const auto& content : allocated_) release(content);
  allocated_.clear();
}

void Regions::add_hole(std::uint32_t base, std::uint32_t size) {
  if (size == 0) return;
  holes_.emplace(base, size);
  holes_by_size_.emplace(size, base);
}

void Regions::remove_hole(std::uint32_t base, std::uint32_t size) {
  holes_.erase(base);
  holes_by_size_.erase({size, base});
}

Result<std::uint32_t> Regions::allocate(std::uint32_t size) {
  const auto hole = holes_by_size_.lower_bound({size, 0});
  if (hole == holes_by_size_.end()) {
    return error(Error::Kind::unsupported, fmt::format("no {} free positions in a row", size),
                 "maglev", "give maglev more entries when the datapath is loaded");
  }
  const auto [length, base] = *hole;
  remove_hole(base, length);
  add_hole(base + size, length - size);
  live_.emplace(base, size);
  return base;
}

void Regions::release(std::uint32_t base) {
  const auto region = live_.find(base);
  if (region == live_.end()) return;
  auto size = region->second;
  live_.erase(region);
  const auto after = holes_.find(base + size);
  if (after != holes_.end()) {
    const auto [next, length] = *after;
    remove_hole(next, length);
    size += length;
  }
  const auto before = holes_.lower_bound(base);
  if (before != holes_.begin()) {
    const auto [previous, length] = *std::prev(before);
    if (previous + length == base) {
      remove_hole(previous, length);
      base = previous;
      size += length;
    }
  }
  add_hole(base, size);
}

Result<> Regions::adopt(std::uint32_t base, std::uint32_t size) {
  auto hole = holes_.upper_bound(base);
  const bool inside = hole != holes_.begin() && size != 0 &&
                      base - std::prev(hole)->first < std::prev(hole)->second &&
                      size <= std::prev(hole)->second - (base - std::prev(hole)->first);
  if (!inside) {
    return error(Error::Kind::bad_input, fmt::format("positions {}+{} overlap others", base, size));
  }
  const auto [start, length] = *std::prev(hole);
  remove_hole(start, length);
  add_hole(start, base - start);
  add_hole(base + size, length - (base - start) - size);
  live_.emplace(base, size);
  return {};
}

Ids::Ids(const Config& config)
    : identities(DP_IDENTITY_CLUSTER_MIN, DP_IDENTITY_CLUSTER_MAX),
      cidr_identities(DP_IDENTITY_CIDR_MIN, DP_IDENTITY_CIDR_MAX),
      services(1, 0xffffffff),
      frontends(1, 0xffffffff),
      backends(1, 0xffffffff),
      rules(rule_first, 0xffffffff),
      nodes(1, 0xffffff),
      placements(config.entries_max.contains(TableId::maglev)
                     ? config.entries_max.at(TableId::maglev)
                     : info(TableId::maglev).entries_max) {}

void Ids::begin() {
  for (auto* space :
       {&identities, &cidr_identities, &services, &frontends, &backends, &rules, &nodes}) {
    space->begin();
  }
  placements.begin();
}

void Ids::rollback() {
  for (auto* space :
       {&identities, &cidr_identities, &services, &frontends, &backends, &rules, &nodes}) {
    space->rollback();
  }
  placements.rollback();
}

void Ids::commit() {
  begin();
  placements.commit();
}

}  // namespace waggle::agent
