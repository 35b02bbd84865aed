// The only place that catches what Z3 throws.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "prover.h"

namespace waggle::verifier {

const char* to_string(State state) {
  switch (state) {
    case State::proved:
      return "proved";
    case State::violated:
      return "violated";
    case State::undecided:
      return "undecided";
  }
  return "?";
}

std::string CounterexamplePacket::to_line() const {
  const auto end = [](const Address& address, std::uint16_t port) {
    return address.family() == Family::v4 ? fmt::format("{}:{}", address.to_string(), port)
                                          : fmt::format("[{}]:{}", address.to_string(), port);
  };
  const std::string name = protocol == 6     ? "TCP"
                           : protocol == 17  ? "UDP"
                           : protocol == 132 ? "SCTP"
                                             : fmt::format("protocol {}", protocol);
  return fmt::format("{} > {} {}", end(source, source_port), end(destination, destination_port),
                     name);
}

std::string Counterexample::to_text() const {
  const std::string sides = fmt::format("wanted: {}; found: {}", wanted, found);
  return packet ? fmt::format("{}; {}", packet->to_line(), sides) : sides;
}

bool Answer::confirmed() const {
  return replay && counterexample && counterexample->packet &&
         replay->admitted == counterexample->packet->tables_admit;
}

State Prover::refute(const z3::expr& violation) {
  const z3::expr simple = violation.simplify();
  if (simple.is_false()) return State::proved;
  z3::solver solver(context_, "QF_BV");
  z3::params params(context_);
  params.set("timeout", timeout_ms_);
  solver.set(params);
  solver.add(simple);
  switch (solver.check()) {
    case z3::unsat:
      return State::proved;
    case z3::sat:
      model_ = solver.get_model();
      return State::violated;
    case z3::unknown:
      break;
  }
  return State::undecided;
}

std::uint64_t Prover::model_value(const z3::expr& e) const {
  return model_->eval(e, true).get_numeral_uint64();
}

bool Prover::model_holds(const z3::expr& e) const { return model_->eval(e, true).is_true(); }

z3::expr Prover::number(u128 value, unsigned bits) {
  if (bits <= 64) return context_.bv_val(static_cast<std::uint64_t>(value), bits);
  return z3::concat(context_.bv_val(static_cast<std::uint64_t>(value >> 64), bits - 64),
                    context_.bv_val(static_cast<std::uint64_t>(value), 64))
      .simplify();
}

z3::expr Prover::either(const z3::expr_vector& any) {
  return any.empty() ? context_.bool_val(false) : z3::mk_or(any);
}

namespace {

Answer judge_one(const Obligation& obligation, Prover& prover) {
  const auto start = std::chrono::steady_clock::now();
  Answer answer;
  answer.id = obligation.id;
  answer.property = obligation.property;
  answer.subject = obligation.subject;
  answer.where = obligation.where;
  try {
    Finding finding = obligation.ask(prover);
    answer.state = finding.state;
    answer.counterexample = std::move(finding.counterexample);
    answer.detail = std::move(finding.detail);
  } catch (const z3::exception& e) {
    answer.state = State::undecided;
    answer.detail = fmt::format("Z3: {}", e.msg());
  }
  answer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return answer;
}

}  // namespace

std::vector<Answer> judge(std::span<const Obligation> obligations, const JudgeOptions& options) {
  std::vector<Answer> answers(obligations.size());
  const std::size_t wanted =
      options.threads ? options.threads : std::thread::hardware_concurrency();
  const std::size_t threads =
      std::clamp<std::size_t>(wanted, 1, std::max<std::size_t>(1, obligations.size()));
  std::atomic<std::size_t> next = 0;
  std::size_t judged = 0;
  std::mutex progress;
  const auto work = [&] {
    Prover prover(options.timeout_ms);
    for (std::size_t i = next++; i < obligations.size(); i = next++) {
      answers[i] = judge_one(obligations[i], prover);
      const std::lock_guard lock(progress);
      ++judged;
      if (options.progress) options.progress(judged);
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
    work();
  }
  return answers;
}

void replay_violations(std::span<Answer> answers, const Replay& replay) {
  for (Answer& answer : answers) {
    if (answer.state != State::violated || !answer.counterexample) continue;
    if (!answer.counterexample->packet) continue;
    auto outcome = replay(*answer.counterexample->packet);
    if (outcome) {
      answer.replay = std::move(*outcome);
    } else {
      answer.replay_error = to_string(outcome.error());
    }
  }
}

}  // namespace waggle::verifier
