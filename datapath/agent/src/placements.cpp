#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "waggle/abi/maglev.h"
#include "waggle/agent/ids.h"

#include "errors.h"

namespace waggle::agent {

namespace {

constexpr std::uint32_t sizes[] = {
#define WAGGLE_SIZE(size) size,
    DP_MAGLEV_SIZES(WAGGLE_SIZE)
#undef WAGGLE_SIZE
};

std::uint32_t prime_for(std::uint64_t positions) {
  for (const auto size : sizes) {
    if (size >= positions) return size;
  }
  return *std::ranges::max_element(sizes);
}

// Who stands where once only `eligible` may stand: nobody moves but into a hole.
std::vector<std::uint32_t> settle(std::vector<std::uint32_t> positions,
                                  std::span<const std::uint32_t> eligible) {
  const std::set<std::uint32_t> wanted(eligible.begin(), eligible.end());
  const std::set<std::uint32_t> present(positions.begin(), positions.end());
  std::vector<std::uint32_t> newcomers;
  std::ranges::copy_if(eligible, std::back_inserter(newcomers),
                       [&](std::uint32_t id) { return !present.contains(id); });
  auto newcomer = newcomers.begin();
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (wanted.contains(positions[i])) continue;
    if (newcomer != newcomers.end()) {
      positions[i] = *newcomer++;
      continue;
    }
    while (positions.size() > i && !wanted.contains(positions.back())) positions.pop_back();
    if (positions.size() <= i) break;
    positions[i] = positions.back();
    positions.pop_back();
  }
  positions.insert(positions.end(), newcomer, newcomers.end());
  return positions;
}

}  // namespace

const Placement* Placements::find(const std::string& set) const {
  const auto it = live_.find(set);
  return it == live_.end() ? nullptr : &it->second;
}

void Placements::remember(const std::string& set) {
  const auto* held = find(set);
  before_.try_emplace(set, held == nullptr ? Placement{} : *held);
}

Result<Placement> Placements::put(const std::string& set, Placement placement, bool moves) {
  const auto* held = find(set);
  if (held != nullptr && *held == placement) return placement;
  if (moves) {
    placement.base = TRY(regions_.allocate(placement.capacity));
    entered_.push_back(placement.base);
    if (held != nullptr) left_.push_back(held->base);
  }
  remember(set);
  live_.insert_or_assign(set, placement);
  return placement;
}

Result<Placement> Placements::random(const std::string& set,
                                     std::span<const std::uint32_t> eligible) {
  const auto* held = find(set);
  Placement placement = held == nullptr ? Placement{} : *held;
  const bool moves_over = held == nullptr || held->maglev;
  if (moves_over) placement = {};
  placement.positions = settle(std::move(placement.positions), eligible);
  const auto count = static_cast<std::uint32_t>(eligible.size());
  const auto fitting = std::bit_ceil(std::max(count, 4U));
  const bool outgrown = placement.capacity < count || placement.capacity > fitting * 4;
  if (outgrown) placement.capacity = fitting;
  return put(set, std::move(placement), moves_over || outgrown);
}

Result<Placement> Placements::maglev(const std::string& set, std::size_t backends,
                                     unsigned positions_per_backend) {
  const auto* held = find(set);
  const auto wanted = std::uint64_t{backends} * positions_per_backend;
  const auto fitting = prime_for(wanted);
  const bool stays = held != nullptr && held->maglev && held->capacity >= fitting &&
                     (held->capacity == fitting || wanted >= held->capacity / 4);
  if (stays) return *held;
  return put(set, {.base = 0, .capacity = fitting, .maglev = true, .positions = {}}, true);
}

void Placements::remove(const std::string& set) {
  const auto* held = find(set);
  if (held == nullptr) return;
  remember(set);
  left_.push_back(held->base);
  live_.erase(set);
}

Result<> Placements::adopt(const std::string& set, const Placement& placement) {
  if (live_.contains(set)) {
    return error(Error::Kind::bad_input, fmt::format("{} has a region already", set));
  }
  TRY(regions_.adopt(placement.base, placement.capacity));
  live_.emplace(set, placement);
  return {};
}

void Placements::keep_only(const std::set<std::string>& sets) {
  std::vector<std::string> others;
  for (const auto& [set, placement] : live_) {
    if (!sets.contains(set)) others.push_back(set);
  }
  for (const auto& set : others) remove(set);
}

void Placements::begin() {
  before_.clear();
  left_.clear();
  entered_.clear();
}

void Placements::rollback() {
  for (auto& [set, placement] : before_) {
    if (placement.capacity == 0) {
      live_.erase(set);
    } else {
      live_.insert_or_assign(set, std::move(placement));
    }
  }
  for (const auto base : entered_) regions_.release(base);
  begin();
}

void Placements::commit() {
  for (const auto base : left_) regions_.release(base);
  begin();
}

}  // namespace waggle::agent
