#include "waggle/verifier/tables.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <memory>

#include "table_facts.h"

namespace waggle::verifier {

namespace {

constexpr std::size_t frontends_a_question = 128;

template <class Invariant, std::size_t N>
void add_obligations(std::vector<Obligation>& out, const std::shared_ptr<const TableFacts>& facts,
                     SetQuestion<Invariant, N> made) {
  const auto question = std::make_shared<const SetQuestion<Invariant, N>>(std::move(made));
  constexpr std::size_t chunk = SetQuestion<Invariant, N>::chunk;
  const std::size_t keys = question->sets[0].size();
  for (std::size_t first = 0; first < keys; first += chunk) {
    out.push_back(
        {fmt::format("{}/{}", question->name, first / chunk),
         Invariant::id,
         fmt::format("{}, {} to {} of {}", question->subject, first + 1,
                     std::min(first + chunk, keys), keys),
         {},
         [facts, question, first](Prover& prover) { return question->ask(prover, first); }});
  }
}

template <class Invariant, std::size_t N>
void add_violations(std::vector<Answer>& out, const SetQuestion<Invariant, N>& question) {
  for (const Content& content : question.sets[0]) {
    if (question.holds_for(content)) continue;
    Answer answer;
    answer.id = question.name;
    answer.property = Invariant::id;
    answer.subject = question.subject;
    answer.state = State::violated;
    answer.counterexample = question.explain(content);
    out.push_back(std::move(answer));
  }
}

// What L4 needs of a frontend's own number: the address and port that answers will carry.
struct Reverse {
  u128 address = 0;
  std::uint16_t port = 0;
  bool found = false;
};

Reverse reverse_of(const TableFacts& facts, const Frontend& frontend) {
  const dp_reverse_nat* entry = facts.reverse_of(frontend);
  if (!entry) return {};
  return {number_of(agent::from_abi(entry->address)), ntohs(entry->port),
          entry->protocol == frontend.key.protocol};
}

Counterexample not_inverse(const TableFacts& facts, const Frontend& frontend) {
  const dp_reverse_nat* entry = facts.reverse_of(frontend);
  std::string back = "nothing";
  if (entry) {
    back = fmt::format("{} port {} protocol {}", agent::from_abi(entry->address).to_string(),
                       ntohs(entry->port), entry->protocol);
  }
  return {facts.packet_to(frontend, true),
          fmt::format("answers of {} come from that address and port", frontend.text),
          fmt::format("reverse_nat of its number {} has {}", frontend.value.frontend, back)};
}

// The client is any address and port, the backend any; only the frontend is one of the chunk's.
Finding ask_l4(const TableFacts& facts, std::size_t first, Prover& prover) {
  auto& z3 = prover.z3();
  const auto address = [&](const char* name) { return z3.bv_const(name, 128); };
  const auto port = [&](const char* name) { return z3.bv_const(name, 16); };
  const L4::Facts<z3::expr, z3::expr, z3::expr> f{
      {address("client"), address("frontend"), port("client_port"), port("frontend_port")},
      address("backend"),
      address("hairpin"),
      address("reverse"),
      port("backend_port"),
      port("reverse_port"),
      z3.bool_const("reverse_found")};
  const auto& all = facts.frontends();
  const std::size_t end = std::min(first + frontends_a_question, all.size());
  z3::expr_vector one(z3);
  for (std::size_t i = first; i < end; ++i) {
    const Reverse reverse = reverse_of(facts, all[i]);
    one.push_back(f.sent.destination ==
                      prover.number(number_of(agent::from_abi(all[i].key.address))) &&
                  f.sent.destination_port == prover.number(ntohs(all[i].key.port), 16) &&
                  f.reverse_address == prover.number(reverse.address) &&
                  f.reverse_port == prover.number(reverse.port, 16) &&
                  f.reverse_found == z3.bool_val(reverse.found));
  }
  const State state = prover.refute(prover.either(one) && !L4::holds(f));
  if (state == State::proved) return {state, {}, fmt::format("{} frontends", end - first)};
  if (state == State::undecided) return {state, {}, "Z3 gave no answer in time"};
  for (std::size_t i = first; i < end; ++i) {
    if (prover.model_holds(one[static_cast<unsigned>(i - first)]))
      return {State::violated, not_inverse(facts, all[i]), ""};
  }
  return {State::undecided, {}, "Z3's model names no frontend"};
}

// Two clients stand for all: one that is not the backend, and the backend itself.
bool l4_holds(const TableFacts& facts, const Frontend& frontend) {
  const Reverse reverse = reverse_of(facts, frontend);
  constexpr u128 backend = 2, hairpin = 3;
  for (const u128 client : {static_cast<u128>(1), backend}) {
    const L4::Facts<bool, u128, std::uint16_t> f{
        {client, number_of(agent::from_abi(frontend.key.address)), 40000, ntohs(frontend.key.port)},
        backend,
        hairpin,
        reverse.address,
        8080,
        reverse.port,
        reverse.found};
    if (!L4::holds(f)) return false;
  }
  return true;
}

}  // namespace

std::vector<Obligation> table_obligations(const Snapshot& snapshot) {
  const auto facts = std::make_shared<const TableFacts>(snapshot);
  std::vector<Obligation> out;
  add_obligations(out, facts, facts->l1());
  add_obligations(out, facts, facts->l2());
  const std::size_t frontends = facts->frontends().size();
  for (std::size_t first = 0; first < frontends; first += frontends_a_question) {
    out.push_back({fmt::format("L4/{}", first / frontends_a_question),
                   L4::id,
                   fmt::format("frontends {} to {} of {}", first + 1,
                               std::min(first + frontends_a_question, frontends), frontends),
                   {},
                   [facts, first](Prover& prover) { return ask_l4(*facts, first, prover); }});
  }
  add_obligations(out, facts, facts->l4_open());
  for (auto& question : facts->l6()) add_obligations(out, facts, std::move(question));
  for (auto& question : facts->l7()) add_obligations(out, facts, std::move(question));
  return out;
}

std::vector<Answer> check_tables(const Snapshot& snapshot) {
  const TableFacts facts(snapshot);
  std::vector<Answer> out;
  add_violations(out, facts.l1());
  add_violations(out, facts.l2());
  for (const Frontend& frontend : facts.frontends()) {
    if (l4_holds(facts, frontend)) continue;
    Answer answer;
    answer.id = answer.property = L4::id;
    answer.subject = frontend.text;
    answer.state = State::violated;
    answer.counterexample = not_inverse(facts, frontend);
    out.push_back(std::move(answer));
  }
  add_violations(out, facts.l4_open());
  for (const auto& question : facts.l6()) add_violations(out, question);
  for (const auto& question : facts.l7()) add_violations(out, question);
  return out;
}

}  // namespace waggle::verifier
