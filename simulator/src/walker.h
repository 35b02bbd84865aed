#pragma once
// One packet's way through simulated nodes: programs decide, this follows.

#include "devices.h"
#include "placement.h"
#include "waggle/kernel/datapath.h"
#include "waggle/simulator/engine.h"

namespace waggle::simulator {

/// What the walk needs of the engine; all of it outlives the walk.
struct Surroundings {
  kernel::Datapath& datapath;
  const PrivateNamespace& space;
  const Placement& placement;
  const std::map<std::string, dp_node_config>& configs;
  const std::map<std::uint32_t, std::string>& node_names;  ///< by node id

  [[nodiscard]] std::uint32_t uplink() const { return space.devices().front(); }
  [[nodiscard]] std::uint32_t device(std::uint32_t slot) const { return space.devices()[slot + 1]; }
};

class Walker {
 public:
  explicit Walker(const Surroundings& around) : around_(around) {}
  Result<Walk> from_pod(const SimulatedPod& pod, Packet packet);
  Result<Walk> from_stack(const std::string& node, Packet packet);
  Result<Walk> from_world(const std::string& node, Packet packet);

 private:
  /// Runs one program; nothing when the walk has ended there (dropped, or the record is wrong).
  Result<const Hop*> step(const std::string& node, dp_hook hook, std::uint32_t ifindex);
  Result<> out_of_pod(const SimulatedPod& pod);
  Result<> into_pod(const std::string& node, std::uint32_t ifindex);
  Result<> over_wire(const std::string& from, const std::string& to);
  Result<> at_uplink(const std::string& node);
  Result<> in_stack(const std::string& node, bool own);
  void end(Walk::Fate fate, std::string where);
  void set_macs(const Mac& destination, const Mac& source);
  /// The host's stack routes: false when the TTL ran out there.
  bool age();

  const Surroundings& around_;
  Walk walk_;
  Packet packet_;
};

}  // namespace waggle::simulator
