#pragma once
// What a snapshot's objects ask for, and its tables' entries as comparable keys.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "set_question.h"
#include "waggle/verifier/invariants/l1.h"
#include "waggle/verifier/invariants/l2.h"
#include "waggle/verifier/invariants/l4.h"
#include "waggle/verifier/invariants/l6.h"
#include "waggle/verifier/invariants/l7.h"
#include "waggle/verifier/tables.h"

namespace waggle::verifier {

/// Network-order ABI fields and host-order numbers as big-endian bytes.
[[nodiscard]] Content bytes_of(const dp_addr& address);
[[nodiscard]] Content bytes_of(std::uint32_t number);
/// Address, port (network order, as in the ABI) and protocol.
[[nodiscard]] Content bytes_of(const dp_addr& address, __be16 port, std::uint8_t protocol);

/// One frontend entry as the questions see it.
struct Frontend {
  dp_service_key key{};
  dp_service value{};
  std::string text;                     ///< "10.96.0.1:80/TCP (shop/web http)"
  std::vector<std::uint32_t> backends;  ///< at its positions; 0 for a position outside its region
};

/// What the objects say of one address, port and protocol.
struct WantedFrontend {
  kube::ObjectKey service;
  kube::SourceRef source;
  std::set<Content> ready, terminating;  ///< endpoints, as bytes_of(address, port, protocol)
  [[nodiscard]] const std::set<Content>& eligible() const {
    return ready.empty() ? terminating : ready;
  }
};

class TableFacts {
 public:
  explicit TableFacts(const Snapshot& snapshot);

  [[nodiscard]] const std::vector<Frontend>& frontends() const { return frontends_; }
  [[nodiscard]] const Snapshot& snapshot() const { return snapshot_; }

  [[nodiscard]] SetQuestion<L1, 2> l1() const;
  [[nodiscard]] SetQuestion<L2, 3> l2() const;
  [[nodiscard]] SetQuestion<L4Open, 2> l4_open() const;
  [[nodiscard]] std::vector<SetQuestion<L6, 2>> l6() const;
  [[nodiscard]] std::vector<SetQuestion<L7, 2>> l7() const;

  /// A packet to the frontend from some pod of its family; nothing when there is no such pod.
  [[nodiscard]] std::optional<CounterexamplePacket> packet_to(const Frontend& frontend,
                                                              bool admitted) const;
  [[nodiscard]] const dp_reverse_nat* reverse_of(const Frontend& frontend) const;

 private:
  void collect_wanted();
  void collect_frontends();
  [[nodiscard]] const WantedFrontend* wanted(const dp_service_key& key) const;
  [[nodiscard]] bool eligible(const Frontend& frontend, const dp_backend& backend) const;
  [[nodiscard]] bool affinity_may_choose(const Frontend& frontend, const dp_backend& backend) const;
  [[nodiscard]] SetQuestion<L6, 2> leak(const char* table, Contents have, Contents asked,
                                        std::function<std::string(const Content&)> text) const;
  void add_object_leaks(std::vector<SetQuestion<L6, 2>>& out) const;
  [[nodiscard]] Contents wanted_backends() const;
  [[nodiscard]] Contents wanted_blocks() const;
  [[nodiscard]] Contents pod_addresses() const;
  [[nodiscard]] Contents node_addresses() const;

  Snapshot snapshot_;
  std::map<Content, WantedFrontend> wanted_;  ///< by address, port and protocol
  std::vector<Frontend> frontends_;
  std::map<std::uint32_t, std::vector<std::size_t>> by_service_;  ///< service number -> frontends_
  std::map<std::uint32_t, std::vector<std::uint32_t>> members_;   ///< service number -> backend ids
};

}  // namespace waggle::verifier
