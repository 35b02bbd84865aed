// Spoilt packets through every hook of the real object, over populated tables. An input is a few
// steps; a step takes a good packet, overwrites some of its bytes, and sends it through one hook.
// Inputs do not meet: between two of them more time passes than any entry lives.

#include <fmt/format.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>

#include <cstdlib>

#include "../bpf/fixture.h"

namespace waggle::bpf {
namespace {

/// libFuzzer cannot see into the kernel; what a program decided stands in for coverage.
__attribute__((section("__libfuzzer_extra_counters"))) std::uint8_t decided[1U << 16];

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

class World : public Bpf {
 public:
  World() { start(); }

  void run_input(Input input) {
    begin_input();
    for (int step = 0; step < steps_max && !input.empty(); ++step) run_step(input);
  }

 private:
  static constexpr int steps_max = 6;
  static constexpr unsigned inputs_between_sweeps = 64;
  void TestBody() override {}

  void start() {
    options.config.icmp_error_rate = 100000;
    SetUp();
    std::uint32_t number = 1;
    for (const auto one : {Family::v4, Family::v6}) {
      family = one;
      for (const int number_of : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP}) {
        const auto protocol = static_cast<std::uint8_t>(number_of);
        Service service;
        service.address = vip();
        service.protocol = protocol;
        service.number = service.frontend = number++;
        service.base = 16 * service.number;
        service.flags = DP_SERVICE_AFFINITY;
        service.affinity_timeout_s = 30;
        const auto port = static_cast<std::uint16_t>(protocol == IPPROTO_SCTP ? 80 : 8080);
        std::uint32_t id = 10 * service.number;
        for (const auto* pod : {&far, &api, &web})
          service.backends.push_back({.id = id++, .address = of(*pod), .port = port});
        put(service);
        Service empty;
        empty.address = other_vip();
        empty.protocol = protocol;
        empty.number = empty.frontend = number++;
        put(empty);
      }
      templates(one == Family::v4 ? v4_ : v6_);
    }
    if (HasFailure()) std::abort();
  }

  void templates(std::vector<PacketFields>& good) {
    for (const auto& to : {of(api), of(far), vip(), other_vip(), world(), host(), hairpin()}) {
      good.push_back(tcp(of(web), 40000, to, 80));
      good.push_back(tcp(of(web), 40000, to, 80, simulator::ack));
      good.push_back(udp(of(web), 40000, to, 80));
      good.push_back(sctp(of(web), 40000, to, 80));
      good.push_back(echo(of(web), to, 7));
    }
    for (const auto& peer : {of(api), of(far), vip(), hairpin()}) {
      good.push_back(tcp(peer, 8080, of(web), 40000, simulator::syn | simulator::ack));
      good.push_back(tcp(peer, 8080, of(web), 40000, simulator::rst));
      good.push_back(udp(peer, 8080, of(web), 40000));
      good.push_back(echo(peer, of(web), 7, true));
      good.push_back(unreachable(peer, tcp(of(web), 40000, peer, 8080)));
      good.push_back(unreachable(peer, udp(of(web), 40000, peer, 8080)));
      auto error = unreachable(of(web), tcp(peer, 80, of(web), 40000));
      error.source_mac = web.mac;
      error.destination_mac = web.host_mac;
      good.push_back(error);
    }
    good.push_back(tcp(of(web), 8080, hairpin(), 40000, simulator::ack));
  }

  void begin_input() {
    advance(std::chrono::hours(24));
    datapath->env().seed = 7;
    datapath->env().draws = 0;
    if (++inputs_ % inputs_between_sweeps == 0) {
      if (!datapath->collect_garbage() || !datapath->read_events()) std::abort();
    }
  }

  void run_step(Input& input) {
    const auto choice = input.byte();
    const auto& good = (choice & 1) != 0 ? v6_ : v4_;
    const auto hook = static_cast<dp_hook>(choice >> 1 & 3);
    auto packet = build(good[input.byte() % good.size()]);
    for (unsigned patches = choice >> 4; patches > 0; --patches) {
      const auto at = static_cast<std::size_t>(input.byte()) % packet.size();
      packet[at] = input.byte();
    }
    if ((choice & 8) != 0) {
      // As a sender would have sent it: the lengths stand, the checksums are right.
      if (const auto fields = simulator::parse(packet); fields) packet = build(*fields);
    }
    const auto resized = input.byte();
    if (resized >= 0xf0) packet.resize(packet.size() - (resized & 15) % packet.size());
    judge(hook, packet);
  }

  void judge(dp_hook hook, const simulator::Packet& packet) {
    const auto ifindex = hook >= DP_HOOK_from_netdev ? uplink : web.ifindex;
    const auto output = datapath->run({hook, ifindex, 0, packet});
    if (!output) return;  // shorter than TEST_RUN takes
    const auto& verdict = output->verdict;
    decided[(hook << 14 | verdict.kind << 10 | verdict.ct_state << 7 | verdict.flags << 1 |
             verdict.reason << 5) &
            0xffff]++;
    const auto require = [&](bool holds, const char* what) {
      if (holds) return;
      fmt::print(stderr, "{}: hook {} kind {} reason {} action {}\nin  {:02x}\nout {:02x}\n", what,
                 kernel::hook_name(hook), static_cast<unsigned>(verdict.kind),
                 kernel::drop_name(verdict.reason), output->action, fmt::join(packet, ""),
                 fmt::join(output->packet, ""));
      std::abort();
    };
    const Outcome outcome{output->action, verdict, output->packet};
    require(verdict.kind != DP_VERDICT_NONE, "the record is incomplete");
    require(static_cast<bool>(is(outcome, static_cast<dp_verdict_kind>(verdict.kind))),
            "the action is not the record's");
    if (verdict.kind == DP_VERDICT_DROP) {
      require(std::string_view(kernel::drop_name(verdict.reason)) != "?", "an unknown reason");
      require(verdict.reason != DP_DROP_WRITE_ERROR, "the kernel refused a write");
      return;
    }
    if (verdict.kind == DP_VERDICT_WIRE || verdict.kind == DP_VERDICT_LOCAL)
      require(output->packet.size() == packet.size(), "the length changed");
    const auto before = simulator::parse(packet);
    if (!before || !before->checksums_ok) return;
    const auto after = simulator::parse(output->packet);
    require(after.has_value(), "what was readable is not any more");
    require(after->checksums_ok, "a right checksum became wrong");
  }

  std::vector<PacketFields> v4_, v6_;
  unsigned inputs_ = 0;
};

}  // namespace
}  // namespace waggle::bpf

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static waggle::bpf::World world;
  world.run_input({data, size});
  return 0;
}
