#pragma once
// Echo servers of a lab's pods: whoever asks is told the pod's name. TCP: a line for each line;
// UDP: a datagram for each datagram.

#include <memory>

#include "waggle/simulator/lab.h"

namespace waggle::simulator {

/// One thread for all sockets of all pods.
class Servers {
 public:
  static Result<std::unique_ptr<Servers>> start(const LabLayout& layout);
  ~Servers();
  /// Serves new pods, lets go of those that are gone or moved. SCTP ports are passed over where the
  /// kernel has no SCTP.
  Result<> follow(const LabLayout& layout);

 private:
  struct State;
  explicit Servers(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace waggle::simulator
