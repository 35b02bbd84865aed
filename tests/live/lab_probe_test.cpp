// Real sockets through the attached datapath.

#include <set>

#include "lab_fixture.h"
#include "waggle/abi/drop_reasons.h"

namespace waggle::simulator {
namespace {

using Outcome = ProbeResult::Outcome;
using std::chrono::milliseconds;

constexpr std::uint8_t tcp = 6, udp = 17, icmp = 1;
constexpr Family families[] = {Family::v4, Family::v6};

class LabProbe : public LabTest {};

TEST_F(LabProbe, ReachesAPodOfTheSameNodeByEveryProtocol) {
  for (const auto family : families) {
    const auto to = address_of("api-0", family);
    EXPECT_EQ(probe(pod("web"), to, 8080, tcp).by, "shop/api-0");
    EXPECT_EQ(probe(pod("web"), to, 5353, udp).by, "shop/api-0");
    EXPECT_EQ(probe(pod("web"), to, 0, icmp).outcome, Outcome::answered);
  }
}

TEST_F(LabProbe, ReachesAPodOfAnotherNodeByEveryProtocol) {
  for (const auto family : families) {
    const auto to = address_of("api-1", family);
    EXPECT_EQ(probe(pod("web"), to, 8080, tcp).by, "shop/api-1");
    EXPECT_EQ(probe(pod("web"), to, 5353, udp).by, "shop/api-1");
    EXPECT_EQ(probe(pod("web"), to, 0, icmp).outcome, Outcome::answered);
  }
}

TEST_F(LabProbe, IsRefusedByAPodThatDoesNotListen) {
  for (const auto family : families) {
    const auto to = address_of("guest", family);
    EXPECT_EQ(probe(pod("web"), to, 81, tcp).outcome, Outcome::refused);
    EXPECT_EQ(probe(pod("web"), to, 81, udp).outcome, Outcome::refused);
  }
}

TEST_F(LabProbe, ReachesEveryEligibleBackendOfAServiceAndNoOther) {
  for (const auto family : families) {
    std::set<std::string> tcp_by, udp_by;
    for (int i = 0; i < 32; ++i) {
      tcp_by.insert(probe(pod("web"), service("api", family), 80, tcp).by);
      udp_by.insert(probe(pod("guest"), service("api", family), 53, udp).by);
    }
    EXPECT_EQ(tcp_by, (std::set<std::string>{"shop/api-0", "shop/api-1"}));
    EXPECT_EQ(udp_by, (std::set<std::string>{"shop/api-0", "shop/api-1"}));
  }
}

TEST_F(LabProbe, ReachesAServiceWhoseBackendIsThePodItself) {
  for (const auto family : families) {
    std::set<std::string> by;
    for (int i = 0; i < 16; ++i) by.insert(probe(pod("api-0"), service("api", family), 80, tcp).by);
    EXPECT_EQ(by, (std::set<std::string>{"shop/api-0", "shop/api-1"}));
  }
}

TEST_F(LabProbe, IsRefusedAndNotLeftWaitingByAServiceWithoutBackends) {
  // The answer is back before connect() has let go of its socket. Linux then keeps an ICMPv6 error
  // from TCP (TcpExtLockDroppedIcmps), and the first SYN sent again, a second later, is refused.
  for (const auto& [family, limit] :
       {std::pair{Family::v4, milliseconds(500)}, {Family::v6, milliseconds(2500)}}) {
    for (const auto protocol : {tcp, udp}) {
      const auto result = lab().probe({.from = pod("web"),
                                       .to = service("nobody", family),
                                       .protocol = protocol,
                                       .port = 80,
                                       .timeout = milliseconds(5000)});
      ASSERT_TRUE(result.has_value()) << text_of(result.error());
      EXPECT_EQ(result->outcome, Outcome::refused) << result->detail;
      EXPECT_LT(result->elapsed, limit);
    }
  }
}

TEST_F(LabProbe, TimesOutWherePolicyDeniesAndTheEventSaysSo) {
  drop_events(0);
  for (const auto family : families) {
    const auto to = address_of("vault", family);
    EXPECT_EQ(probe(pod("web"), to, 443, tcp).outcome, Outcome::timed_out);
    EXPECT_GE(drop_events(DP_DROP_POLICY_DENIED), 1U);
    EXPECT_EQ(probe(pod("api-0"), to, 443, tcp).by, "shop/vault");
    EXPECT_EQ(drop_events(DP_DROP_POLICY_DENIED), 0U);
  }
}

TEST_F(LabProbe, ReachesAPodFromItsNodeAndTheNodeFromThePod) {
  for (const auto family : families) {
    EXPECT_EQ(probe(node("node-b"), address_of("vault", family), 443, tcp).by, "shop/vault");
    const auto& own = lab().layout().nodes.at("node-a").addresses;
    const auto to = own.at(own.at(0).family() == family ? 0 : 1);
    EXPECT_EQ(probe(pod("web"), to, 0, icmp).outcome, Outcome::answered);
    EXPECT_EQ(probe(pod("guest"), to, 0, icmp).outcome, Outcome::answered);
  }
}

TEST_F(LabProbe, ReachesTheWorldAndTheWorldReachesPods) {
  const Origin world{.kind = Origin::Kind::world, .pod = {}, .node = {}};
  EXPECT_EQ(probe(pod("web"), address("203.0.113.7"), 0, icmp).outcome, Outcome::answered);
  EXPECT_EQ(probe(pod("web"), address("2001:db8:9::1"), 0, icmp).outcome, Outcome::answered);
  for (const auto family : families)
    EXPECT_EQ(probe(world, address_of("api-1", family), 8080, tcp).by, "shop/api-1");
}

TEST_F(LabProbe, CannotBeMadeFromAPodThatIsNotThere) {
  const auto result = lab().probe({.from = pod("ghost"), .to = address("10.0.0.1"), .port = 80});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, Error::Kind::not_found);
}

}  // namespace
}  // namespace waggle::simulator
