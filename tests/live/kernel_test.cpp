// The loader and its tables on a real kernel: adoption, batches, attachments, nothing left behind.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "waggle/abi/drop_reasons.h"
#include "waggle/agent/compile.h"
#include "waggle/kernel/datapath.h"

namespace waggle::kernel {
namespace {

using agent::Bytes;
using agent::TableId;
using agent::TableOp;
using testing::HasSubstr;
using testing::IsEmpty;

dp_addr address(std::uint32_t host) { return agent::to_abi(Address::v4(0x0a000000U + host)); }

TableOp put_ipcache(std::uint32_t host, std::uint32_t identity) {
  TableOp op;
  op.table = TableId::ipcache;
  op.key = Bytes::of(dp_ipcache_key{0, address(host)});
  op.value = Bytes::of(dp_ipcache{identity, 1});
  return op;
}

LoadOptions small_tables() {
  LoadOptions options;
  options.entries_max = {{TableId::conntrack, 1024},   {TableId::maglev, 4096},
                         {TableId::ipcache, 8192},     {TableId::services, 1024},
                         {TableId::backends, 1024},    {TableId::policy, 1024},
                         {TableId::reverse_nat, 1024}, {TableId::affinity, 1024}};
  return options;
}

/// A network namespace of its own with one veth pair, for this test only.
class Kernel : public testing::Test {
 protected:
  void SetUp() override {
    outside_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    ASSERT_EQ(std::system("ip link add wg0 type veth peer name wg1 && ip link set wg0 up && "
                          "ip link set wg1 up"),
              0);
    device_ = if_nametoindex("wg0");
    while (!is_running("wg0") || !is_running("wg1"))
      usleep(1000);  // linkwatch works in its own time
  }
  static bool is_running(const char* name) {
    const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    const int failed = ioctl(any, SIOCGIFFLAGS, &request);
    close(any);
    return failed == 0 && (request.ifr_flags & IFF_RUNNING) != 0;
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(pins_, ignored);
    setns(outside_, CLONE_NEWNET);
    close(outside_);
  }
  Result<std::unique_ptr<Datapath>> load(bool pinned, bool tcx = true) {
    auto options = small_tables();
    options.tcx = tcx;
    if (pinned) options.pin_directory = pins_;
    return Datapath::load(options);
  }
  /// A frame of no known protocol out of wg1, so that wg0's ingress judges it.
  static void send_from_peer() {
    const int raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(if_nametoindex("wg1"));
    const std::array<std::uint8_t, 64> frame{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};
    ASSERT_EQ(
        sendto(raw, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)),
        static_cast<ssize_t>(frame.size()));
    close(raw);
  }
  static std::uint64_t judged(const Datapath& datapath) {
    const auto metrics = datapath.metrics().value();
    const auto drop = metrics.find(
        dp_metric_index(DP_HOOK_from_container, DP_VERDICT_DROP, DP_DROP_UNSUPPORTED_L2));
    return drop == metrics.end() ? 0 : drop->second.packets;
  }
  /// What `tc` and `bpftool` see on the device; empty when nothing is attached.
  static std::string seen(const char* command) {
    std::string text;
    FILE* pipe = popen(command, "r");
    for (std::array<char, 256> line{}; fgets(line.data(), line.size(), pipe) != nullptr;)
      text += line.data();
    pclose(pipe);
    return text;
  }

  int outside_ = -1;
  std::uint32_t device_ = 0;
  std::filesystem::path pins_ = "/sys/fs/bpf/waggle_kernel_test_" + std::to_string(getpid());
};

TEST_F(Kernel, LoadsAndSaysWhatItCosts) {
  const auto datapath = load(false);
  ASSERT_TRUE(datapath.has_value()) << to_string(datapath.error());
  const auto figures = (*datapath)->figures();
  ASSERT_EQ(figures->size(), DP_HOOK_COUNT);
  for (const auto& program : *figures) {
    std::printf("%s: %u instructions, %u verified, %u stack bytes\n", program.name.c_str(),
                program.instructions, program.instructions_verified, program.stack_bytes);
    EXPECT_GT(program.instructions, 0U) << program.name;
    EXPECT_GE(program.instructions_verified, program.instructions / 2) << program.name;
    EXPECT_LE(program.stack_bytes, 512U) << program.name;
  }
  EXPECT_GT((*datapath)->map_bytes(), 0U);
}

TEST_F(Kernel, EveryPacketLeavesARecordAndAnEvent) {
  const auto datapath = load(false);
  ASSERT_TRUE(datapath.has_value()) << to_string(datapath.error());
  const Packet packet(64, 0);
  const auto output =
      (*datapath)->run({.hook = DP_HOOK_from_container, .ifindex = device_, .packet = packet});
  ASSERT_TRUE(output.has_value()) << to_string(output.error());
  EXPECT_EQ(output->verdict.kind, DP_VERDICT_DROP);
  EXPECT_STREQ(drop_name(output->verdict.reason), "UNSUPPORTED_L2");
  const auto events = (*datapath)->read_events();
  ASSERT_EQ(events->size(), 1U);
  EXPECT_TRUE(agent::same_bytes(events->front().verdict, output->verdict));
  EXPECT_EQ(events->front().ifindex, device_);
  const auto metrics = (*datapath)->metrics();
  ASSERT_EQ(metrics->size(), 1U);
  EXPECT_EQ(metrics->begin()->second.packets, 1U);
  EXPECT_THAT(*(*datapath)->read_events(), IsEmpty());
}

TEST_F(Kernel, SinkWritesARunWithOneSystemCall) {
  const auto datapath = load(false);
  std::vector<TableOp> ops;
  for (std::uint32_t host = 0; host < 4000; ++host) ops.push_back(put_ipcache(host, 256 + host));
  ASSERT_TRUE((*datapath)->sink().apply(ops).has_value());
  EXPECT_EQ((*datapath)->sink_operations(), 4000U);
  EXPECT_EQ((*datapath)->sink_system_calls(), 1U);
  EXPECT_EQ((*datapath)->agent_tables()->ipcache.size(), 4000U);
  for (auto& op : ops) op = op.inverse();
  ASSERT_TRUE((*datapath)->sink().apply(ops).has_value());
  EXPECT_THAT((*datapath)->agent_tables()->ipcache, IsEmpty());
}

TEST_F(Kernel, SinkSaysWhichTableIsFullAndHowFarItCame) {
  auto options = small_tables();
  options.entries_max[TableId::ipcache] = 100;
  const auto datapath = Datapath::load(options);
  std::vector<TableOp> ops;
  for (std::uint32_t host = 0; host < 150; ++host) ops.push_back(put_ipcache(host, 256));
  const auto done = (*datapath)->sink().apply(ops);
  ASSERT_FALSE(done.has_value());
  EXPECT_THAT(done.error().what, HasSubstr("ipcache is full (100 entries)"));
  EXPECT_EQ((*datapath)->sink().applied(), 100U);
  EXPECT_EQ((*datapath)->agent_tables()->ipcache.size(), 100U);
}

TEST_F(Kernel, ErasingWhatIsAbsentIsAnError) {
  const auto datapath = load(false);
  auto op = put_ipcache(1, 256);
  op.old_value = op.value;
  const std::vector<TableOp> ops = {op, put_ipcache(2, 256).inverse(),
                                    put_ipcache(3, 256).inverse()};
  const auto done = (*datapath)->sink().apply(ops);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().kind, Error::Kind::not_found);
  EXPECT_EQ((*datapath)->sink().applied(), 1U);
}

TEST_F(Kernel, PositionsAndGenerationAreStoredWithoutASystemCall) {
  const auto datapath = load(false);
  std::vector<TableOp> ops(3);
  for (std::uint32_t i = 0; i < 2; ++i) {
    ops[i].kind = TableOp::Kind::store;
    ops[i].table = TableId::maglev;
    ops[i].key = Bytes::of(std::uint32_t{10 + i});
    ops[i].value = Bytes::of(std::uint32_t{77 + i});
  }
  ops[2].kind = TableOp::Kind::generation;
  ops[2].value = Bytes::of(std::uint32_t{9});
  ASSERT_TRUE((*datapath)->sink().apply(ops).has_value());
  EXPECT_EQ((*datapath)->sink_system_calls(), 0U);
  EXPECT_EQ((*datapath)->node().policy_generation, 9U);
  // Through the system call too: the mapping has the kernel's own element distance.
  const auto position = (*datapath)->find(TableId::maglev, Bytes::of(std::uint32_t{11}));
  ASSERT_TRUE(position->has_value());
  EXPECT_EQ((*position)->as<dp_maglev>().backend, 78U);
  EXPECT_EQ((*datapath)->entries(TableId::maglev)->size(), 2U);
}

TEST_F(Kernel, RestartKeepsTablesConnectionsAndGeneration) {
  {
    const auto first = load(true);
    ASSERT_TRUE(first.has_value()) << to_string(first.error());
    ASSERT_TRUE((*first)->sink().apply(std::vector{put_ipcache(1, 300)}).has_value());
    dp_ct_key key{};
    key.zone = 7;
    ASSERT_TRUE((*first)->put(TableId::conntrack, Bytes::of(key), Bytes::of(dp_ct{})).has_value());
    (*first)->node().policy_generation = 41;
  }
  const auto second = load(true);
  ASSERT_TRUE(second.has_value()) << to_string(second.error());
  EXPECT_EQ((*second)->agent_tables()->ipcache.size(), 1U);
  EXPECT_EQ((*second)->agent_tables()->policy_generation, 41U);
  EXPECT_EQ((*second)->entries(TableId::conntrack)->size(), 1U);
  ASSERT_TRUE((*second)->remove().has_value());
  EXPECT_FALSE(std::filesystem::exists(pins_));
}

// Conntrack may remember the number of a backend that is gone; nobody else may get it.
TEST_F(Kernel, NumbersThatWereUsedOutliveTheirEntriesAndTheAgent) {
  TableOp backend;
  backend.table = TableId::backends;
  backend.key = Bytes::of(dp_backend_key{900});
  backend.value = Bytes::of(dp_backend{
      .address = address(1), .service = 70, .port = 0, .protocol = 6, .state = DP_BACKEND_ACTIVE});
  {
    const auto first = load(true);
    ASSERT_TRUE((*first)->sink().apply(std::vector{backend, backend.inverse()}).has_value());
  }
  const auto second = load(true);
  const auto found = (*second)->agent_tables();
  EXPECT_THAT(found->backends, IsEmpty());
  EXPECT_EQ(found->numbers_used.backend, 900U);
  EXPECT_EQ(found->numbers_used.service, 70U);
  agent::Ids ids{agent::Config{}};
  ASSERT_TRUE(ids.adopt(*found, kube::Cluster{}, agent::Config{}).has_value());
  EXPECT_EQ(ids.backends.get("somebody else"), 901U);
  EXPECT_EQ(ids.services.get("somebody else"), 71U);
  ASSERT_TRUE((*second)->remove().has_value());
  EXPECT_FALSE(std::filesystem::exists(pins_));
}

TEST_F(Kernel, PinsOfAnotherShapeAreRefusedByName) {
  {
    ASSERT_TRUE(load(true).has_value());
  }
  auto options = small_tables();
  options.pin_directory = pins_;
  options.entries_max[TableId::policy] = 2048;
  const auto second = Datapath::load(options);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().what, HasSubstr("pinned map policy has entries 1024"));
}

TEST_F(Kernel, PinsNeedABpfFileSystem) {
  auto options = small_tables();
  options.pin_directory = std::filesystem::temp_directory_path() / pins_.filename();
  const auto loaded = Datapath::load(options);
  std::filesystem::remove(*options.pin_directory);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().kind, Error::Kind::unsupported);
}

class Attaching : public Kernel, public testing::WithParamInterface<bool> {};

TEST_P(Attaching, LeavesNothingBehind) {
  const auto datapath = load(false, GetParam());
  ASSERT_TRUE(datapath.has_value()) << to_string(datapath.error());
  const auto before = seen("bpftool net show; tc qdisc show dev wg0");
  for (const auto hook : {DP_HOOK_from_container, DP_HOOK_to_container}) {
    const auto done = (*datapath)->attach(hook, device_);
    ASSERT_TRUE(done.has_value()) << to_string(done.error());
  }
  EXPECT_EQ((*datapath)->uses_tcx(), GetParam());
  if (!GetParam()) {
    EXPECT_THAT(seen("bpftool net show"), HasSubstr("from_container"));
    EXPECT_THAT(seen("tc qdisc show dev wg0"), HasSubstr("clsact"));
  }
  send_from_peer();
  EXPECT_EQ(judged(**datapath), 1U);
  ASSERT_TRUE((*datapath)->detach(DP_HOOK_from_container, device_).has_value());
  ASSERT_TRUE((*datapath)->detach(DP_HOOK_to_container, device_).has_value());
  EXPECT_EQ(seen("bpftool net show; tc qdisc show dev wg0"), before);
  EXPECT_FALSE((*datapath)->detach(DP_HOOK_to_container, device_).has_value());
  send_from_peer();
  EXPECT_EQ(judged(**datapath), 1U);
}
INSTANTIATE_TEST_SUITE_P(TcxAndClsact, Attaching, testing::Bool());

TEST_F(Kernel, PinnedAttachmentsOutliveTheAgentAndAreTakenOver) {
  {
    const auto first = load(true);
    ASSERT_TRUE((*first)->attach(DP_HOOK_from_container, device_).has_value());
  }
  send_from_peer();
  const auto second = load(true);
  EXPECT_EQ(judged(**second), 1U) << "nothing judged packets while the agent was away";
  ASSERT_TRUE((*second)->attach(DP_HOOK_from_container, device_).has_value());
  send_from_peer();
  EXPECT_EQ(judged(**second), 2U);
  EXPECT_EQ(
      std::ranges::distance(std::filesystem::directory_iterator(pins_),
                            std::filesystem::directory_iterator{}),
      static_cast<std::ptrdiff_t>(agent::all_tables().size()) + 4);  // ring, node, numbers, link
  ASSERT_TRUE((*second)->remove().has_value());
  EXPECT_FALSE(std::filesystem::exists(pins_));
  const auto third = load(true);
  ASSERT_TRUE((*third)->attach(DP_HOOK_from_container, device_).has_value());
  ASSERT_TRUE((*third)->remove().has_value());
}

TEST_F(Kernel, AttachingToNoDeviceIsAnErrorThatNamesIt) {
  const auto datapath = load(false);
  const auto done = (*datapath)->attach(DP_HOOK_to_netdev, 9999);
  ASSERT_FALSE(done.has_value());
  EXPECT_THAT(done.error().what, HasSubstr("to_netdev on device 9999"));
}

TEST_F(Kernel, ProbeFindsWhatTheseTestsUse) {
  for (const auto& row : probe()) {
    if (row.name == "BPF_PROG_TEST_RUN" || row.name == "memory-mapped arrays" ||
        row.name == "network namespaces" || row.name == "map type lpm_trie") {
      EXPECT_TRUE(row.available) << row.name << ": " << row.detail;
    }
  }
}

}  // namespace
}  // namespace waggle::kernel
