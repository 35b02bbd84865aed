// An agent that dies and comes back: everything it finds stays, nothing is planned again.

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>

#include "clusters.h"

namespace waggle::simulator {
namespace {

using testing::IsEmpty;

class Adoption : public testing::Test {
 protected:
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(pins_, ignored);
  }
  /// One life of node-a's agent, up to where it has written its tables.
  void start() {
    kernel::LoadOptions options;
    options.pin_directory = pins_;
    options.entries_max = {{agent::TableId::conntrack, 4096}, {agent::TableId::maglev, 65536}};
    auto loaded = kernel::Datapath::load(options);
    ASSERT_TRUE(loaded.has_value()) << to_string(loaded.error());
    datapath_ = *std::move(loaded);
    // The loopback device stands for every pod's veth.
    agent::NodeContext context{"node-a", 1, {}};
    for (const auto* name : {"client", "web-0"})
      context.attachments[{"default", name}] = {1, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    compiler_.emplace(agent::Config{}, std::vector{context});
    const auto found = datapath_->agent_tables();
    ASSERT_TRUE(found.has_value());
    auto planned = compiler_->reset(cluster_, *found);
    ASSERT_TRUE(planned.has_value()) << text_of(planned.error());
    planned_ = *std::move(planned);
    ASSERT_TRUE(datapath_->sink().apply(planned_).has_value());
    auto config = agent::node_config_for(cluster_, context, compiler_->ids(), compiler_->tables());
    ASSERT_TRUE(config.has_value());
    datapath_->node() = *config;
  }
  kernel::RunOutput send(PacketFields fields) {
    fields.source_mac = {2, 0, 0, 0, 0, 1};
    auto output = datapath_->run({DP_HOOK_from_container, 1, 0, build(fields)});
    EXPECT_TRUE(output.has_value());
    return std::move(output).value_or(kernel::RunOutput{});
  }

  std::filesystem::path pins_ = "/sys/fs/bpf/waggle_adoption_" + std::to_string(getpid());
  kube::Cluster cluster_ = small_cluster();
  std::unique_ptr<kernel::Datapath> datapath_;
  std::optional<agent::Compiler> compiler_;
  std::vector<agent::TableOp> planned_;
};

// At most the generation: remembered verdicts may be asked again, which changes none.
TEST_F(Adoption, ChangesNoTableWhenNothingHasChanged) {
  ASSERT_NO_FATAL_FAILURE(start());
  EXPECT_GT(planned_.size(), 20U);
  const auto before = datapath_->agent_tables();
  datapath_.reset();
  ASSERT_NO_FATAL_FAILURE(start());
  std::erase_if(planned_, [](const agent::TableOp& op) {
    return op.kind == agent::TableOp::Kind::generation;
  });
  EXPECT_THAT(planned_, IsEmpty());
  auto after = *datapath_->agent_tables();
  after.policy_generation = before->policy_generation;
  EXPECT_TRUE(after == *before);
  ASSERT_TRUE(datapath_->remove().has_value());
}

TEST_F(Adoption, KeepsAnEstablishedConnectionThroughAService) {
  ASSERT_NO_FATAL_FAILURE(start());
  auto fields = packet(cluster_, "client", service_of(cluster_, "web", Family::v4), 80);
  const auto opened = send(fields);
  EXPECT_EQ(opened.verdict.ct_state, DP_CT_NEW);
  ASSERT_NE(opened.verdict.backend, 0U);
  datapath_.reset();
  ASSERT_NO_FATAL_FAILURE(start());
  fields.tcp_flags = ack;
  const auto after = send(fields);
  EXPECT_EQ(after.verdict.ct_state, DP_CT_ESTABLISHED);
  EXPECT_EQ(after.verdict.backend, opened.verdict.backend);
  EXPECT_EQ(parse(after.packet)->destination, parse(opened.packet)->destination);
  ASSERT_TRUE(datapath_->remove().has_value());
}

TEST_F(Adoption, GivesABackendThatCameMeanwhileANumberThatNobodyHad) {
  ASSERT_NO_FATAL_FAILURE(start());
  const auto highest = datapath_->agent_tables()->numbers_used.backend;
  const kube::ObjectKey web{"default", "web"};
  // The agent dies after the last backend was taken out; a new pod takes its place while it is
  // away.
  auto gone = cluster_.pods.at({"default", "web-1"});
  cluster_.apply({kube::Change::Kind::deleted, gone});
  std::erase_if(cluster_.endpoint_slices,
                [&](const auto& slice) { return slice.second.service_name == "web"; });
  for (auto& slice : kube::endpoint_slices_for(cluster_, cluster_.services.at(web)))
    cluster_.apply({kube::Change::Kind::upserted, slice});
  datapath_.reset();
  ASSERT_NO_FATAL_FAILURE(start());
  gone.meta.name = "web-2";
  for (auto& address : gone.addresses) address = address.plus(100);
  cluster_.apply({kube::Change::Kind::upserted, gone});
  for (auto& slice : kube::endpoint_slices_for(cluster_, cluster_.services.at(web)))
    cluster_.apply({kube::Change::Kind::upserted, slice});
  datapath_.reset();
  ASSERT_NO_FATAL_FAILURE(start());
  std::size_t fresh = 0;
  const auto tables = datapath_->agent_tables();
  for (const auto& [key, backend] : tables->backends)
    if (std::ranges::count(gone.addresses, agent::from_abi(backend.address)) != 0) {
      EXPECT_GT(key.id, highest);
      ++fresh;
    }
  EXPECT_EQ(fresh, 4U) << "two ports, two families";
  ASSERT_TRUE(datapath_->remove().has_value());
}

}  // namespace
}  // namespace waggle::simulator
