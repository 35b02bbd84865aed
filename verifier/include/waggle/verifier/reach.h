#pragma once
// Who reaches whom, without a packet: by the objects, and by the tables.

#include "waggle/verifier/policy.h"

namespace waggle::verifier {

struct ReachQuery {
  kube::ObjectKey source, destination;  ///< pods
  kube::Protocol protocol = kube::Protocol::tcp;
  std::uint16_t port = 0;
};

struct ReachVerdict {
  bool allowed = false;
  std::string why;  ///< the side that decided, in words
};

/// Answers many queries on one cluster; what is common to them is worked out once.
class Reach {
 public:
  /// Requires that the question's parts outlive it.
  explicit Reach(const PolicyQuestion& question);

  /// Egress at the source and ingress at the destination, over the family that both pods have
  /// (IPv4 when they have both). Error: no such pod, or no common family.
  [[nodiscard]] Result<ReachVerdict> by_spec(const ReachQuery& query) const;
  /// The same through the tables' semantics. Host-network ends are the node itself.
  [[nodiscard]] Result<ReachVerdict> by_tables(const ReachQuery& query) const;
  /// Over one family; Error when an end lacks it.
  [[nodiscard]] Result<ReachVerdict> by_spec(const ReachQuery& query, Family family) const;
  [[nodiscard]] Result<ReachVerdict> by_tables(const ReachQuery& query, Family family) const;

 private:
  struct Ends {
    const kube::Pod* source;
    const kube::Pod* destination;
    Address from, to;
  };
  [[nodiscard]] Result<Ends> ends(const ReachQuery& query, std::optional<Family> family) const;
  [[nodiscard]] ReachVerdict judge_spec(const Ends& ends, const ReachQuery& query) const;
  [[nodiscard]] ReachVerdict judge_tables(const Ends& ends, const ReachQuery& query) const;
  PolicyQuestion question_;
  Specification specification_;
  TableSemantics semantics_;
};

}  // namespace waggle::verifier
