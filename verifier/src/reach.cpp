#include "waggle/verifier/reach.h"

#include <fmt/format.h>

#include <algorithm>

namespace waggle::verifier {

Reach::Reach(const PolicyQuestion& question)
    : question_(question),
      specification_(question.cluster, question.modes),
      semantics_(question.tables) {}

Result<Reach::Ends> Reach::ends(const ReachQuery& query, std::optional<Family> family) const {
  Ends out{};
  const kube::Pod** ends[] = {&out.source, &out.destination};
  const kube::ObjectKey* keys[] = {&query.source, &query.destination};
  for (int i = 0; i < 2; ++i) {
    const auto found = question_.cluster.pods.find(*keys[i]);
    if (found == question_.cluster.pods.end())
      return std::unexpected(Error{
          Error::Kind::not_found, fmt::format("there is no pod {}", keys[i]->to_string()), "", ""});
    *ends[i] = &found->second;
  }
  for (const Family candidate : {Family::v4, Family::v6}) {
    if (family && *family != candidate) continue;
    const auto of_family = [&](const Address& a) { return a.family() == candidate; };
    const auto from = std::ranges::find_if(out.source->addresses, of_family);
    const auto to = std::ranges::find_if(out.destination->addresses, of_family);
    if (from == out.source->addresses.end() || to == out.destination->addresses.end()) continue;
    out.from = *from;
    out.to = *to;
    return out;
  }
  return std::unexpected(Error{Error::Kind::not_found,
                               fmt::format("{} and {} have no address family in common",
                                           query.source.to_string(), query.destination.to_string()),
                               "", ""});
}

ReachVerdict Reach::judge_spec(const Ends& ends, const ReachQuery& query) const {
  const Verdict verdict = specification_.judge(
      ends.from, ends.to, static_cast<std::uint8_t>(query.protocol), query.port);
  const bool egress_decides = !verdict.egress.allowed;
  const Decision& decision = egress_decides ? verdict.egress : verdict.ingress;
  return {verdict.allowed(),
          fmt::format("{}: {}", egress_decides ? "egress" : "ingress", decision.text)};
}

ReachVerdict Reach::judge_tables(const Ends& ends, const ReachQuery& query) const {
  const auto protocol = static_cast<std::uint8_t>(query.protocol);
  if (specification_.pod_at(ends.from) == ends.source) {
    const auto egress = evaluate(question_, specification_, semantics_, DP_EGRESS, *ends.source,
                                 ends.to, protocol, query.port);
    if (!egress.tables_allow) return {false, "egress: " + egress.tables_text};
  }
  if (specification_.pod_at(ends.to) != ends.destination)
    return {true, "ingress: policies do not apply to this end"};
  const auto ingress = evaluate(question_, specification_, semantics_, DP_INGRESS,
                                *ends.destination, ends.from, protocol, query.port);
  return {ingress.tables_allow, "ingress: " + ingress.tables_text};
}

Result<ReachVerdict> Reach::by_spec(const ReachQuery& query) const {
  return judge_spec(TRY(ends(query, std::nullopt)), query);
}
Result<ReachVerdict> Reach::by_tables(const ReachQuery& query) const {
  return judge_tables(TRY(ends(query, std::nullopt)), query);
}
Result<ReachVerdict> Reach::by_spec(const ReachQuery& query, Family family) const {
  return judge_spec(TRY(ends(query, family)), query);
}
Result<ReachVerdict> Reach::by_tables(const ReachQuery& query, Family family) const {
  return judge_tables(TRY(ends(query, family)), query);
}

}  // namespace waggle::verifier
