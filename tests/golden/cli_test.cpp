// The command as a user meets it: its help, its exit codes, what it says about wrong input.
// WAGGLE_UPDATE_GOLDEN=1 writes the help texts anew.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace {

using testing::HasSubstr;
using testing::Not;

struct Ran {
  int exit = -1;
  std::string text;  ///< stdout and stderr
};

Ran run(const std::string& words) {
  const auto line = std::string(WAGGLE_COMMAND) + " " + words + " 2>&1 </dev/null";
  Ran ran;
  FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return ran;
  std::array<char, 4096> buffer{};
  while (const auto size = fread(buffer.data(), 1, buffer.size(), pipe))
    ran.text.append(buffer.data(), size);
  const int status = pclose(pipe);
  ran.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

std::string content(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

const std::filesystem::path source = WAGGLE_SOURCE_DIR;
const std::string small = (source / "scenarios/clusters/small").string();

/// A folder of the test's own that goes away with it.
class Folder {
 public:
  Folder() : path_(testing::TempDir() + "waggle-cli-" + std::to_string(getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string name(const std::string& file) const { return (path_ / file).string(); }

 private:
  std::filesystem::path path_;
};

class Help : public testing::TestWithParam<const char*> {};

TEST_P(Help, IsAsReviewed) {
  const std::string verb = GetParam();
  const auto ran = run(verb + " --help");
  EXPECT_EQ(ran.exit, 0);
  EXPECT_THAT(ran.text, HasSubstr("Example"));
  std::string name = verb.empty() ? "waggle" : verb;
  for (auto& c : name)
    if (c == ' ') c = '-';
  const auto golden = source / "tests/golden/help" / (name + ".txt");
  const char* update = std::getenv("WAGGLE_UPDATE_GOLDEN");
  if (update != nullptr && std::string(update) == "1") std::ofstream(golden) << ran.text;
  EXPECT_EQ(ran.text, content(golden)) << "review, then WAGGLE_UPDATE_GOLDEN=1";
}

INSTANTIATE_TEST_SUITE_P(Verbs, Help,
                         testing::Values("", "doctor", "regress", "reach", "explain",
                                         "prove policy", "prove tables", "tables dump",
                                         "tables check", "tables diff", "lab", "lab exec",
                                         "lab traffic"));

TEST(Command, WrongWordsAreBadInputAndPointToHelp) {
  for (const auto* words : {"", "dance", "explain", "regress --engine", "prove", "reach --nothing",
                            "explain --cluster x --from a --to b --family 5"}) {
    const auto ran = run(words);
    EXPECT_EQ(ran.exit, 2) << words;
    EXPECT_THAT(ran.text, HasSubstr("--help")) << words;
  }
}

TEST(Command, AMalformedManifestIsNamedByFileAndLine) {
  const Folder folder;
  const auto file = folder.write(
      "bad.yaml",
      "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 70000\n");
  for (const auto* verb : {"prove policy", "prove tables", "reach --engine prove",
                           "explain --from a --to b", "tables dump out"}) {
    const auto ran = run(std::string(verb) + " --cluster " + file);
    EXPECT_EQ(ran.exit, 2) << verb;
    EXPECT_THAT(ran.text, HasSubstr("bad.yaml:6: ")) << verb;
    EXPECT_THAT(ran.text, HasSubstr("70000")) << verb;
  }
}

TEST(Command, AnAbsentFileIsBadInput) {
  const auto ran = run("prove policy --cluster nowhere/at/all");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_THAT(ran.text, HasSubstr("nowhere/at/all"));
}

TEST(Command, APodThatIsNotThereIsAnsweredWithThoseThatAre) {
  const auto ran = run("explain --cluster " + small + " --from app/nobody --to app/client-0");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_THAT(ran.text, HasSubstr("there is no pod app/nobody (there are app/client-0"));
}

TEST(Command, AnUnknownKnobOrEngineIsBadInput) {
  EXPECT_EQ(run("regress --set nothing=1 " + small).exit, 2);
  EXPECT_EQ(run("regress --set policy=7 " + small).exit, 2);
  EXPECT_EQ(run("regress --engine dream " + small).exit, 2);
  EXPECT_EQ(run("regress --baseline nowhere.json").exit, 2);
}

TEST(Prove, WritesTheKeysThatOutsideReadersRelyOn) {
  const auto ran = run("prove tables --json - --cluster " + small);
  EXPECT_EQ(ran.exit, 0);
  const auto json = nlohmann::json::parse(ran.text, nullptr, false);
  ASSERT_TRUE(json.is_object()) << ran.text;
  ASSERT_GT(json["obligations"].size(), 0u);
  for (const auto& one : json["obligations"]) EXPECT_EQ(one["state"], "proved") << one["id"];
}

TEST(Reach, AWrongRowIsADisagreementWithItsReason) {
  const Folder folder;
  const auto header = std::string("src_ns,src_pod,dst_ns,dst_pod,protocol,port,verdict\n");
  const auto right = folder.write("right.csv", header + "app,client-0,app,server-0,TCP,80,allow\n");
  const auto wrong = folder.write("wrong.csv", header + "app,client-0,app,server-0,TCP,80,deny\n");
  const auto table = " --engine prove --json - --cluster " + small + " --expect ";
  EXPECT_EQ(run("reach" + table + right).exit, 0);
  const auto ran = run("reach" + table + wrong);
  EXPECT_EQ(ran.exit, 1);
  const auto json = nlohmann::json::parse(ran.text, nullptr, false);
  ASSERT_TRUE(json.is_object()) << ran.text;
  EXPECT_EQ(json["rows"], 1);
  EXPECT_EQ(json["agree"], 0);
  const auto& row = json["disagree"][0];
  EXPECT_EQ(row["src"], "app/client-0");
  EXPECT_EQ(row["expected"], "deny");
  EXPECT_EQ(row["got"], "allow");
  EXPECT_EQ(row["engine"], "prove");
  EXPECT_THAT(row["because"].get<std::string>(), Not(HasSubstr("but the objects say")));
}

TEST(Tables, ADumpIsCheckedAndADifferenceIsShown) {
  const Folder folder;
  const auto one = folder.name("one"), two = folder.name("two");
  ASSERT_EQ(run("tables dump --cluster " + small + " " + one).exit, 0);
  ASSERT_EQ(run("tables dump --cluster " + small + " " + two).exit, 0);
  EXPECT_EQ(run("tables diff " + one + " " + two).exit, 0);
  EXPECT_EQ(run("tables check --cluster " + small + " " + one).exit, 0);
  std::ofstream(two + "/backends.json") << "[]";
  const auto diff = run("tables diff " + one + " " + two);
  EXPECT_EQ(diff.exit, 1);
  EXPECT_THAT(diff.text, HasSubstr("- backends[1]"));
  const auto check = run("tables check " + two);
  EXPECT_EQ(check.exit, 1) << check.text;
  EXPECT_THAT(check.text, HasSubstr("L1"));
  EXPECT_EQ(run("prove tables --no-replay --tables " + two).exit, 1);
}

// Needs root, as `explain` does: every hop is a run of the real programs.

TEST(Explain, NamesEveryEntryThatDecidedAndTheRuleByFileAndLine) {
  const auto webshop = (source / "scenarios/clusters/webshop").string();
  const auto ran = run("explain --cluster " + webshop +
                       " --from shop/frontend --to orders/cart --port 7070/TCP");
  EXPECT_EQ(ran.exit, 0) << ran.text;
  for (const auto* text :
       {"is service orders/cart, port grpc", "orders.yaml:", "services[10.96.", "backends[",
        "rewritten   destination 10.96.", "egress allowed: shop/frontend",
        "policies.yaml:", "ingress allowed: orders/cart", "policy[", "conntrack   a new connection",
        "DELIVERED to pod orders/cart-", "and the answer", "reverse_nat["})
    EXPECT_THAT(ran.text, HasSubstr(text));
}

TEST(Explain, ARefusalNamesWhatIsolatesAndTheRuleThatWouldBeNeeded) {
  const auto webshop = (source / "scenarios/clusters/webshop").string();
  const auto ran =
      run("explain --cluster " + webshop + " --from shop/frontend --to data/redis --port 6379");
  EXPECT_EQ(ran.exit, 1) << ran.text;
  for (const auto* text :
       {"POLICY_DENIED", "isolated by shop/default-deny", "needs this rule",
        "podSelector: {matchLabels: {app: redis}}", "kubernetes.io/metadata.name: data"})
    EXPECT_THAT(ran.text, HasSubstr(text));
}

TEST(Prove, AViolationIsReplayedOnTheRealPrograms) {
  const Folder folder;
  const auto dump = folder.name("dump");
  ASSERT_EQ(run("tables dump --cluster " + small + " " + dump).exit, 0);
  std::ofstream(dump + "/policy.json") << "[]";
  const auto ran = run("prove policy --cluster " + small + " --tables " + dump);
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.text, HasSubstr("to_container on node-a: DROP POLICY_DENIED (confirmed)"));
}

TEST(Documents, TheManPageAndTheCompletionNameEveryVerb) {
  const auto man = run("man"), completion = run("completions bash");
  for (const auto* verb : {"doctor", "regress", "reach", "explain", "lab", "tables", "prove"}) {
    EXPECT_THAT(man.text, HasSubstr(std::string(".SS ") + verb));
    EXPECT_THAT(completion.text, HasSubstr(std::string("'") + verb + "')"));
  }
  EXPECT_THAT(completion.text, HasSubstr("--cluster"));
}

}  // namespace
