// Any bytes, as a manifest and as a watch stream: read or refused, never a crash, a hang or an
// exception; what was read completes, and completing it again changes nothing.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

#include "waggle/kube/reader.h"

namespace {

using namespace waggle;
using namespace waggle::kube;

void check_errors(const Errors& errors) {
  WAGGLE_ASSERT(!errors.empty());
  for (const auto& error : errors) WAGGLE_ASSERT(!error.what.empty());
}

std::size_t count(const Cluster& cluster) {
  return cluster.nodes.size() + cluster.pods.size() + cluster.endpoint_slices.size();
}

void read_as_manifest(std::string_view text) {
  auto objects = read_objects(text, "fuzz.yaml");
  if (!objects) return check_errors(objects.error());
  Cluster cluster;
  const auto added = add_objects(cluster, std::move(*objects));
  if (!added) return check_errors(added.error());
  const auto once = complete(cluster);
  if (!once) return check_errors(once.error());
  const auto size = count(cluster);
  WAGGLE_ASSERT(complete(cluster).has_value());
  WAGGLE_ASSERT(count(cluster) == size);
}

void read_as_watch(std::string_view text) {
  std::istringstream stream{std::string(text)};
  WatchReader reader(stream, "fuzz.json");
  for (std::size_t events = 0;; ++events) {
    WAGGLE_ASSERT(events <= text.size());  // it comes to an end
    const auto event = reader.next();
    if (!event)
      check_errors(event.error());
    else if (!*event)
      return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read_as_manifest(text);
  read_as_watch(text);
  return 0;
}
