// One endpoint's change costs the same among 1,000 and 10,000 services.

#include <gtest/gtest.h>

#include "world.h"

namespace waggle::agent {
namespace {

struct Cost {
  std::size_t map_operations = 0;
  std::size_t stores = 0;
  Compiler::Work work;
  bool operator==(const Cost&) const = default;
};

Cost cost_of(const std::vector<TableOp>& ops, const Compiler::Work& work) {
  Cost cost{.map_operations = 0, .stores = 0, .work = work};
  for (const auto& op : ops) {
    (op.kind == TableOp::Kind::store ? cost.stores : cost.map_operations) += 1;
  }
  return cost;
}

// Ready endpoint out, and in again.
std::vector<Cost> costs(std::size_t services, kube::Service::Algorithm algorithm) {
  Config config;
  config.maglev_positions_per_backend = 20;  // 251 positions: 10,000 tables fit the default array
  Compiler compiler(config, {});
  EXPECT_TRUE(compiler.reset(many_services(services, 10, algorithm)));
  std::vector<kube::EndpointSlice::Endpoint> members;
  for (std::size_t k = 0; k < 10; ++k) members.push_back(endpoint(many_address(7, k)));
  const auto all = upserted(slice("service-7", Family::v4, members));
  members.erase(members.begin() + 3);
  const auto fewer = upserted(slice("service-7", Family::v4, members));
  std::vector<Cost> made;
  for (const auto& change : {fewer, all}) {
    const auto ops = compiler.apply({&change, 1});
    EXPECT_TRUE(ops);
    made.push_back(cost_of(*ops, compiler.work()));
  }
  return made;
}

TEST(EndpointChange, CostsTheSameAmongTenTimesTheServices) {
  for (const auto algorithm :
       {kube::Service::Algorithm::random, kube::Service::Algorithm::maglev}) {
    const auto few = costs(1000, algorithm);
    const auto many = costs(10000, algorithm);
    EXPECT_TRUE(few == many);
    for (const auto& cost : many) {
      EXPECT_EQ(cost.work, (Compiler::Work{.services = 1, .addresses = 0, .policy_entries = 0}));
    }
  }
}

TEST(EndpointChange, OfARandomServiceIsTwoMapOperationsAndAtMostTwoStores) {
  const auto made = costs(10, kube::Service::Algorithm::random);
  EXPECT_EQ(made[0].map_operations, 2);  // frontend, backend
  EXPECT_EQ(made[0].stores, 2);          // into the hole, and the freed position
  EXPECT_EQ(made[1].map_operations, 2);
  EXPECT_EQ(made[1].stores, 1);
}

TEST(EndpointChange, OfAMaglevServiceIsOneMapOperationAndItsShareOfStores) {
  const auto made = costs(10, kube::Service::Algorithm::maglev);
  for (const auto& cost : made) {
    EXPECT_EQ(cost.map_operations, 1);  // backend; the frontend does not change
    EXPECT_GE(cost.stores, 25U);        // a tenth of 251 positions
    EXPECT_LE(cost.stores, 50U);
  }
}

}  // namespace
}  // namespace waggle::agent
