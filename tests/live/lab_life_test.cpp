// What happens to open connections when the cluster changes, the agent dies, the lab ends.

#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "lab_fixture.h"
#include "waggle/abi/drop_reasons.h"

namespace waggle::simulator {
namespace {

using Outcome = ProbeResult::Outcome;
using std::chrono::milliseconds;
using Kind = kube::Change::Kind;

constexpr Family families[] = {Family::v4, Family::v6};

class LabLife : public LabTest {
 protected:
  static Connection open_connection(const std::string& from, const Address& to,
                                    std::uint16_t port) {
    auto connection = lab().connect({.from = pod(from), .to = to, .port = port});
    WAGGLE_ASSERT(connection.has_value());
    return *std::move(connection);
  }
};

TEST_F(LabLife, ARevokedPolicyBitesOnTheNextPacketOfAnOpenConnection) {
  for (const auto family : families) {
    auto open = open_connection("web", address_of("api-1", family), 8080);
    ASSERT_EQ(open.ask().by, "shop/api-1");
    change({policy_change("closed", Kind::upserted)});
    drop_events(0);
    EXPECT_EQ(open.ask(milliseconds(300)).outcome, Outcome::timed_out);
    EXPECT_GE(drop_events(DP_DROP_POLICY_DENIED), 1U);
    change({policy_change("closed", Kind::deleted)});
    EXPECT_EQ(probe(pod("web"), address_of("api-1", family), 8080).by, "shop/api-1");
  }
}

TEST_F(LabLife, ARemovedBackendGetsNoNewConnectionsAndComesBack) {
  const auto before = lab().cluster();
  change(pod_removed(before, "api-1"));
  for (const auto family : families) {
    std::set<std::string> by;
    for (int i = 0; i < 16; ++i) by.insert(probe(pod("web"), service("api", family), 80).by);
    EXPECT_EQ(by, (std::set<std::string>{"shop/api-0"}));
  }
  std::vector<kube::Change> back{
      {.kind = Kind::upserted, .object = before.pods.at({"shop", "api-1"})}};
  for (const auto& [key, slice] : before.endpoint_slices)
    back.push_back({.kind = Kind::upserted, .object = slice});
  change(back);
  for (const auto family : families)
    EXPECT_EQ(probe(pod("web"), address_of("api-1", family), 8080).by, "shop/api-1");
}

TEST_F(LabLife, ARestartedAgentBreaksNoConnection) {
  std::vector<Connection> open;
  for (const auto family : families)
    for (int i = 0; i < 8; ++i) {
      open.push_back(open_connection("web", service("api", family), 80));
      ASSERT_EQ(open.back().ask().outcome, Outcome::answered);
    }
  for (const auto& name : {"node-a", "node-b"}) {
    const auto restarted = lab().restart_agent(name);
    ASSERT_TRUE(restarted.has_value()) << text_of(restarted.error());
  }
  const auto broken = std::ranges::count_if(
      open, [](Connection& c) { return c.ask().outcome != Outcome::answered; });
  EXPECT_EQ(broken, 0);
  EXPECT_EQ(probe(pod("web"), address_of("vault", Family::v4), 443).outcome, Outcome::timed_out);
}

TEST_F(LabLife, TrafficIsCountedInRequestsAndInBits) {
  Traffic traffic{.kind = Traffic::Kind::requests,
                  .from = {"shop", "web"},
                  .to = service("api", Family::v4),
                  .port = 80,
                  .duration = milliseconds(300),
                  .parallel = 2};
  for (const auto kind : {Traffic::Kind::requests, Traffic::Kind::connections}) {
    traffic.kind = kind;
    const auto result = lab().traffic(traffic);
    ASSERT_TRUE(result.has_value()) << text_of(result.error());
    EXPECT_GT(result->requests_per_second, 10);
    EXPECT_EQ(result->errors, 0U);
    EXPECT_LE(result->p50_us, result->p99_us);
    EXPECT_EQ(result->drops.size(), 0U);
  }
  traffic.kind = Traffic::Kind::datagrams;
  traffic.port = 53;
  const auto datagrams = lab().traffic(traffic);
  ASSERT_TRUE(datagrams.has_value()) << text_of(datagrams.error());
  EXPECT_GT(datagrams->requests, 0U);
  traffic.kind = Traffic::Kind::stream;
  traffic.to = address_of("api-1", Family::v4);
  traffic.port = 0;
  const auto stream = lab().traffic(traffic);
  ASSERT_TRUE(stream.has_value()) << text_of(stream.error());
  EXPECT_GT(stream->bits_per_second, 1e6);
}

TEST_F(LabLife, DeniedTrafficIsCountedAsErrorsAndDropsByReason) {
  const auto result = lab().traffic({.kind = Traffic::Kind::connections,
                                     .from = {"shop", "web"},
                                     .to = address_of("vault", Family::v4),
                                     .port = 443,
                                     .duration = milliseconds(50)});
  ASSERT_TRUE(result.has_value()) << text_of(result.error());
  EXPECT_GE(result->errors, 1U);
  EXPECT_EQ(result->requests_per_second, 0);
  EXPECT_GE(result->drops.at("POLICY_DENIED"), 1U);
}

TEST_F(LabLife, AStreamThatIsDeniedIsAnErrorThatNamesTheDrops) {
  const auto result = lab().traffic({.kind = Traffic::Kind::stream,
                                     .from = {"shop", "web"},
                                     .to = address_of("vault", Family::v4),
                                     .port = 0});
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().what.find("POLICY_DENIED"), std::string::npos)
      << text_of(result.error());
}

TEST_F(LabLife, AnotherProcessMayOpenItAndProbe) {
  const auto opened = Lab::open(lab().layout().name);
  ASSERT_TRUE(opened.has_value()) << text_of(opened.error());
  EXPECT_EQ((*opened)->layout(), lab().layout());
  const auto result =
      (*opened)->probe({.from = pod("web"), .to = address_of("api-0", Family::v6), .port = 8080});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->by, "shop/api-0");
  const auto metrics = (*opened)->metrics();
  ASSERT_TRUE(metrics.has_value()) << text_of(metrics.error());
  EXPECT_FALSE(metrics->empty());
  EXPECT_EQ((*opened)->exec(pod("web"), {"true"}).value_or(-1), 0);
  EXPECT_EQ((*opened)->exec(pod("web"), {"false"}).value_or(-1), 1);
}

TEST_F(LabLife, ANameInUseIsAnErrorAndHurtsNobody) {
  const auto second = Lab::up(lab().layout().name, lab_cluster(), {});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().front().kind, Error::Kind::bad_input);
  EXPECT_EQ(probe(pod("web"), address_of("api-0", Family::v4), 8080).by, "shop/api-0");
}

std::vector<std::string> left_of(const std::string& name) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/run/netns"))
    if (const auto file = entry.path().filename().string();
        file.starts_with("waggle." + name + "."))
      found.push_back(file);
  for (const auto* folder : {"/run/waggle/", "/sys/fs/bpf/waggle/"})
    if (std::filesystem::exists(folder + name)) found.push_back(folder + name);
  return found;
}

TEST(LabEnd, LeavesNothingBehind) {
  const auto name = lab_name("end");
  {
    const auto lab = Lab::up(name, lab_cluster(), {});
    ASSERT_TRUE(lab.has_value()) << text_of(lab.error());
    EXPECT_FALSE(left_of(name).empty());
  }
  EXPECT_TRUE(left_of(name).empty()) << left_of(name).front();
}

TEST(LabEnd, DownFindsWhatACrashLeft) {
  const auto name = lab_name("crash");
  const pid_t child = fork();
  if (child == 0) {  // dies with everything up
    const auto lab = Lab::up(name, lab_cluster(), {});
    _exit(lab.has_value() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(left_of(name).empty());
  EXPECT_EQ(std::ranges::count(Lab::list(), name), 1);
  EXPECT_TRUE(Lab::down(name).has_value());
  EXPECT_TRUE(left_of(name).empty());
  const auto again = Lab::down(name);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().kind, Error::Kind::not_found);
}

TEST(LabServer, OutlivesTheLabsOwnerUntilDown) {
  const auto name = lab_name("server");
  LabOptions options;
  options.serve = false;
  auto lab = Lab::up(name, lab_cluster(), options);
  ASSERT_TRUE(lab.has_value()) << text_of(lab.error());
  const auto to = (*lab)->layout().pods.at({"shop", "api-1"}).addresses.at(0);
  const Probe call{.from = pod("web"), .to = to, .port = 8080};
  EXPECT_EQ((*lab)->probe(call)->outcome, Outcome::refused);
  const auto started = start_server_process(name, {"/proc/self/exe", "serve", name});
  ASSERT_TRUE(started.has_value()) << text_of(started.error());
  (*lab)->keep();
  lab->reset();
  const auto opened = Lab::open(name);
  ASSERT_TRUE(opened.has_value()) << text_of(opened.error());
  EXPECT_EQ((*opened)->probe(call)->by, "shop/api-1");
  EXPECT_TRUE(Lab::down(name).has_value());
  EXPECT_TRUE(left_of(name).empty());
  EXPECT_GT(waitpid(-1, nullptr, WNOHANG), 0) << "the server process still runs";
}

TEST(LabEnd, AFailureOnTheWayUpIsTakenBack) {
  const auto name = lab_name("half");
  LabOptions options;
  options.entries_max = {{agent::TableId::ipcache, 1}};  // loads, and cannot hold the cluster
  const auto lab = Lab::up(name, lab_cluster(), options);
  ASSERT_FALSE(lab.has_value());
  EXPECT_TRUE(left_of(name).empty()) << left_of(name).front();
}

/// Drops capabilities of the calling process.
void drop(std::initializer_list<unsigned> numbers) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  WAGGLE_ASSERT(syscall(SYS_capget, &header, data.data()) == 0);
  for (const auto number : numbers) {
    const auto bit = ~(1U << number % 32U);
    data.at(number / 32U).effective &= bit;
    data.at(number / 32U).permitted &= bit;
    data.at(number / 32U).inheritable &= bit;
  }
  WAGGLE_ASSERT(syscall(SYS_capset, &header, data.data()) == 0);
}

TEST(LabEnd, WithoutThePrivilegeItSaysSoAndWhich) {
  for (const auto number : {CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN}) {
    const pid_t child = fork();
    if (child == 0) {
      drop({static_cast<unsigned>(number)});
      const auto lab = Lab::up(lab_name("poor"), lab_cluster(), {});
      const bool right = !lab.has_value() && lab.error().front().kind == Error::Kind::unsupported &&
                         lab.error().front().what.find("CAP_") != std::string::npos;
      _exit(right ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0) << "capability " << number;
  }
}

TEST(LabEnd, ANameThatIsNoneIsRefused) {
  for (const auto* name : {"", "a/b", "Up", "waggle.x"}) {
    const auto lab = Lab::up(name, lab_cluster(), {});
    ASSERT_FALSE(lab.has_value());
    EXPECT_EQ(lab.error().front().kind, Error::Kind::bad_input);
  }
}

}  // namespace
}  // namespace waggle::simulator
