#include "judging.h"

#include "lookup.h"
#include "replay.h"
#include "waggle/verifier/policy.h"
#include "waggle/verifier/tables.h"

namespace waggle::cli {

namespace {

std::string places(const std::vector<kube::SourceRef>& where) {
  std::string text;
  for (const auto& place : where) text += (text.empty() ? "" : ", ") + place.to_string();
  return text;
}

reports::ObligationResult to_result(const verifier::Answer& answer) {
  reports::ObligationResult result{answer.id,
                                   answer.property,
                                   answer.subject,
                                   verifier::to_string(answer.state),
                                   answer.seconds,
                                   "",
                                   ""};
  if (!answer.counterexample) {
    if (answer.state == verifier::State::undecided) result.counterexample = answer.detail;
    return result;
  }
  result.counterexample = answer.counterexample->to_text();
  if (!answer.where.empty()) result.counterexample += "\nwritten at " + places(answer.where);
  if (answer.replay)
    result.replay = answer.replay->text +
                    (answer.confirmed() ? " (confirmed)" : " (NOT as the tables' semantics say)");
  else
    result.replay = answer.replay_error.empty() ? "no packet belongs to it: it is about the tables"
                                                : "not replayed: " + answer.replay_error;
  return result;
}

std::vector<verifier::Obligation> obligations_of(const Subject& subject, Question question) {
  if (question == Question::policy)
    return verifier::policy_obligations(
        {subject.cluster, subject.dump.tables, subject.nodes, {}, &subject.provenance});
  return verifier::table_obligations({subject.dump.tables,
                                      subject.has_cluster ? &subject.cluster : nullptr,
                                      &subject.provenance, subject.dump.conntrack, 0});
}

}  // namespace

Checked<std::unique_ptr<Subject>> read_subject(const ClusterOptions& cluster,
                                               const std::string& tables) {
  auto subject = std::make_unique<Subject>();
  subject->has_cluster = !cluster.paths.empty();
  if (subject->has_cluster) subject->cluster = TRY(cluster.read());
  if (!tables.empty()) {
    subject->dump = TRY(verifier::read_dump(tables));
    subject->nodes = verifier::local_nodes(subject->cluster, subject->dump.tables);
    return subject;
  }
  const agent::Config config;
  agent::Ids ids(config);
  subject->compiled = true;
  subject->nodes = node_contexts(subject->cluster);
  subject->dump.tables =
      TRY(agent::compile(subject->cluster, subject->nodes, config, ids, &subject->provenance));
  return subject;
}

std::vector<reports::ObligationResult> judge(const Subject& subject, Question question,
                                             const JudgeChoice& choice) {
  const auto obligations = obligations_of(subject, question);
  Progress progress("proving", obligations.size());
  verifier::JudgeOptions options;
  options.timeout_ms = choice.timeout_ms;
  options.progress = [&](std::size_t judged) { progress.at(judged); };
  auto answers = verifier::judge(obligations, options);
  if (choice.replay)
    verifier::replay_violations(
        answers,
        replay_on_engine(subject.cluster, subject.compiled ? nullptr : &subject.dump.tables));
  std::vector<reports::ObligationResult> results;
  for (const auto& answer : answers) results.push_back(to_result(answer));
  return results;
}

}  // namespace waggle::cli
