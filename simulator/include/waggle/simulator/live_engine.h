#pragma once
// The live engine: packets through a muted lab, frame by frame, followed by what the nodes' flow
// events say and what packet sockets see.

#include <memory>
#include <span>
#include <string>

#include "waggle/simulator/engine.h"
#include "waggle/simulator/lab.h"

namespace waggle::simulator {

/// Engine over namespaces. The frame is injected on the sender's device by a packet socket; the
/// Walk is put together from the flow events (event_interval_s is 0) and from what arrived at every
/// pod, node and the world. Stacks are muted (LabOptions::mute), so no reset, ICMP error or
/// neighbour discovery of theirs can disturb a walk.
///
/// A Hop's `in` is the packet where it was sent and `out` where it arrived; between two programs of
/// one node no socket can look, there both are empty.
class LiveEngine final : public Engine {
 public:
  /// Requires kube::complete(cluster). `name` is the lab's.
  static Checked<std::unique_ptr<LiveEngine>> create(const std::string& name, kube::Cluster cluster,
                                                     const EngineOptions& options);
  ~LiveEngine() override;

  Checked<std::size_t> apply(std::span<const kube::Change> changes) override;
  /// Error unsupported unless `by` is 0: the kernel's clock cannot be moved.
  Result<> advance(Nanoseconds by) override;
  [[nodiscard]] Nanoseconds now() const override;
  Result<std::uint32_t> collect_garbage() override;
  Result<Walk> send(const Origin& from, PacketFields fields) override;
  [[nodiscard]] const agent::Compiler& compiler() const override;
  [[nodiscard]] const kube::Cluster& cluster() const override;
  [[nodiscard]] Lab& lab();

 private:
  struct State;
  explicit LiveEngine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace waggle::simulator
