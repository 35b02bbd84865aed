#pragma once
// Manifests and watch streams into objects. Strict: an unknown field of the API is accepted, a
// wrong type, an impossible value or a duplicate key is not; each error has file:line and all
// errors of the input are reported at once. No exception leaves this header's functions.

#include <filesystem>
#include <istream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waggle/kube/cluster.h"

namespace waggle::kube {

/// Reads files and folders (recursively, in name order; *.yaml *.yml *.json, each also with .gz;
/// not hidden ones): multi-document YAML, JSON, List objects. Deployment, StatefulSet, DaemonSet,
/// ReplicaSet and Job become workloads, whose pods complete() makes. Kinds that do not concern the
/// datapath are passed over. The same object twice is an error that names both places.
[[nodiscard]] Checked<Cluster> read_cluster(std::span<const std::filesystem::path> paths);

/// One text; `name` is used for file:line. The whole text is YAML, or JSON values one behind
/// another. Workloads that have no pods in this text are here as pods; a DaemonSet, which needs
/// nodes, is not.
[[nodiscard]] Checked<std::vector<Object>> read_objects(std::string_view text,
                                                        const std::string& name);

/// Puts objects into a cluster; the same key twice is an error.
[[nodiscard]] Checked<> add_objects(Cluster& cluster, std::vector<Object> objects);

/// One event of `kubectl get … --watch --output-watch-events -o json` or of the raw API stream.
struct WatchEvent {
  enum class Type : std::uint8_t { added, modified, deleted, bookmark, error };
  Type type = Type::added;
  std::optional<Object> object;  ///< absent: bookmark, error, a kind that does not concern us
  std::string resource_version;  ///< of the object or the bookmark
  int error_code = 0;            ///< error: Status.code; 410 means the watcher has to list again
  std::string error_message;
  SourceRef source;
};

/// Reads events one at a time. Both one object a line and pretty-printed concatenated JSON.
/// Workloads are passed over: a watch that matters has their pods.
class WatchReader {
 public:
  WatchReader(std::istream& in, std::string name);
  /// The next event; nothing at the end. After an error the reader goes on behind the bad event.
  [[nodiscard]] Checked<std::optional<WatchEvent>> next();

 private:
  std::optional<std::string> next_text();

  std::istream& in_;
  std::shared_ptr<const std::string> name_;
  std::string rest_;   ///< of the line read last
  int line_ = 0;       ///< of rest_
  int text_line_ = 0;  ///< where next_text()'s result starts
};

}  // namespace waggle::kube
