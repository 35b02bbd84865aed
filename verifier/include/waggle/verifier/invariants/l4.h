#pragma once
#include "waggle/verifier/invariants/logic.h"

namespace waggle::verifier {

/// Address of type A, port of type P (std::uint16_t or a 16-bit expression), both plain values.
template <class A, class P>
struct Tuple {
  A source, destination;
  P source_port, destination_port;
};

struct L4 {
  static constexpr const char* id = "L4";
  static constexpr const char* sentence =
      "Reverse translation is the inverse of forward translation, for every flow.";

  /// A frontend, a backend of it, a client, and what `reverse_nat` has for the frontend's number.
  template <class B, class A, class P>
  struct Facts {
    Tuple<A, P> sent;  ///< as the client sent it: destination is the frontend
    A backend, hairpin, reverse_address;
    P backend_port, reverse_port;
    B reverse_found;  ///< `reverse_nat` has the number, with the frontend's protocol
  };

  /// from_container: to the backend; a pod that reaches itself gets the hairpin source.
  template <class B, class A, class P>
  static Tuple<A, P> forward(const Facts<B, A, P>& f) {
    return {ite(f.sent.source == f.backend, f.hairpin, f.sent.source), f.backend,
            f.sent.source_port, f.backend_port};
  }
  /// The answer to `translated`, taken back through the flow's entry.
  template <class B, class A, class P>
  static Tuple<A, P> reverse(const Facts<B, A, P>& f, const Tuple<A, P>& translated) {
    return {f.reverse_address,
            ite(f.sent.source == f.backend, translated.destination, translated.source),
            f.reverse_port, translated.source_port};
  }
  template <class B, class A, class P>
  static B holds(const Facts<B, A, P>& f) {
    const Tuple<A, P> answer = reverse(f, forward(f));
    return f.reverse_found && answer.source == f.sent.destination &&
           answer.source_port == f.sent.destination_port && answer.destination == f.sent.source &&
           answer.destination_port == f.sent.source_port;
  }
};

/// The same for flows that are already open.
struct L4Open {
  static constexpr const char* id = "L4";
  static constexpr const char* sentence =
      "The answers of every open translated flow can be taken back.";
  template <class B>
  struct Facts {
    B remembered;  ///< a live conntrack entry names this frontend number
    B reversible;  ///< `reverse_nat` has it
  };
  template <class B>
  static B holds(const Facts<B>& f) {
    return implies(f.remembered, f.reversible);
  }
};

}  // namespace waggle::verifier
