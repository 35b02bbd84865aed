// The same packets on both engines: programs, verdicts and bytes have to be the same. Numbers are
// compared by what they stand for, since each live node's agent numbers for itself.

#include <gmock/gmock.h>
#include <unistd.h>

#include "clusters.h"
#include "waggle/simulator/live_engine.h"

namespace waggle::simulator {
namespace {

using testing::IsEmpty;

std::string identity_text(const agent::Provenance& provenance, std::uint32_t number) {
  const auto found = provenance.identities.find(number);
  return found == provenance.identities.end() ? std::to_string(number) : found->second.text;
}
std::string rule_text(const agent::Provenance& provenance, std::uint32_t number) {
  const auto found = provenance.rules.find(number);
  return found == provenance.rules.end()
             ? std::to_string(number)
             : found->second.policy.to_string() + ": " + found->second.text;
}
std::string backend_text(const agent::Provenance& provenance, std::uint32_t number) {
  const auto found = provenance.backends.find(number);
  return found == provenance.backends.end() ? std::to_string(number) : found->second.address;
}

/// A hop without anything that may differ: devices and numbers.
std::string hop_text(const Hop& hop, const agent::Provenance& provenance) {
  const auto& verdict = hop.verdict;
  const auto number = [](std::uint32_t value) { return std::to_string(value); };
  return hop.node + "/" + kernel::hook_name(hop.hook) + " kind " + number(verdict.kind) +
         " reason " + kernel::drop_name(verdict.reason) + " action " + std::to_string(hop.action) +
         " state " + number(verdict.ct_state) + " flags " + number(verdict.flags) + " from " +
         identity_text(provenance, verdict.source_identity) + " to " +
         identity_text(provenance, verdict.destination_identity) + " rule " +
         rule_text(provenance, verdict.rule) + " backend " +
         backend_text(provenance, verdict.backend);
}

std::vector<std::string> same_packet(const Walk& wanted, const Walk& got) {
  const auto a = parse(wanted.packet);
  const auto b = parse(got.packet);
  if (!a || !b) return {"a packet that cannot be parsed arrived"};
  auto left = *a, right = *b;
  left.source_mac = left.destination_mac = right.source_mac = right.destination_mac = {};
  return differences(left, right);
}

class BothEngines : public testing::TestWithParam<Family> {
 protected:
  static void SetUpTestSuite() {
    EngineOptions options;
    options.config = kernel::default_config();
    options.config.event_interval_s = 0;
    // Chance differs between the engines; Maglev leaves none.
    options.agent.default_algorithm = kube::Service::Algorithm::maglev;
    options.entries_max = {{agent::TableId::conntrack, 4096}, {agent::TableId::maglev, 65536}};
    auto simulated = TestRunEngine::create(small_cluster(), options);
    ASSERT_TRUE(simulated.has_value()) << text_of(simulated.error());
    auto live =
        LiveEngine::create("differential-" + std::to_string(getpid()), small_cluster(), options);
    ASSERT_TRUE(live.has_value()) << text_of(live.error());
    simulated_ = *std::move(simulated);
    live_ = *std::move(live);
  }
  static void TearDownTestSuite() {
    live_.reset();
    simulated_.reset();
  }
  void SetUp() override { ASSERT_NE(live_, nullptr); }

  Address at(const std::string& name) {
    return address_of(simulated_->cluster(), name, GetParam());
  }
  Address service(const std::string& name) {
    return service_of(simulated_->cluster(), name, GetParam());
  }
  /// A packet that no other test of the suite has sent.
  PacketFields fresh(const std::string& from, const Address& to, std::uint16_t port = 8080) {
    auto fields = packet(simulated_->cluster(), from, to, port);
    fields.source_port = next_port_++;
    return fields;
  }
  /// Sends it on both and holds them to each other; the simulated walk.
  static Walk both(const Origin& from, const PacketFields& fields) {
    const auto wanted = simulated_->send(from, fields);
    const auto got = live_->send(from, fields);
    if (!wanted || !got) {
      ADD_FAILURE() << line_of(wanted) << " / " << line_of(got);
      return {};
    }
    EXPECT_EQ(line_of(got), line_of(wanted)) << to_line(fields);
    std::vector<std::string> simulated, live;
    for (const auto& hop : wanted->hops)
      simulated.push_back(hop_text(hop, simulated_->compiler().provenance()));
    for (const auto& hop : got->hops)
      live.push_back(hop_text(hop, live_->lab().compiler(hop.node).provenance()));
    EXPECT_EQ(live, simulated) << to_line(fields);
    // Where a program drops a packet, no socket sees what it had become.
    if (wanted->fate != Walk::Fate::dropped) {
      EXPECT_THAT(same_packet(*wanted, *got), IsEmpty()) << to_line(fields);
    }
    return *wanted;
  }

  static std::unique_ptr<TestRunEngine> simulated_;
  static std::unique_ptr<LiveEngine> live_;
  static std::uint16_t next_port_;
};
std::unique_ptr<TestRunEngine> BothEngines::simulated_;
std::unique_ptr<LiveEngine> BothEngines::live_;
std::uint16_t BothEngines::next_port_ = 20000;

TEST_P(BothEngines, AgreeOnConnectionsBetweenPods) {
  for (const std::string to : {"web-0", "web-1", "vault"})
    for (const std::string from : {"client", "web-0"}) {
      if (from == to) continue;
      const auto opened = both(pod(from), fresh(from, at(to)));
      if (opened.fate != Walk::Fate::delivered) continue;
      both(pod(to), answer_to(opened));
      auto established = parse(opened.hops.front().in).value();
      established.source_mac = established.destination_mac = {};  // each engine has its own
      established.tcp_flags = ack;
      established.payload = {1, 2, 3};
      both(pod(from), established);
      established.tcp_flags = fin | ack;
      both(pod(from), established);
    }
}

TEST_P(BothEngines, AgreeOnServicesAndTheirAnswers) {
  for (int i = 0; i < 16; ++i) {
    const auto opened = both(pod("client"), fresh("client", service("web"), 80));
    ASSERT_EQ(opened.fate, Walk::Fate::delivered);
    const auto backend = opened.where.substr(std::string("default/").size());
    const auto back = both(pod(backend), answer_to(opened));
    EXPECT_EQ(parse(back.packet)->source, service("web"));
  }
}

TEST_P(BothEngines, AgreeOnUdp) {
  auto fields = fresh("client", service("web"), 53);
  fields.protocol = 17;
  fields.payload = {7, 7};
  const auto sent = both(pod("client"), fields);
  ASSERT_EQ(sent.fate, Walk::Fate::delivered);
  both(pod(sent.where.substr(std::string("default/").size())), answer_to(sent));
  both(pod("client"), fields);
}

TEST_P(BothEngines, AgreeOnPodsThatReachThemselvesThroughAService) {
  for (int i = 0; i < 8; ++i) both(pod("web-0"), fresh("web-0", service("web"), 80));
}

TEST_P(BothEngines, AgreeOnEchoRequests) {
  auto fields = fresh("client", at("web-1"));
  fields.protocol = GetParam() == Family::v4 ? protocol_icmp : protocol_icmp6;
  fields.source_port = fields.destination_port = 0;
  fields.icmp_type = GetParam() == Family::v4 ? 8 : 128;
  fields.icmp_id = 77;
  const auto sent = both(pod("client"), fields);
  auto answer = answer_to(sent);
  answer.icmp_type = GetParam() == Family::v4 ? 0 : 129;
  both(pod("web-1"), answer);
}

TEST_P(BothEngines, AgreeOnRejection) {
  const auto rejected = both(pod("client"), fresh("client", service("empty"), 80));
  EXPECT_EQ(rejected.fate, Walk::Fate::answered);
}

TEST_P(BothEngines, AgreeOnDrops) {
  auto spoofed = fresh("client", at("web-1"));
  spoofed.source = at("vault");
  EXPECT_EQ(both(pod("client"), spoofed).fate, Walk::Fate::dropped);
  auto old = fresh("client", at("web-1"));
  old.ttl = 1;
  EXPECT_EQ(both(pod("client"), old).fate, Walk::Fate::dropped);
  auto fragment = fresh("client", at("web-1"));
  fragment.more_fragments = true;
  fragment.dont_fragment = GetParam() == Family::v6;
  EXPECT_EQ(both(pod("client"), fragment).fate, Walk::Fate::dropped);
  EXPECT_EQ(both(pod("client"), fresh("client", at("vault"))).fate, Walk::Fate::dropped);
}

TEST_P(BothEngines, AgreeOnNodesAndTheWorld) {
  both(pod("client"),
       fresh("client", node_address(simulated_->cluster(), "node-a", GetParam()), 22));
  both(pod("client"),
       fresh("client", node_address(simulated_->cluster(), "node-b", GetParam()), 22));
  const auto outside =
      Address::parse(GetParam() == Family::v4 ? "203.0.113.9" : "2001:db8::9").value();
  const auto out = both(pod("client"), fresh("client", outside, 443));
  EXPECT_EQ(out.fate, Walk::Fate::world);
  both(world(), answer_to(out));
}

constexpr const char* deny_all = R"(
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all}
spec: {podSelector: {}, policyTypes: [Ingress]}
)";

TEST_P(BothEngines, AgreeOnAPolicyThatComesAndGoesUnderAnOpenConnection) {
  const auto fields = fresh("client", at("web-1"));
  EXPECT_EQ(both(pod("client"), fields).fate, Walk::Fate::delivered);
  auto established = fields;
  established.tcp_flags = ack;
  for (const auto kind : {kube::Change::Kind::upserted, kube::Change::Kind::deleted}) {
    const std::vector change = {change_of(deny_all, kind)};
    ASSERT_TRUE(simulated_->apply(change).has_value());
    ASSERT_TRUE(live_->apply(change).has_value());
    const auto walk = both(pod("client"), established);
    EXPECT_EQ(walk.fate,
              kind == kube::Change::Kind::upserted ? Walk::Fate::dropped : Walk::Fate::delivered);
  }
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, BothEngines, testing::Values(Family::v4, Family::v6),
                         [](const auto& family) {
                           return family.param == Family::v4 ? "IPv4" : "IPv6";
                         });

}  // namespace
}  // namespace waggle::simulator
