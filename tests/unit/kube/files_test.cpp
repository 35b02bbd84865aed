// Files, folders and gzip.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "describe.h"

namespace waggle::kube {
namespace {

namespace fs = std::filesystem;

std::string pod(std::string_view name) {
  return fmt::format("apiVersion: v1\nkind: Pod\nmetadata: {{name: {}}}\n", name);
}

class Files : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, std::string_view text) {
    const auto path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  fs::path write_gz(const std::string& name, const std::string& text) {
    const auto path = folder_ / name;
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return path;
  }
  [[nodiscard]] std::string refusal() const {
    const auto read = read_cluster(std::array{folder_});
    return read ? "" : lines_of(read.error());
  }

  fs::path folder_ = fs::temp_directory_path() / fmt::format("waggle-kube-files-{}", getpid());
};

TEST_F(Files, FoldersAreReadRecursivelyForManifestsOnly) {
  write("a.yaml", pod("a"));
  write("deep/er/b.yml", pod("b"));
  write("c.json", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}})");
  write_gz("d.yaml.gz", pod("d"));
  write_gz("e.json.gz", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"e"}})");
  write("README.md", "{[");
  write("notes.gz", "{[");
  write(".hidden.yaml", "{[");
  write(".git/f.yaml", "{[");
  const auto read = read_cluster(std::array{folder_});
  ASSERT_TRUE(read.has_value()) << lines_of(read.error());
  EXPECT_EQ(read->pods.size(), 5U);
  EXPECT_EQ(read->pods.at({"default", "d"}).meta.source.to_string(),
            (folder_ / "d.yaml.gz").string() + ":1");
}

TEST_F(Files, AFileThatIsNamedIsReadWhateverItsName) {
  const auto path = write("manifest.txt", pod("a"));
  const auto read = read_cluster(std::array{path});
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->pods.size(), 1U);
}

TEST_F(Files, TheSameObjectInTwoFilesNamesBoth) {
  write("a.yaml", pod("x"));
  write("b.yaml", "---\n" + pod("x"));
  EXPECT_EQ(refusal(), fmt::format("{}:2: Pod default/x is given twice, first in {}:1\n",
                                   (folder_ / "b.yaml").string(), (folder_ / "a.yaml").string()));
}

TEST_F(Files, ErrorsOfAllFilesComeTogether) {
  write("a.yaml", pod("A"));
  write("b.yaml", pod("b"));
  write("c.yaml", pod("C"));
  const auto errors = refusal();
  EXPECT_NE(errors.find("a.yaml:3: metadata.name"), std::string::npos) << errors;
  EXPECT_NE(errors.find("c.yaml:3: metadata.name"), std::string::npos) << errors;
}

TEST_F(Files, AMissingPathAndAnEmptyFolderAreErrors) {
  const auto missing = read_cluster(std::array{folder_ / "none"});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().at(0).kind, Error::Kind::not_found);
  EXPECT_EQ(refusal(),
            folder_.string() + ": holds no manifest (*.yaml, *.yml, *.json, or with .gz)\n");
}

TEST_F(Files, TruncatedAndFalseGzipIsRefused) {
  write("false.yaml.gz", pod("a"));
  EXPECT_NE(refusal().find("false.yaml.gz: is not gzip"), std::string::npos) << refusal();
  fs::remove(folder_ / "false.yaml.gz");
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "---\n" + pod(fmt::format("pod-{}", i * i));
  const auto path = write_gz("cut.yaml.gz", text);
  EXPECT_EQ(refusal(), "");
  fs::resize_file(path, fs::file_size(path) / 2);
  EXPECT_NE(refusal(), "");
}

TEST_F(Files, ALinkToItselfDoesNotLoop) {
  write("a.yaml", pod("a"));
  fs::create_directory_symlink(folder_, folder_ / "again");
  EXPECT_EQ(refusal(), "");
}

}  // namespace
}  // namespace waggle::kube
