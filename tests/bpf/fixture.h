#pragma once
// One node with two pods of its own, a pod on another node and the world, in front of the real
// object: packets go through BPF_PROG_TEST_RUN under a clock and dice that the test holds.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "waggle/abi/conntrack.h"
#include "waggle/abi/drop_reasons.h"
#include "waggle/abi/identities.h"
#include "waggle/kernel/datapath.h"
#include "waggle/simulator/packet.h"

namespace waggle::bpf {

using namespace std::chrono_literals;
using simulator::PacketFields;

/// Tables far smaller than the defaults, so that loading takes milliseconds and filling is quick.
[[nodiscard]] kernel::LoadOptions small_tables();
/// Moves the process into a network namespace of its own with four devices; their indexes.
[[nodiscard]] const std::vector<std::uint32_t>& devices();

struct Pod {
  Address v4, v6;
  std::uint32_t identity = 0;
  std::uint32_t node = 0;
  std::uint32_t ifindex = 0;  ///< 0: on another node
  simulator::Mac mac{}, host_mac{};
};

/// What became of a packet.
struct Outcome {
  int action = 0;
  dp_verdict verdict{};
  simulator::Packet bytes;
};

class Bpf : public testing::Test {
 protected:
  Bpf();
  void SetUp() override;
  /// Before SetUp's load.
  kernel::LoadOptions options = small_tables();
  /// Load again, with what `options` says now.
  void reload();

  /// Which of their two addresses everybody uses.
  Family family = Family::v4;
  [[nodiscard]] Address of(const Pod& pod) const;
  [[nodiscard]] Address vip() const { return pick("10.96.0.10", "fd00:96::a"); }
  [[nodiscard]] Address other_vip() const { return pick("10.96.0.11", "fd00:96::b"); }
  [[nodiscard]] Address world() const { return pick("203.0.113.9", "2001:db8::9"); }
  [[nodiscard]] Address host() const { return pick("192.168.0.1", "fd00:192::1"); }
  [[nodiscard]] Address hairpin() const { return pick("169.254.42.1", "fd00:42::1"); }
  [[nodiscard]] Address pick(const char* v4, const char* v6) const;
  [[nodiscard]] std::uint8_t icmp() const { return family == Family::v4 ? 1 : 58; }

  // Packets, with the Ethernet addresses that the sender's veth would carry.
  [[nodiscard]] PacketFields tcp(const Address& from, std::uint16_t from_port, const Address& to,
                                 std::uint16_t to_port, std::uint8_t flags = simulator::syn) const;
  [[nodiscard]] PacketFields udp(const Address& from, std::uint16_t from_port, const Address& to,
                                 std::uint16_t to_port) const;
  [[nodiscard]] PacketFields sctp(const Address& from, std::uint16_t from_port, const Address& to,
                                  std::uint16_t to_port) const;
  [[nodiscard]] PacketFields echo(const Address& from, const Address& to, std::uint16_t id,
                                  bool reply = false) const;
  /// "Port unreachable" about `inner`.
  [[nodiscard]] PacketFields unreachable(const Address& from, const PacketFields& inner) const;

  Outcome run(dp_hook hook, std::uint32_t ifindex, const simulator::Packet& packet);
  Outcome from(const Pod& pod, const PacketFields& fields);
  Outcome to(const Pod& pod, const PacketFields& fields);
  Outcome arrive(const PacketFields& fields);
  Outcome leave(const PacketFields& fields);

  // Tables.
  template <class Key, class Value>
  void put(agent::TableId table, const Key& key, const Value& value) {
    const auto done = datapath->put(table, agent::Bytes::of(key), agent::Bytes::of(value));
    ASSERT_TRUE(done) << to_string(done.error());
  }
  template <class Key>
  void erase(agent::TableId table, const Key& key) {
    const auto done = datapath->erase(table, agent::Bytes::of(key));
    ASSERT_TRUE(done) << to_string(done.error());
  }
  void place(const Pod& pod);
  /// One policy entry. `bits` of the port count from its high end; protocol 0 and no bits: any.
  struct Rule {
    std::uint32_t subject = 0, peer = DP_IDENTITY_ANY;
    dp_direction direction = DP_EGRESS;
    std::uint8_t protocol = 0;
    std::uint16_t port = 0;
    unsigned port_bits = 0;
    dp_policy_verdict verdict = DP_POLICY_ALLOW;
    std::uint32_t precedence = 0;
    std::uint32_t rule = 1;
  };
  void put(const Rule& rule);
  void erase(const Rule& rule);
  /// Everything is allowed to and from both pods, as rule 1; SetUp does it.
  void allow_all();
  void deny_all();
  void touch_policy() { ++datapath->node().policy_generation; }

  struct Backend {
    std::uint32_t id = 0;
    Address address;
    std::uint16_t port = 0;
    dp_backend_state state = DP_BACKEND_ACTIVE;
    std::uint32_t service = 0;  ///< 0: the service it is put for
  };
  struct Service {
    Address address;
    std::uint16_t port = 80;
    std::uint8_t protocol = 6;
    std::uint32_t number = 7, frontend = 70, base = 16, scope = 0;
    std::vector<Backend> backends;  ///< one position each unless `positions` says so
    std::vector<std::uint32_t> positions;
    std::uint8_t flags = 0;
    dp_algorithm algorithm = DP_ALGORITHM_RANDOM;
    std::uint32_t affinity_timeout_s = 0;
  };
  void put(const Service& service);
  void put(const Backend& backend, const Service& service);
  /// vip():80/tcp -> far:8080, one backend with id 1.
  [[nodiscard]] Service one_backend() const;

  [[nodiscard]] std::optional<dp_ct> flow(const PacketFields& packet, dp_ct_direction direction);
  [[nodiscard]] std::vector<dp_event> events();
  void advance(std::chrono::nanoseconds by) {
    datapath->env().now_ns += static_cast<std::uint64_t>(by.count());
  }

  std::unique_ptr<kernel::Datapath> datapath;
  Pod web, api, far;
  std::uint32_t uplink = 0;
};

/// The same test for IPv4 and IPv6.
class BothFamilies : public Bpf, public testing::WithParamInterface<Family> {
 protected:
  BothFamilies() { family = GetParam(); }
};
#define WAGGLE_BOTH_FAMILIES(suite)                                            \
  INSTANTIATE_TEST_SUITE_P(Ip, suite, testing::Values(Family::v4, Family::v6), \
                           [](const auto& row) { return row.param == Family::v4 ? "V4" : "V6"; })

/// A DROP for this reason, said by record and action alike.
[[nodiscard]] testing::AssertionResult drops(const Outcome& outcome, dp_drop reason);
/// This kind, with the action that belongs to it; every field of the packet and all checksums are
/// as in `wanted`.
[[nodiscard]] testing::AssertionResult gives(const Outcome& outcome, dp_verdict_kind kind,
                                             const PacketFields& wanted);
/// This kind, whatever became of the packet.
[[nodiscard]] testing::AssertionResult is(const Outcome& outcome, dp_verdict_kind kind);
/// What routing to a pod of this node makes of a packet.
[[nodiscard]] PacketFields routed(PacketFields fields, const Pod& pod);
/// One hop further, Ethernet addresses untouched.
[[nodiscard]] PacketFields aged(PacketFields fields);

}  // namespace waggle::bpf
