#include "replay.h"

#include <fmt/format.h>

#include <memory>

#include "waggle/abi/drop_reasons.h"
#include "waggle/kernel/datapath.h"
#include "waggle/simulator/engine.h"

namespace waggle::cli {

namespace {

using simulator::TestRunEngine;

/// The tables to be judged on the engine's own devices: only which pod has which identity is
/// theirs.
agent::Tables on_devices_of(const TestRunEngine& engine, const agent::Tables& tables) {
  auto target = tables;
  target.endpoints = engine.compiler().tables().endpoints;
  for (auto& [key, endpoint] : target.endpoints)
    for (const auto& [other, judged] : tables.endpoints)
      if (agent::same_bytes(other.address, key.address)) endpoint.identity = judged.identity;
  return target;
}

Result<std::unique_ptr<TestRunEngine>> make_engine(const kube::Cluster& cluster,
                                                   const agent::Tables* tables) {
  simulator::EngineOptions options;
  options.config = kernel::default_config();
  auto engine = TestRunEngine::create(cluster, options);
  if (!engine) return std::unexpected(engine.error().front());
  if (tables != nullptr) {
    const auto ops = agent::plan((*engine)->compiler().tables(), on_devices_of(**engine, *tables));
    TRY((*engine)->access().datapath.sink().apply(ops));
  }
  return std::move(*engine);
}

simulator::PacketFields fields_of(const verifier::CounterexamplePacket& packet,
                                  const agent::Attachment& wiring) {
  simulator::PacketFields fields;
  fields.source = packet.source;
  fields.destination = packet.destination;
  fields.protocol = packet.protocol;
  fields.source_port = packet.source_port;
  fields.destination_port = packet.destination_port;
  const bool leaves = packet.direction == DP_EGRESS;
  fields.source_mac = leaves ? wiring.pod_mac : wiring.host_mac;
  fields.destination_mac = leaves ? wiring.host_mac : wiring.pod_mac;
  return fields;
}

/// The one program that judges this direction at this pod, with the node's own configuration.
Result<verifier::ReplayOutcome> replay(TestRunEngine& engine, const agent::Tables* tables,
                                       const verifier::CounterexamplePacket& packet) {
  const auto wiring = engine.attachment_of(packet.pod);
  if (!wiring)
    return std::unexpected(
        Error{Error::Kind::not_found, "no running pod " + packet.pod.to_string(), "", ""});
  auto access = engine.access();
  auto node = engine.node_config(packet.node);
  if (tables != nullptr) node.policy_generation = tables->policy_generation;
  access.datapath.node() = node;
  access.datapath.env().now_ns = static_cast<std::uint64_t>(engine.now().count());
  const auto bytes = simulator::build(fields_of(packet, *wiring));
  const auto hook = packet.direction == DP_EGRESS ? DP_HOOK_from_container : DP_HOOK_to_container;
  const auto run = TRY(access.datapath.run({hook, wiring->ifindex, 0, bytes}));
  const auto reason = run.verdict.reason;
  const bool dropped = run.verdict.kind == DP_VERDICT_DROP;
  const bool by_policy =
      dropped && (reason == DP_DROP_POLICY_DENIED || reason == DP_DROP_POLICY_DENY_RULE);
  return verifier::ReplayOutcome{
      !by_policy, fmt::format("{} on {}: {}", kernel::hook_name(hook), packet.node,
                              dropped ? std::string("DROP ") + kernel::drop_name(reason)
                                      : "passed, by rule " + std::to_string(run.verdict.rule))};
}

}  // namespace

verifier::Replay replay_on_engine(const kube::Cluster& cluster, const agent::Tables* tables) {
  const auto engine = std::make_shared<Result<std::unique_ptr<TestRunEngine>>>();
  const auto made = std::make_shared<bool>(false);
  return [engine, made, &cluster,
          tables](const verifier::CounterexamplePacket& packet) -> Result<verifier::ReplayOutcome> {
    if (!*made) *engine = make_engine(cluster, tables);
    *made = true;
    if (!*engine) return std::unexpected(engine->error());
    return replay(***engine, tables, packet);
  };
}

}  // namespace waggle::cli
