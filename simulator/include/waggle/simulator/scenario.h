#pragma once
// A scenario: input and expectation in one file. scenarios/README.md shows the format; the loader
// is its schema: an unknown key, a knob out of range or a label nobody set is an error with
// file:line.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "waggle/abi/config.h"
#include "waggle/simulator/engine.h"

namespace waggle::simulator {

/// One end of a packet: "shop/web-0:40000", "shop/api/v6:80" (a pod or a service, with the family
/// chosen), "10.0.0.1:80", "[fd00::1]:80", "world(203.0.113.9):1234", "node(node-a)/v6:22".
struct EndRef {
  enum class Kind : std::uint8_t { object, address, world, node };
  Kind kind = Kind::object;
  kube::ObjectKey object;  ///< of an object; a pod before a service
  std::string node;
  Address address;
  std::optional<Family> family;
  std::optional<std::uint16_t> port;
};

/// "SOURCE > DESTINATION:PORT/tcp [SA]", "SOURCE > DESTINATION icmp echo 7",
/// "... icmp echo-reply 7", "... icmp type 13 code 0", and errors that quote the packet that step
/// LABEL delivered: "... icmp unreachable about LABEL", "... icmp too-big 1400 about LABEL",
/// "... icmp ttl-exceeded about LABEL". The family is the named one, or the first that both ends
/// have.
struct PacketRef {
  enum class Icmp : std::uint8_t {
    none,
    echo,
    echo_reply,
    other,
    unreachable,
    too_big,
    ttl_exceeded
  };
  EndRef source, destination;
  std::uint8_t protocol = 6;  ///< protocol_icmp stands for ICMPv6 where the addresses are IPv6
  std::uint8_t tcp_flags = syn;
  Icmp icmp = Icmp::none;
  std::uint16_t icmp_id = 0;
  std::uint8_t icmp_type = 0, icmp_code = 0;
  std::uint32_t icmp_mtu = 0;
  std::string about;
};

/// `with:` what a packet says that its line does not.
struct Overrides {
  std::optional<Address> source, destination;
  std::optional<Mac> source_mac, destination_mac;
  std::optional<std::uint16_t> ethertype;
  std::optional<std::uint8_t> protocol, ttl;
  std::optional<std::uint16_t> fragment_offset_bytes;
  std::optional<bool> more_fragments;
  std::optional<std::uint16_t> payload_bytes, quote_bytes;
  std::optional<std::uint16_t> ip_options_bytes;  ///< IPv4: of no-operation
  std::vector<std::uint8_t> extensions;           ///< IPv6: header types, in order
  std::optional<std::string> quote;               ///< a packet line quoted in place of `about`
  bool udp_without_checksum = false;
  bool spoiled_checksum = false;
};

/// `expect:` what becomes of the packet.
///   delivered shop/api-0 [from END] [to END]   delivered shop/api-*   delivered as LABEL
///   delivered not as LABEL   dropped REASON [at [NODE/]HOOK]   answered icmp-unreachable
///   stack [NODE]   world [NODE]
struct Expectation {
  Walk::Fate fate = Walk::Fate::delivered;
  std::string where;  ///< a pod with "*" for any end, or a node; empty: any
  std::string as;     ///< label of the step whose pod it is (or, `differs`, is not)
  bool differs = false;
  std::optional<EndRef> from, to;
  std::uint32_t reason = 0;  ///< enum dp_drop
  std::string node, hook;    ///< where dropped; empty: anywhere
  std::string text;          ///< as written
};

/// `record:` what a hook's verdict record says. Only what is named is compared.
struct RecordExpectation {
  std::string hook;
  std::optional<std::string> rule;            ///< "shop/allow-web", "not-isolated", "host", "none"
  std::optional<std::string> backend;         ///< the pod, or "none"
  std::optional<std::string> connection;      ///< "new" "established" "reply" "related" "none"
  std::uint32_t flags = 0, flags_absent = 0;  ///< enum dp_verdict_flags
};

/// `packet:` what the packet says at its end.
struct PacketExpectation {
  std::optional<EndRef> source, destination, inner_source, inner_destination;
  std::optional<std::uint8_t> ttl;
  std::optional<std::uint16_t> payload_bytes;
  std::optional<std::pair<std::uint8_t, std::uint8_t>> icmp;  ///< type, code
  std::optional<std::uint32_t> icmp_mtu;
  std::optional<std::uint16_t> length_bytes_max;  ///< of the whole IP packet
};

struct Share {
  std::string pod;
  unsigned percent_min = 0, percent_max = 100;
};

struct Step {
  enum class Kind : std::uint8_t {
    send,
    reply,
    apply,
    remove,
    label,
    ready,
    unready,
    terminate,
    collect_garbage,
    check,
    reach
  };
  Kind kind = Kind::check;
  int line = 0;
  Nanoseconds at{0};
  std::string as;        ///< label; empty: none
  std::string text;      ///< the packet line, the objects' names: for people
  PacketRef packet;      ///< send
  std::string reply_to;  ///< reply
  std::optional<std::uint8_t> reply_flags;
  Overrides with;
  unsigned repeat = 1;                ///< each time from the next source port, or ICMP id
  bool same_port = false;             ///< `vary: nothing`
  std::vector<kube::Object> objects;  ///< apply
  std::string object_kind;            ///< remove, label
  kube::ObjectKey object;             ///< remove, label, ready, unready, terminate
  std::map<std::string, std::optional<std::string>> labels;  ///< nothing: takes the label away
  std::filesystem::path table;                               ///< reach: a CSV of verdicts
  std::optional<unsigned> collected;                         ///< collect_garbage: how many
  std::optional<Expectation> expect;
  std::vector<RecordExpectation> records;
  PacketExpectation packet_expect;
  bool has_packet_expect = false;
  std::map<std::string, unsigned> tables;  ///< table name -> entries
  std::vector<Share> spread;
};

/// Knobs that make it go wrong: a scenario that cannot fail shows nothing.
struct WhatIf {
  int line = 0;
  std::map<std::string, std::uint32_t> set;  ///< DP_CONFIG
  std::optional<kube::Service::Algorithm> default_algorithm;
  std::optional<bool> cidr_selects_pods;
  std::map<agent::TableId, std::uint32_t> tables;
  std::vector<std::string> without;            ///< labels of steps that are left out
  std::map<std::string, Expectation> changes;  ///< label of a step -> what becomes of it instead
};

struct Scenario {
  std::filesystem::path file;
  std::string name, why;
  std::vector<std::filesystem::path> cluster_paths;
  kube::Cluster cluster;  ///< completed
  dp_config config{};
  agent::Config agent;
  std::map<agent::TableId, std::uint32_t> entries_max;
  std::uint64_t seed = 1;
  std::vector<std::string> engines;     ///< "test-run", "live"
  std::string not_live;                 ///< why "live" is not among them
  std::vector<std::string> invariants;  ///< default: L1, L2, L4, L6, L7
  std::vector<Step> steps;
  std::vector<WhatIf> what_if;
};

/// All errors of the file at once. Requires nothing of the machine: no privilege, no kernel.
[[nodiscard]] Checked<Scenario> read_scenario(const std::filesystem::path& file);

/// `text` stands in place of the file's content; paths in it are relative to the file's folder.
[[nodiscard]] Checked<Scenario> read_scenario_text(const std::filesystem::path& file,
                                                   std::string_view text);

/// The scenario files under the paths, sorted; a file stands for itself. Cluster manifests (folder
/// `clusters`) and truth tables (folder `truth`) are not scenarios.
[[nodiscard]] Result<std::vector<std::filesystem::path>> find_scenarios(
    const std::vector<std::filesystem::path>& paths);

// The lines inside a scenario, for the loader and for `waggle explain`.

[[nodiscard]] Result<EndRef> parse_end(std::string_view text);
[[nodiscard]] Result<PacketRef> parse_packet_line(std::string_view text);
[[nodiscard]] Result<Expectation> parse_expectation(std::string_view text);
[[nodiscard]] Result<std::uint8_t> parse_tcp_flags(std::string_view letters);  ///< "SA"
/// "1s", "500ms", "60s-1ns": terms of ns, us, ms, s, m, h.
[[nodiscard]] Result<Nanoseconds> parse_duration(std::string_view text);
/// Sets a knob of DP_CONFIG. Errors: no such knob, out of its range, `simulated` (the engine's).
[[nodiscard]] Result<> set_knob(dp_config& config, std::string_view name, std::uint32_t value);

}  // namespace waggle::simulator
