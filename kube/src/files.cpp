#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "reading.h"

namespace waggle::kube {
namespace {

constexpr std::size_t text_max = std::size_t{4} << 30;

struct CloseGz {
  void operator()(gzFile file) const { gzclose(file); }
};

Error unreadable(const std::string& path, std::string what) {
  return {.kind = Error::Kind::bad_input, .what = std::move(what), .where = path, .advice = {}};
}

}  // namespace

Result<std::string> read_text(const std::string& path) {
  errno = 0;
  const std::unique_ptr<gzFile_s, CloseGz> file(gzopen(path.c_str(), "rb"));
  if (!file) return std::unexpected(unreadable(path, std::strerror(errno)));
  constexpr std::size_t chunk = 1 << 20;
  std::string text;
  while (true) {
    const auto before = text.size();
    text.resize(before + chunk);
    const int count = gzread(file.get(), text.data() + before, chunk);
    if (count < 0) {
      int code = 0;
      const char* what = gzerror(file.get(), &code);
      return std::unexpected(unreadable(path, code == Z_ERRNO ? std::strerror(errno) : what));
    }
    text.resize(before + static_cast<std::size_t>(count));
    if (text.size() > text_max) return std::unexpected(unreadable(path, "unpacks to over 4 GiB"));
    if (count == 0) break;
  }
  // zlib passes over plain text as it is: a broken header must not turn bytes into "text".
  if (path.ends_with(".gz") && gzdirect(file.get()) != 0)
    return std::unexpected(unreadable(path, "is not gzip, though its name says so"));
  return text;
}

}  // namespace waggle::kube
