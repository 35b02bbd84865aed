// Each rule is shown to fail on a small wrong tree and to pass a right one.

#include "rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text.h"

namespace waggle::tidy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Text, CodeOnlyKeepsPlacesAndDropsCommentsAndStrings) {
  EXPECT_EQ(code_only("a \"b//\" c // d\n/* e\nf */ 'g' 1'000"),
            "a       c     \n    \n         1'000");
  EXPECT_EQ(code_only("x = R\"(a \"quote\" { )\"; y"), "x =                  ; y");
}

TEST(Text, FunctionsAreToldFromOtherBraces) {
  const auto functions = functions_of(
      "namespace a {\nstruct B {\n  int c{3};\n  int d() const {\n    if (c) {\n    }\n  }\n};\n"
      "static int e(struct B *b)\n{\n\treturn f((int[]){1, 2});\n}\n}\n");
  ASSERT_EQ(functions.size(), 2u);
  EXPECT_EQ(functions[0].first_line, 4);
  EXPECT_EQ(functions[0].lines, 4);
  EXPECT_EQ(functions[1].first_line, 10);
}

TEST(Rules, LongLinesAreFoundByColumnNotByByte) {
  const Tree tree = {
      {"kube/src/a.cpp", std::string(101, 'x') + "\n" + repeat("é", 100) + "\n"},
      {"datapath/bpf/b.h", repeat("\t", 12) + "12345\n\tX(" + std::string(120, ' ')}};
  EXPECT_THAT(lines_fit_in_100_columns(tree),
              ElementsAre("datapath/bpf/b.h:1: 101 columns", "kube/src/a.cpp:1: 101 columns"));
}

TEST(Rules, LongFunctionsAreFound) {
  const Tree tree = {{"a.cpp", "void f() {\n" + repeat("  g();\n", 69) + "}\n"},
                     {"b.cpp", "void f() {\n" + repeat("  g();\n", 68) + "}\n"},
                     {"c.cpp", "namespace {\n" + repeat("int a;\n", 90) + "}\n"}};
  EXPECT_THAT(functions_fit_in_70_lines(tree), ElementsAre("a.cpp:1: 71 lines"));
}

TEST(Rules, ConditionalCompilationIsFoundInBpfOnly) {
  const Tree tree = {{"datapath/bpf/a.bpf.c", "#ifdef V6\n#endif\n"},
                     {"datapath/bpf/lib/b.h", "#ifndef B_H\n#define B_H\n#endif\n"},
                     {"datapath/abi/c.h", "#ifdef __cplusplus\n#endif\n"}};
  EXPECT_THAT(bpf_has_no_conditional_compilation(tree),
              ElementsAre("datapath/bpf/a.bpf.c:1: a feature is a knob in abi/config.h"));
}

TEST(Rules, ClocksAndChanceAreFoundOutsideTheirPlace) {
  const Tree tree = {{"datapath/bpf/lib/env.h", "x = bpf_ktime_get_ns();"},
                     {"datapath/bpf/lib/ct.h", "x = bpf_ktime_get_ns();"},
                     {"simulator/src/engine.cpp", "// steady_clock\nstd::random_device d;"},
                     {"cli/main.cpp", "std::chrono::steady_clock::now();"}};
  EXPECT_THAT(only_env_reads_clock_and_chance(tree),
              ElementsAre("datapath/bpf/lib/ct.h:1: bpf_ktime_get_ns: only lib/env.h reads a clock "
                          "or chance",
                          "simulator/src/engine.cpp:2: random_device: results may depend on the "
                          "seed only"));
}

TEST(Rules, LibbpfIsFoundOutsideTheKernelHalf) {
  const Tree tree = {{"simulator/src/a.cpp", "#include <bpf/libbpf.h>\n"},
                     {"datapath/agent/kernel/src/b.cpp", "#include <bpf/libbpf.h>\n"},
                     {"datapath/bpf/c.bpf.c", "#include <bpf/bpf_helpers.h>\n"}};
  EXPECT_THAT(only_the_kernel_half_sees_libbpf(tree),
              ElementsAre("simulator/src/a.cpp:1: bpf/libbpf.h belongs behind waggle/kernel/"));
}

TEST(Rules, CatchIsFoundOutsideTheRim) {
  const Tree tree = {{"kube/src/yaml.cpp", "} catch (const YAML::Exception& e) {"},
                     {"kube/src/pod.cpp", "// catch\n} catch (...) {"}};
  EXPECT_THAT(exceptions_end_at_the_rim(tree),
              ElementsAre("kube/src/pod.cpp:2: catch: errors are Results outside the rim files"));
}

TEST(Rules, WrongArrowsAreFound) {
  const Tree tree = {{"verifier/src/a.cpp", "#include \"waggle/kernel/datapath.h\"\n"},
                     {"kube/src/b.cpp", "#include \"waggle/kube/reader.h\"\n"},
                     {"reports/src/c.cpp", "#include \"waggle/kube/reader.h\"\n"}};
  EXPECT_THAT(
      folders_include_only_what_they_need(tree),
      ElementsAre("reports/src/c.cpp:1: reports/ must not need waggle/kube/reader.h",
                  "verifier/src/a.cpp:1: verifier/ must not need waggle/kernel/datapath.h"));
}

TEST(Rules, UntestedDropReasonsAreFound) {
  const std::string table = "datapath/abi/include/waggle/abi/drop_reasons.h";
  const Tree tree = {
      {table, "\tX(ONE, 1, \"a\") \\\n\tX(TWO, 2, \"b\") \\\n\tX(THREE, 3, \"c\")\n"},
      {"tests/bpf/a.cpp", "EXPECT(DP_DROP_ONE); NOT_TWO;"},
      {"scenarios/x/y.yaml", "expect: dropped THREE\n"}};
  EXPECT_THAT(every_drop_reason_is_tested(tree), ElementsAre(table + ":2: TWO is hit by no test"));
}

TEST(Rules, ScenariosWithoutWhyAreFound) {
  const Tree tree = {{"scenarios/a/b.yaml", "name: b\nwhy:\n"},
                     {"scenarios/a/c.yaml", "name: c\nwhy: because\n"},
                     {"scenarios/clusters/d.yaml", "kind: Pod\n"}};
  EXPECT_THAT(every_scenario_says_why(tree),
              ElementsAre("scenarios/a/b.yaml:1: says not why it is there (why: ...)"));
}

TEST(Rules, LeftoversAndMachinePathsAreFound) {
  const std::string leftover = std::string("FIX") + "ME";
  EXPECT_THAT(nothing_is_left_to_do({{"a.cpp", "int a;  // " + leftover + " later\n"}}),
              ElementsAre("a.cpp:1: " + leftover));
  const Tree tree = {{"README.md", std::string("cd /ho") + "me/bob/x\ncat kube/work/a\n"}};
  EXPECT_THAT(no_path_of_one_machine(tree),
              ElementsAre("README.md:1: a path that exists on one machine only"));
}

TEST(Rules, SourcesAndHeadersNobodyUsesAreFound) {
  const Tree tree = {{"kube/CMakeLists.txt", "waggle_library(kube SOURCES src/used.cpp)"},
                     {"kube/src/used.cpp", "#include \"there.h\"\n"},
                     {"kube/src/unused.cpp", ""},
                     {"kube/src/there.h", ""},
                     {"kube/src/lost.h", ""}};
  EXPECT_THAT(every_source_is_built(tree),
              ElementsAre("kube/src/unused.cpp:1: no target builds it"));
  EXPECT_THAT(every_header_is_included(tree),
              ElementsAre("kube/src/lost.h:1: no file includes it"));
}

TEST(Rules, MissingLicenceLinesAreFound) {
  const std::string licence = "/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */\n";
  const Tree tree = {{"datapath/bpf/a.bpf.c", licence}, {"datapath/bpf/lib/b.h", "int b;\n"}};
  EXPECT_THAT(bpf_files_name_their_licence(tree),
              ElementsAre("datapath/bpf/lib/b.h:1: the first line names the licence"));
}

TEST(Rules, VerbsTheReadmeForgetsAreFound) {
  const Tree tree = {
      {"README.md", "waggle regress"},
      {"cli/a.cpp", "app.add_subcommand(\"regress\"); app.add_subcommand(\"lab\");"}};
  EXPECT_THAT(readme_names_every_verb(tree),
              ElementsAre("cli/a.cpp: README.md does not name the verb lab"));
}

TEST(Rules, AWholeRightTreePasses) {
  const Tree tree = {{"kube/CMakeLists.txt", "SOURCES src/a.cpp"}, {"kube/src/a.cpp", "int a;\n"}};
  for (const auto& rule : all_rules()) {
    if (rule.name == "EveryDropReasonIsTested" || rule.name == "ReadmeNamesEveryVerb") continue;
    EXPECT_THAT(rule.check(tree), IsEmpty()) << rule.name;
  }
}

}  // namespace
}  // namespace waggle::tidy
