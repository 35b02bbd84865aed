// Workloads stand for their pods.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "describe.h"

namespace waggle::kube {
namespace {

std::string workload(std::string_view kind, std::string_view name,
                     std::string_view more = "replicas: 2", std::string_view meta = "") {
  const bool job = kind == "Job";
  return fmt::format(
      "---\n{{apiVersion: {}/v1, kind: {}, metadata: {{name: {}{}}}, spec: {{{}{}"
      "template: {{metadata: {{labels: {{app: {}}}}}, spec: {{containers: [{{ports: "
      "[{{name: http, containerPort: 80}}]}}]}}}}}}}}\n",
      job ? "batch" : "apps", kind, name, meta, more, more.empty() ? "" : ", ", name);
}

std::string with_selector(std::string_view kind, std::string_view name,
                          std::string_view more = "replicas: 2, ", std::string_view meta = "") {
  return workload(kind, name, fmt::format("{}selector: {{matchLabels: {{app: {}}}}}", more, name),
                  meta);
}

std::string pod(std::string_view name, std::string_view labels, std::string_view owner = "") {
  const auto owners =
      owner.empty()
          ? std::string()
          : fmt::format(", ownerReferences: [{{kind: {}, name: {}, controller: true}}]",
                        owner.substr(0, owner.find('/')), owner.substr(owner.find('/') + 1));
  return fmt::format("---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {}, labels: {}{}}}}}\n",
                     name, labels, owners);
}

std::string names(const Cluster& cluster) {
  std::string all;
  for (const auto& [key, one] : cluster.pods) all += key.name + " ";
  return all;
}

/// By way of read_cluster(), which keeps workloads.
Cluster from_file(std::string_view text) {
  const auto path = std::filesystem::temp_directory_path() /
                    fmt::format("waggle-kube-workloads-{}.yaml", getpid());
  std::ofstream(path) << text;
  auto read = read_cluster(std::array{path});
  std::filesystem::remove(path);
  EXPECT_TRUE(read.has_value()) << lines_of(read.error());
  if (!read) return {};
  const auto done = complete(*read);
  EXPECT_TRUE(done.has_value()) << lines_of(done.error());
  return std::move(*read);
}

TEST(Workloads, MakeNumberedPodsWithTheTemplatesLabelsAndPorts) {
  for (const auto* kind : {"Deployment", "StatefulSet", "ReplicaSet"}) {
    const auto cluster = from_file(with_selector(kind, "web"));
    EXPECT_EQ(names(cluster), "web-0 web-1 ") << kind;
    const auto& made = cluster.pods.at({"default", "web-1"});
    EXPECT_EQ(made.meta.labels.at("app"), "web");
    EXPECT_EQ(made.meta.controller, std::string(kind) + "/web");
    EXPECT_EQ(made.ports.at(0).name, "http");
    EXPECT_EQ(made.addresses.size(), 2U);
    EXPECT_TRUE(made.ready);
  }
}

TEST(Workloads, AreTheSameByWayOfReadObjects) {
  EXPECT_EQ(names(completed(with_selector("Deployment", "web"))), "web-0 web-1 ");
  EXPECT_EQ(names(completed(with_selector("DaemonSet", "log", ""))), "")
      << "a DaemonSet needs nodes, which a text alone does not decide";
}

TEST(Workloads, ReplicasDefaultToOneAndMayBeNone) {
  EXPECT_EQ(names(from_file(with_selector("Deployment", "web", ""))), "web-0 ");
  EXPECT_EQ(names(from_file(with_selector("Deployment", "web", "replicas: 0, "))), "");
}

TEST(Workloads, AStatefulSetsPodsKnowTheirNameAndIndex) {
  const auto cluster = from_file(with_selector("StatefulSet", "db"));
  const auto& labels = cluster.pods.at({"default", "db-1"}).meta.labels;
  EXPECT_EQ(labels, (Labels{{"app", "db"},
                            {"apps.kubernetes.io/pod-index", "1"},
                            {"statefulset.kubernetes.io/pod-name", "db-1"}}));
}

TEST(Workloads, AJobHasAsManyPodsAsRunAtOnceAndNoneWhenItIsOver) {
  EXPECT_EQ(names(from_file(workload("Job", "j", "parallelism: 3, completions: 2"))), "j-0 j-1 ");
  EXPECT_EQ(names(from_file(workload("Job", "j", ""))), "j-0 ");
  EXPECT_EQ(names(from_file(workload("Job", "j", "suspend: true"))), "");
  const auto over =
      "---\n{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {}}, "
      "status: {conditions: [{type: Complete, status: \"True\"}]}}\n";
  EXPECT_EQ(names(from_file(over)), "");
}

TEST(Workloads, ADaemonSetHasAPodOnEachMatchingNode) {
  EXPECT_EQ(names(from_file(with_selector("DaemonSet", "log", ""))),
            "log-node-1 log-node-2 log-node-3 ");
  const std::string nodes =
      "---\n{apiVersion: v1, kind: Node, metadata: {name: a, labels: {disk: ssd}}}\n"
      "---\n{apiVersion: v1, kind: Node, metadata: {name: b}}\n";
  const std::string picky =
      "---\n{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: log}, spec: {selector: "
      "{matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {nodeSelector: {disk: "
      "ssd}, "
      "hostNetwork: true}}}}\n";
  const auto cluster = from_file(nodes + picky);
  EXPECT_EQ(names(cluster), "log-a ");
  EXPECT_EQ(cluster.pods.at({"default", "log-a"}).addresses, cluster.nodes.at({"", "a"}).addresses);
}

TEST(Workloads, MakeNoPodsWhereTheirsAreGiven) {
  EXPECT_EQ(names(from_file(with_selector("StatefulSet", "db") +
                            pod("db-0", "{app: db}", "StatefulSet/db"))),
            "db-0 ");
  EXPECT_EQ(names(from_file(with_selector("Deployment", "web") +
                            pod("web-7f-x", "{app: web}", "ReplicaSet/web-7f"))),
            "web-7f-x ");
  EXPECT_EQ(names(from_file(with_selector("Deployment", "web") + pod("lone", "{app: web}"))),
            "lone ")
      << "a pod without a controller is adopted";
  EXPECT_EQ(names(from_file(with_selector("Deployment", "web") +
                            pod("x", "{app: web}", "ReplicaSet/other-7f"))),
            "web-0 web-1 x ");
}

TEST(Workloads, AReplicaSetOfAGivenDeploymentMakesNone) {
  const auto owned = ", ownerReferences: [{kind: Deployment, name: web, controller: true}]";
  const auto set = with_selector("ReplicaSet", "web-7f", "replicas: 2, ", owned);
  EXPECT_EQ(names(from_file(with_selector("Deployment", "web") + set)), "web-0 web-1 ");
  EXPECT_EQ(names(from_file(set)), "web-7f-0 web-7f-1 ");
}

TEST(Workloads, ThatMakeTheSamePodTwiceAreRefused) {
  const auto path = std::filesystem::temp_directory_path() /
                    fmt::format("waggle-kube-workloads-twice-{}.yaml", getpid());
  std::ofstream(path) << with_selector("Deployment", "web") << with_selector("StatefulSet", "web");
  auto read = read_cluster(std::array{path});
  std::filesystem::remove(path);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(incompletion_of(*read),
            fmt::format("{0}:4: StatefulSet/web makes pod default/web-0, which {0}:2 is already "
                        "(rename one of the two)\n"
                        "{0}:4: StatefulSet/web makes pod default/web-1, which {0}:2 is already "
                        "(rename one of the two)\n",
                        path.string()));
}

TEST(Workloads, TogetherMayNotAskForMoreThanAClusterHolds) {
  const auto text = with_selector("Deployment", "a", "replicas: 150000, ") +
                    with_selector("Deployment", "b", "replicas: 150000, ");
  EXPECT_EQ(
      refusal_of(text),
      "test.yaml:4: the workloads up to Deployment default/b ask for more than 200000 pods\n");
}

}  // namespace
}  // namespace waggle::kube
