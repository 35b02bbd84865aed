#pragma once
// An engine carries packets through a cluster's nodes. test-run: hop by hop through
// BPF_PROG_TEST_RUN under virtual time; live: network namespaces and real sockets. Both give Walks.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "waggle/abi/config.h"
#include "waggle/abi/events.h"
#include "waggle/abi/metrics.h"
#include "waggle/agent/compile.h"
#include "waggle/kernel/datapath.h"
#include "waggle/kube/cluster.h"
#include "waggle/simulator/packet.h"

namespace waggle::simulator {

using Nanoseconds = std::chrono::nanoseconds;

/// Where a packet starts.
struct Origin {
  enum class Kind : std::uint8_t {
    pod,    ///< leaves pod `pod`
    node,   ///< the host stack of node `name` sends it to a pod of its own or over the wire
    world,  ///< arrives at the uplink of the node that owns the destination
  };
  Kind kind = Kind::pod;
  kube::ObjectKey pod;
  std::string node;
};

/// One program on one node.
struct Hop {
  std::string node;
  dp_hook hook = DP_HOOK_from_container;
  int action = 0;
  dp_verdict verdict{};
  std::optional<dp_event> event;  ///< the evidence; absent when aggregation withheld it
  Packet in, out;
};

/// A packet's whole way.
struct Walk {
  enum class Fate : std::uint8_t {
    delivered,  ///< into pod `where`
    dropped,    ///< verdict of the last hop has the reason; `where` is "node/hook"
    stack,      ///< handed to the host stack of node `where`, which owns the destination
    world,      ///< left the cluster through node `where`
    answered,   ///< an ICMP error went back to the sender; `packet` is that error
    lost,       ///< no program dropped it, yet it cannot go on: a defect, `where` says why
  };
  Fate fate = Fate::lost;
  std::string where;
  std::vector<Hop> hops;
  Packet packet;                                    ///< as it arrived, or as it was when dropped
  [[nodiscard]] std::uint32_t drop_reason() const;  ///< 0 unless dropped
};
[[nodiscard]] const char* to_string(Walk::Fate fate);

struct EngineOptions {
  dp_config config;  ///< kernel::default_config() with changes; `simulated` is the engine's
  agent::Config agent;
  std::map<agent::TableId, std::uint32_t> entries_max;
  std::uint64_t seed = 1;
};

/// What scenarios, reach and explain run on.
class Engine {
 public:
  virtual ~Engine() = default;
  /// The cluster changes; every node follows at once. Returns how many operations were applied.
  virtual Checked<std::size_t> apply(std::span<const kube::Change> changes) = 0;
  /// Error unsupported: this engine's clock cannot be moved.
  virtual Result<> advance(Nanoseconds by) = 0;
  [[nodiscard]] virtual Nanoseconds now() const = 0;
  /// Removes expired flows on every node, as the agent does now and then; how many.
  virtual Result<std::uint32_t> collect_garbage() = 0;
  /// Sends it and follows it to its end. Ethernet addresses are filled in for a pod's packet unless
  /// set; everything else goes out as given.
  virtual Result<Walk> send(const Origin& from, PacketFields fields) = 0;
  [[nodiscard]] virtual const agent::Compiler& compiler() const = 0;
  [[nodiscard]] virtual const kube::Cluster& cluster() const = 0;
};

/// Every node of the cluster with one shared object and one set of maps; a node is a zone and a
/// node_config. Virtual time starts at 1 s. Deterministic: equal calls give equal Walks.
class TestRunEngine final : public Engine {
 public:
  /// Requires kube::complete(cluster). Loads the datapath and makes veths in a private network
  /// namespace; the caller's namespace is untouched.
  static Checked<std::unique_ptr<TestRunEngine>> create(kube::Cluster cluster,
                                                        const EngineOptions& options);
  ~TestRunEngine() override;

  Checked<std::size_t> apply(std::span<const kube::Change> changes) override;
  Result<> advance(Nanoseconds by) override;
  [[nodiscard]] Nanoseconds now() const override;
  Result<std::uint32_t> collect_garbage() override;
  Result<Walk> send(const Origin& from, PacketFields fields) override;
  [[nodiscard]] const agent::Compiler& compiler() const override;
  [[nodiscard]] const kube::Cluster& cluster() const override;
  [[nodiscard]] std::uint16_t zone_of(const std::string& node) const;
  /// For tests, benchmarks and faults: the loaded datapath itself.
  struct Access {
    kernel::Datapath& datapath;
    std::uint32_t uplink;          ///< every node's
    std::shared_ptr<void> inside;  ///< while it lives, this thread is in the engine's namespace
  };
  [[nodiscard]] Access access();
  /// How the pod hangs on its node; nothing for host-network and finished pods.
  [[nodiscard]] std::optional<agent::Attachment> attachment_of(const kube::ObjectKey& pod) const;
  /// What is written before a packet is judged on this node. Requires that the node exists.
  [[nodiscard]] dp_node_config node_config(const std::string& node) const;

 private:
  struct State;
  explicit TestRunEngine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace waggle::simulator
