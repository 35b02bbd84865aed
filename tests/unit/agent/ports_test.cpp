#include "ports.h"

#include <random>

#include <gtest/gtest.h>

namespace waggle::agent {
namespace {

bool covers(const PortPrefix& prefix, std::uint32_t port) {
  return (port >> (16 - prefix.bits)) == (std::uint32_t{prefix.base} >> (16 - prefix.bits));
}

// How many prefixes hold each port, by brute force.
void expect_exact_cover(std::uint16_t first, std::uint16_t last) {
  const auto prefixes = port_prefixes(first, last);
  ASSERT_LE(prefixes.size(), 30U);
  std::vector<unsigned> held(65536, 0);
  for (const auto& prefix : prefixes) {
    ASSERT_LE(prefix.bits, 16U);
    ASSERT_EQ(prefix.base & (0xffffU >> prefix.bits), 0U) << "bits beyond the prefix";
    for (std::uint32_t port = prefix.base; port < 65536 && covers(prefix, port); ++port) {
      ++held[port];
    }
  }
  for (std::uint32_t port = 0; port < 65536; ++port) {
    ASSERT_EQ(held[port], port >= first && port <= last ? 1U : 0U)
        << first << "-" << last << " at " << port;
  }
}

TEST(PortPrefixes, CoverEveryRangeOfAWindowExactlyOnce) {
  for (const std::uint32_t window : {0U, 1008U, 65504U}) {
    for (std::uint32_t first = window; first < window + 32; ++first) {
      for (std::uint32_t last = first; last < window + 32; ++last) {
        ASSERT_NO_FATAL_FAILURE(expect_exact_cover(static_cast<std::uint16_t>(first),
                                                   static_cast<std::uint16_t>(last)));
      }
    }
  }
}

TEST(PortPrefixes, CoverRandomRangesExactlyOnce) {
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    const auto a = static_cast<std::uint16_t>(random());
    const auto b = static_cast<std::uint16_t>(random());
    ASSERT_NO_FATAL_FAILURE(expect_exact_cover(std::min(a, b), std::max(a, b)));
  }
}

TEST(PortPrefixes, AreAsFewAsTheTrieAllows) {
  EXPECT_EQ(port_prefixes(80, 80), (std::vector<PortPrefix>{{80, 16}}));
  EXPECT_EQ(port_prefixes(0, 65535), (std::vector<PortPrefix>{{0, 0}}));
  EXPECT_EQ(port_prefixes(8080, 8095), (std::vector<PortPrefix>{{8080, 12}}));
  EXPECT_EQ(port_prefixes(1, 65534).size(), 30U);
}

}  // namespace
}  // namespace waggle::agent
