// What a packet costs, in map helpers: a figure that is the same on every machine.

#include "fixture.h"

namespace waggle::bpf {
namespace {

using simulator::ack;
using simulator::syn;

class Cost : public BothFamilies {
 protected:
  std::uint64_t of_second(const std::function<Outcome()>& send) {
    (void)send();
    datapath->env().map_ops = 0;
    EXPECT_NE(send().verdict.kind, std::uint32_t{DP_VERDICT_DROP});
    return datapath->env().map_ops;
  }
};
WAGGLE_BOTH_FAMILIES(Cost);

TEST_P(Cost, OfAnOpenFlowIsCounted) {
  put(one_backend());
  const auto sends = [&](const PacketFields& packet) { return from(web, packet); };
  const auto gets = [&](const PacketFields& packet) { return to(web, packet); };
  // endpoints, services, conntrack, endpoints, metrics
  EXPECT_EQ(of_second([&] { return sends(tcp(of(web), 1, of(api), 80, ack)); }), 5u);
  // … and ipcache and nodes
  EXPECT_EQ(of_second([&] { return sends(tcp(of(web), 1, of(far), 80, ack)); }), 7u);
  // … and the SERVICE entry and backends
  EXPECT_EQ(of_second([&] { return sends(tcp(of(web), 2, vip(), 80, ack)); }), 9u);
  // endpoints, conntrack, metrics
  EXPECT_EQ(of_second([&] { return gets(tcp(of(far), 3, of(web), 80, ack)); }), 3u);
  // a reply: conntrack twice
  EXPECT_EQ(of_second([&] { return gets(tcp(of(far), 80, of(web), 1, ack)); }), 4u);
  // … and reverse_nat
  EXPECT_EQ(of_second([&] { return gets(tcp(of(far), 8080, of(web), 2, ack)); }), 5u);
}

}  // namespace
}  // namespace waggle::bpf
