#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "describe.h"

namespace waggle::kube {
namespace {

namespace fs = std::filesystem;

const fs::path folder = fs::path(WAGGLE_SOURCE_DIR) / "tests/unit/kube/bad";

std::vector<fs::path> bad_manifests() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::string without_folder(std::string text) {
  const std::string prefix = folder.string() + "/";
  for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at))
    text.erase(at, prefix.size());
  return text;
}

/// The lines "# expect: LINE: text" that the file starts with, as the errors they stand for.
std::string expected_refusal(const fs::path& file) {
  std::ifstream in(file);
  const std::string mark = "# expect: ";
  std::string lines;
  for (std::string line; std::getline(in, line) && line.starts_with(mark);)
    lines += fmt::format("{}:{}\n", file.filename().string(), line.substr(mark.size()));
  return lines;
}

TEST(BadManifests, EachIsRefusedWithAllItsErrorsAndTheirLines) {
  const auto files = bad_manifests();
  EXPECT_GE(files.size(), 170U);
  for (const auto& file : files) {
    const auto read = read_cluster(std::array{file});
    const auto expected = expected_refusal(file);
    EXPECT_NE(expected, "") << file << " does not say what is wrong with it";
    EXPECT_EQ(read ? "" : without_folder(lines_of(read.error())), expected) << file;
  }
}

}  // namespace
}  // namespace waggle::kube
