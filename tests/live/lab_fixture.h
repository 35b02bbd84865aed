#pragma once
// A small dual-stack lab: two nodes, a client on each, two backends, one pod that nobody may call.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "waggle/simulator/lab.h"

namespace waggle::simulator {

/// The cluster of the lab tests, complete.
kube::Cluster lab_cluster();
/// "waggle-test" names never meet: the process id and `what` are in it.
std::string lab_name(const std::string& what);
std::string text_of(const Errors& errors);
std::string text_of(const Error& error);

inline Origin pod(const std::string& name) {
  return {.kind = Origin::Kind::pod, .pod = {"shop", name}, .node = {}};
}
inline Origin node(const std::string& name) {
  return {.kind = Origin::Kind::node, .pod = {}, .node = name};
}
Address address(const std::string& text);

/// Changes of single objects of lab_cluster().
kube::Change policy_change(const std::string& name, kube::Change::Kind kind);
std::vector<kube::Change> pod_removed(const kube::Cluster& cluster, const std::string& name);

/// One lab for a whole suite; tests that change it put it back.
class LabTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();

  static Lab& lab() { return *lab_; }
  static Address address_of(const std::string& pod, Family family);
  static Address service(const std::string& name, Family family);
  static ProbeResult probe(const Origin& from, const Address& to, std::uint16_t port,
                           std::uint8_t protocol = 6, std::uint16_t source_port = 0);
  /// Applies and expects success.
  static void change(const std::vector<kube::Change>& changes);
  /// Drops of this reason since the last call, on all nodes, from the flow events.
  static std::size_t drop_events(std::uint32_t reason);

 private:
  static std::unique_ptr<Lab> lab_;
};

}  // namespace waggle::simulator
