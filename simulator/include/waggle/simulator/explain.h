#pragma once
// A walk in words: every hop, every table entry that decided, for people. Pure: it reads the walk
// and the tables it happened under, and asks nobody.

#include <string>
#include <vector>

#include "waggle/simulator/engine.h"

namespace waggle::simulator {

struct ExplainedHop {
  struct Line {
    std::string topic;  ///< "source" "service" "conntrack" "policy" "next hop" "rewritten" "packet"
    std::string text;   ///< a sentence
    std::string
        entry;  ///< the table entry behind it, "policy[301 -> 305 egress 8080/TCP]"; or empty
  };
  std::string node, hook;
  std::string about;  ///< what the hook is: "packets that a pod sends"
  std::vector<Line> lines;
  std::string fate;  ///< what becomes of the packet here
};

struct Explanation {
  std::string packet;  ///< as it was sent
  std::vector<ExplainedHop> hops;
  std::string fate;     ///< "delivered", as Walk::Fate
  std::string verdict;  ///< one sentence
  /// For a packet that did not arrive: what would have to be different, line by line.
  std::vector<std::string> advice;
};

/// `tables` and `provenance` are those the walk happened under (Compiler::tables, ::provenance).
/// Evidence that a hop lacks (an event that aggregation withheld) is left out, never invented.
[[nodiscard]] Explanation explain(const Walk& walk, const kube::Cluster& cluster,
                                  const agent::Tables& tables, const agent::Provenance& provenance);

}  // namespace waggle::simulator
