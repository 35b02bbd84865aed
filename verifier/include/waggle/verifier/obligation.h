#pragma once
// What has to be shown, as values; and the judging of it by Z3, apart from the deriving.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "waggle/abi/types.h"
#include "waggle/kube/objects.h"

namespace waggle::verifier {

enum class State : std::uint8_t { proved, violated, undecided };
[[nodiscard]] const char* to_string(State state);  ///< "proved"

/// A packet on which a property fails, as fields: enough to build it and to send it.
struct CounterexamplePacket {
  dp_direction direction = DP_INGRESS;  ///< which judgement it is about, seen from `pod`
  kube::ObjectKey pod;                  ///< the pod whose rules are asked; empty name: no pod
  std::string node;                     ///< where that pod is
  kube::ObjectKey from, to;             ///< the pods at the two ends; empty name: not a pod
  Address source, destination;
  std::uint8_t protocol = 6;
  std::uint16_t source_port = 40000, destination_port = 0;
  unsigned tries = 1;         ///< a choice is random: so many source ports may be needed to see it
  bool by_policy = true;      ///< P1: of the drops only policy's count; otherwise every drop does
  bool tables_admit = false;  ///< what the tables' semantics predict for `direction`

  /// "10.0.1.5:40000 > 10.0.2.7:80 TCP"
  [[nodiscard]] std::string to_line() const;
  bool operator==(const CounterexamplePacket&) const = default;
};

/// Why a property does not hold: a packet where there is one, and both sides in words.
struct Counterexample {
  std::optional<CounterexamplePacket> packet;
  std::string wanted;  ///< what the objects ask for, with the rule's file:line
  std::string found;   ///< what the tables do, with the entry
  [[nodiscard]] std::string to_text() const;
};

/// What the real object did with a counterexample's packet.
struct ReplayOutcome {
  bool admitted = false;  ///< the program that judges `direction` at `pod` let it pass
  std::string text;       ///< "from_container on node-1: DROP POLICY_DENIED"
};
/// Sends the packet through the real object. The verifier knows no kernel: the caller fills it in.
using Replay = std::function<Result<ReplayOutcome>(const CounterexamplePacket&)>;

/// What judging one obligation found.
struct Finding {
  State state = State::undecided;
  std::optional<Counterexample> counterexample;  ///< there iff violated
  std::string detail;  ///< undecided: why; proved: how many cases stand behind it
};

struct Answer {
  std::string id;
  std::string property;
  std::string subject;
  std::vector<kube::SourceRef> where;
  State state = State::undecided;
  double seconds = 0;
  std::optional<Counterexample> counterexample;
  std::string detail;
  /// Of a violated answer with a packet, once it was replayed.
  std::optional<ReplayOutcome> replay;
  std::string replay_error;  ///< why it could not be replayed; empty otherwise

  /// The real object did what the tables' semantics predicted.
  [[nodiscard]] bool confirmed() const;
};

/// Z3 behind a door: one context a thread. Seen by questions only.
class Prover;

/// One statement to be shown. Holds all that its question needs; may be asked on any thread.
struct Obligation {
  std::string id;        ///< "P1/shop/web-0/ingress/TCP/v4"
  std::string property;  ///< "P1"
  std::string subject;   ///< what it is about, in words
  std::vector<kube::SourceRef> where;
  std::function<Finding(Prover&)> ask;
};

struct JudgeOptions {
  unsigned threads = 0;         ///< 0: as many as the machine has
  unsigned timeout_ms = 30000;  ///< a single question to Z3; longer is undecided
  std::function<void(std::size_t judged)> progress = {};  ///< called from one thread at a time
};

/// Judges all, in parallel; answers come in the obligations' order. No exception leaves it: what
/// Z3 throws makes the answer undecided.
[[nodiscard]] std::vector<Answer> judge(std::span<const Obligation> obligations,
                                        const JudgeOptions& options = {});

/// Sends each violated answer's packet through the real object and notes the outcome.
void replay_violations(std::span<Answer> answers, const Replay& replay);

}  // namespace waggle::verifier
