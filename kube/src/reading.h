#pragma once
// From a parsed document to typed objects, whatever text it came from.

#include <vector>

#include "view.h"
#include "waggle/kube/cluster.h"
#include "waggle/kube/result.h"

namespace waggle::kube {

struct Found {
  std::vector<Object> objects;
  std::vector<Workload> workloads;
};

/// Reads one object or List and appends what concerns the datapath.
void read_document(const View& document, Found& found);

/// The complaints as errors, in the order of lines, each once.
[[nodiscard]] Errors errors_of(const Report& report);

/// A file's text, unpacked when it is gzip. Bounded to 4 GiB.
[[nodiscard]] Result<std::string> read_text(const std::string& path);

}  // namespace waggle::kube
