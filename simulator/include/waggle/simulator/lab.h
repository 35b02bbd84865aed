#pragma once
// A cluster on this machine: a network namespace a node and a pod, one bridge as the wire, the
// datapath attached, real sockets. What test-run says about a packet can be tried here for real.
//
// Addresses, routes and neighbours are all static: no ARP, no neighbour discovery, no flooding, so
// that the only packets are those somebody sends. A pod's gateway is its veth's other end
// (169.254.1.1, fe80::1). Outside the cluster there is one `world` namespace behind every node's
// default route; it owns every address that is nobody else's.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "waggle/agent/compile.h"
#include "waggle/kernel/datapath.h"
#include "waggle/kube/cluster.h"
#include "waggle/simulator/engine.h"

namespace waggle::simulator {

struct LabOptions {
  dp_config config = kernel::default_config();  ///< `simulated` is always 0 here
  agent::Config agent;
  /// Where they differ from a lab's own defaults, which are small: every node has its own tables.
  std::map<agent::TableId, std::uint32_t> entries_max;
  std::optional<std::filesystem::path> object;  ///< another build of the datapath
  /// Checksum and segmentation offload on the pods' veths. Off: every packet is complete, so that a
  /// capture shows what a wire would. On: several times the throughput.
  bool offloads = false;
  /// Every declared container port is served by this process while it lives.
  bool serve = true;
  /// No stack sends anything of its own: what moves was sent by a packet socket. An nftables chain
  /// on `output` of every namespace drops it; packet sockets do not pass there.
  bool mute = false;
};

/// What another process has to know to use a running lab.
struct LabNode {
  std::string name;
  std::string netns;
  std::vector<Address> addresses;
  std::vector<Cidr> pod_cidrs;
  std::uint32_t number = 0;  ///< 1 and up; zone, and part of the MAC
  std::filesystem::path pins;
  bool operator==(const LabNode&) const = default;
};
struct LabPod {
  kube::ObjectKey key;
  std::string node;
  std::string netns;  ///< the node's own for a host-network pod
  std::vector<Address> addresses;
  std::vector<kube::ContainerPort> ports;
  bool host_network = false;
  std::uint32_t number = 0;
  std::string host_device;  ///< in the node's namespace; empty for a host-network pod
  bool operator==(const LabPod&) const = default;
};
struct LabLayout {
  std::string name;
  std::string wire, world;  ///< namespaces
  std::map<std::string, LabNode> nodes;
  std::map<kube::ObjectKey, LabPod> pods;
  std::map<kube::ObjectKey, std::vector<Address>> services;  ///< cluster addresses
  std::map<agent::TableId, std::uint32_t> entries_max;  ///< what the pinned tables were made with
  bool operator==(const LabLayout&) const = default;
};

/// One try with a real socket.
struct Probe {
  Origin from;
  Address to;
  std::uint8_t protocol = 6;  ///< TCP, UDP, SCTP; 1 or 58: an echo request by the family
  std::uint16_t port = 0;
  std::uint16_t source_port = 0;  ///< 0: the kernel's choice
  Nanoseconds timeout = std::chrono::milliseconds(500);
};
struct ProbeResult {
  enum class Outcome : std::uint8_t {
    answered,
    refused,      ///< a reset, or ICMP port unreachable
    unreachable,  ///< another ICMP error
    timed_out,
    closed,  ///< an open connection was closed or reset by the other side
  };
  Outcome outcome = Outcome::timed_out;
  std::string by;      ///< the pod that answered, "shop/api-0"; ICMP: the address
  std::string detail;  ///< the socket's error in words; empty when answered
  Nanoseconds elapsed{};
};
[[nodiscard]] const char* to_string(ProbeResult::Outcome outcome);

/// A connected socket of a probe, kept open.
class Connection {
 public:
  /// One request and its answer.
  ProbeResult ask(Nanoseconds timeout = std::chrono::milliseconds(500));
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

 private:
  friend class Lab;
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct Traffic {
  enum class Kind : std::uint8_t {
    stream,       ///< iperf3, TCP, one direction
    requests,     ///< request and answer over open connections
    connections,  ///< connect, one request, close
    datagrams,    ///< request and answer over UDP
  };
  Kind kind = Kind::requests;
  kube::ObjectKey from;
  Address to;
  std::uint16_t port = 0;  ///< stream: where iperf3 listens, free in the pod; 0: 5201
  Nanoseconds duration = std::chrono::seconds(1);
  unsigned parallel = 1;  ///< connections at a time
};
struct TrafficResult {
  double seconds = 0;
  double bits_per_second = 0;      ///< stream
  double requests_per_second = 0;  ///< all others: answered ones
  std::uint64_t requests = 0;      ///< answered or not
  std::uint64_t errors = 0;        ///< unanswered or refused
  std::uint64_t retransmits = 0;   ///< stream
  /// Round trips, microseconds: 50, 90, 99, 99.9 percent, and the longest.
  double p50_us = 0, p90_us = 0, p99_us = 0, p999_us = 0, max_us = 0;
  std::map<std::string, std::uint64_t> drops;  ///< meanwhile, on all nodes, by reason
};

/// One lab, up. The process that brought it up owns it and changes it; others that opened it may
/// probe and measure. Thread-compatible.
class Lab {
 public:
  /// Requires kube::complete(cluster). All or nothing: on Errors nothing is left behind.
  /// `name` is [a-z0-9-]{1,40}. Errors: the name is in use, a privilege is missing (unsupported).
  static Checked<std::unique_ptr<Lab>> up(const std::string& name, kube::Cluster cluster,
                                          const LabOptions& options);
  /// A running lab of another process (or of this one).
  static Result<std::unique_ptr<Lab>> open(const std::string& name);
  /// Removes whatever carries the name: namespaces, devices, pins, server process, state; also
  /// after a crash. Error not_found: there was nothing.
  static Result<> down(const std::string& name);
  static std::vector<std::string> list();  ///< names of all labs, crashed ones too

  /// Takes an owned lab down, unless keep() was called.
  ~Lab();
  void keep();

  // ---- the owner's ----

  /// Pods, nodes, services and policies come, change and go. Checked before anything is changed.
  Checked<std::size_t> apply(std::span<const kube::Change> changes);
  /// The node's agent dies and starts again from what is pinned.
  Checked<> restart_agent(const std::string& node);
  [[nodiscard]] const agent::Compiler& compiler(const std::string& node) const;
  [[nodiscard]] const kube::Cluster& cluster() const;

  // ---- everybody's ----

  [[nodiscard]] const LabLayout& layout() const;
  Result<ProbeResult> probe(const Probe& probe) const;
  /// TCP or UDP. A connection that fails is an Error with the outcome's name in `what`.
  Result<Connection> connect(const Probe& probe) const;
  Result<TrafficResult> traffic(const Traffic& traffic);
  /// Runs a program in a pod's or node's namespace, on this terminal; its exit code.
  Result<int> exec(const Origin& where, const std::vector<std::string>& command) const;
  /// The node's datapath; in a process that opened the lab, a second one on the pinned tables (its
  /// programs are not attached). Valid while the lab is, and until restart_agent.
  Result<kernel::Datapath*> datapath(const std::string& node);
  /// Packets by dp_metric_index, summed over nodes.
  Result<std::map<std::uint32_t, std::uint64_t>> metrics();

 private:
  struct State;
  explicit Lab(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Serves the declared ports of a running lab and removes expired flows, until SIGTERM or SIGINT.
/// For a process of its own, which outlives `waggle lab up`.
Result<> serve_lab(const std::string& name);
/// Starts `command` (which ends in serve_lab) in a session of its own; Lab::down ends it.
Result<> start_server_process(const std::string& name, const std::vector<std::string>& command);

}  // namespace waggle::simulator
