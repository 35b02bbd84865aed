// The rules of the tree, over the tree.

#include <gtest/gtest.h>

#include <ostream>

#include "rules.h"

namespace waggle::tidy {

/// What a failing test shows of its parameter.
void PrintTo(const Rule& rule, std::ostream* out) { *out << rule.name; }

namespace {

const Tree& the_tree() {
  static const Tree tree = read_tree(WAGGLE_SOURCE_DIR);
  return tree;
}

class Tidy : public testing::TestWithParam<Rule> {};

TEST_P(Tidy, Holds) {
  ASSERT_GT(the_tree().size(), 50u) << "the tree was not found";
  for (const auto& finding : GetParam().check(the_tree())) ADD_FAILURE() << finding;
}

INSTANTIATE_TEST_SUITE_P(Tree, Tidy, testing::ValuesIn(all_rules()),
                         [](const auto& rule) { return rule.param.name; });

}  // namespace
}  // namespace waggle::tidy
