#include <algorithm>
#include <string_view>

#include "waggle/agent/compile.h"

namespace waggle::agent {

namespace {

// FNV-1a, then MurmurHash3's finalizer, because FNV's low bits alone are too regular for `% size`.
std::uint64_t hash(std::string_view text, std::uint64_t seed) {
  std::uint64_t h = 0xcbf29ce484222325U ^ seed;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdU;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53U;
  return h ^ (h >> 33);
}

// Walks one backend's preference list, which visits every position once: size is prime.
struct Permutation {
  std::uint32_t position;
  std::uint32_t step;
  std::uint32_t backend;

  void advance(std::uint32_t size) {
    position += step;
    if (position >= size) position -= size;
  }
};

}  // namespace

std::vector<std::uint32_t> maglev_table(
    std::span<const std::pair<std::string, std::uint32_t>> backends, std::uint32_t size) {
  std::vector<std::uint32_t> table(size, 0);
  if (backends.empty()) return table;
  std::vector<const std::pair<std::string, std::uint32_t>*> ordered;
  for (const auto& backend : backends) ordered.push_back(&backend);
  std::ranges::sort(ordered, {}, [](const auto* backend) { return backend->first; });

  std::vector<Permutation> permutations;
  for (const auto* backend : ordered) {
    permutations.push_back(
        {.position = static_cast<std::uint32_t>(hash(backend->first, 0) % size),
         .step =
             static_cast<std::uint32_t>(hash(backend->first, 0x9e3779b97f4a7c15U) % (size - 1)) + 1,
         .backend = backend->second});
  }
  for (std::uint32_t filled = 0; filled < size;) {
    for (auto& next : permutations) {
      while (table[next.position] != 0) next.advance(size);
      table[next.position] = next.backend;
      next.advance(size);
      if (++filled == size) break;
    }
  }
  return table;
}

}  // namespace waggle::agent
