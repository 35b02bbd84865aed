#pragma once
// Who reaches whom: a table of verdicts read, measured with real packets, compared.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waggle/simulator/engine.h"

namespace waggle::simulator {

struct ReachRow {
  kube::ObjectKey source, destination;  ///< pods
  kube::Protocol protocol = kube::Protocol::tcp;
  std::uint16_t port = 0;
  bool allowed = false;
  int line = 0;         ///< of the table; 0: made, not read
  std::string because;  ///< measured: where it was dropped and why, or which rules let it pass

  /// A pod's own address never leaves the pod: no datapath is asked and no policy counts.
  [[nodiscard]] bool is_self() const { return source == destination; }
};

/// CSV with the header `src_ns,src_pod,dst_ns,dst_pod,protocol,port,verdict`; protocol TCP, UDP or
/// SCTP, verdict allow or deny. Strict: every malformed or repeated row is an error with file:line.
[[nodiscard]] Checked<std::vector<ReachRow>> read_reach_table(const std::filesystem::path& file);
[[nodiscard]] Checked<std::vector<ReachRow>> read_reach_text(std::string_view text,
                                                             const std::string& name);
/// Rows as that CSV.
[[nodiscard]] std::string to_csv(std::span<const ReachRow> rows);

/// Every ordered pair of pods that have an address, times the ports. Verdicts are not filled in.
struct ReachPort {
  kube::Protocol protocol = kube::Protocol::tcp;
  std::uint16_t port = 0;
};
[[nodiscard]] std::vector<ReachRow> all_pairs(const kube::Cluster& cluster,
                                              std::span<const ReachPort> ports);
/// Rows whose pods the cluster does not have, as errors with the table's file:line.
[[nodiscard]] Checked<> check_pods(const kube::Cluster& cluster, std::span<const ReachRow> rows,
                                   const std::string& name);

/// The same rows with the verdicts that the engine's packets met: a new flow each, allowed when it
/// is delivered to the pod. IPv4 where both pods have it, else IPv6.
/// Errors: a pod without an address, no common family, a packet that was lost (a defect).
Result<std::vector<ReachRow>> measure(Engine& engine, std::span<const ReachRow> rows);

struct ReachDisagreement {
  ReachRow expected, got;
};
struct ReachComparison {
  std::size_t rows = 0, agree = 0;
  std::vector<ReachDisagreement> disagree;
};
/// Requires equally many rows in the same order.
[[nodiscard]] ReachComparison compare(std::span<const ReachRow> expected,
                                      std::span<const ReachRow> got);

}  // namespace waggle::simulator
