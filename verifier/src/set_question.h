#pragma once
// Statements about the members of finite sets of keys: for every bit-string, the formula over its
// memberships holds. Evaluated on each member, or asked of Z3 with the bit-string symbolic.

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "prover.h"
#include "waggle/verifier/obligation.h"

namespace waggle::verifier {

/// A key as bytes in comparison order. All keys of one question are equally long.
using Content = std::string;
/// Sorted, each once.
using Contents = std::vector<Content>;

inline void normalise(Contents& contents) {
  std::ranges::sort(contents);
  contents.erase(std::ranges::unique(contents).begin(), contents.end());
}

/// Invariant: an invariant whose Facts are memberships, the first one guarding all: what is not in
/// sets[0] cannot violate it.
template <class Invariant, std::size_t N>
struct SetQuestion {
  std::string name;     ///< "L6/services"
  std::string subject;  ///< "services entries"
  std::array<Contents, N> sets;
  std::function<Counterexample(const Content&)> explain;

  static constexpr std::size_t chunk = 256;

  [[nodiscard]] bool holds_for(const Content& content) const {
    std::array<bool, N> in{};
    for (std::size_t i = 0; i < N; ++i) in[i] = std::ranges::binary_search(sets[i], content);
    return apply(in, std::make_index_sequence<N>{});
  }

  [[nodiscard]] Finding ask(Prover& prover, std::size_t first) const {
    const std::size_t end = std::min(first + chunk, sets[0].size());
    const Content &low = sets[0][first], &high = sets[0][end - 1];
    const auto key = prover.z3().bv_const("key", static_cast<unsigned>(low.size()) * 8);
    std::vector<z3::expr> in;
    for (const Contents& set : sets) {
      z3::expr_vector any(prover.z3());
      const auto from = std::ranges::lower_bound(set, low);
      const auto to = std::ranges::upper_bound(from, set.end(), high);
      for (auto at = from; at != to; ++at) any.push_back(key == literal(prover, *at));
      in.push_back(prover.either(any));
    }
    const State state = prover.refute(!apply(in, std::make_index_sequence<N>{}));
    if (state == State::proved) return {state, {}, std::to_string(end - first) + " keys"};
    if (state == State::undecided) return {state, {}, "Z3 gave no answer in time"};
    for (std::size_t i = first; i < end; ++i) {
      if (!prover.model_holds(key == literal(prover, sets[0][i]))) continue;
      if (holds_for(sets[0][i])) break;
      return {State::violated, explain(sets[0][i]), ""};
    }
    return {State::undecided, {}, "Z3's key does not violate it when it is evaluated"};
  }

 private:
  template <class B, std::size_t... I>
  static B apply_facts(const B* in, std::index_sequence<I...>) {
    return Invariant::holds(typename Invariant::template Facts<B>{in[I]...});
  }
  template <class Container, std::size_t... I>
  static auto apply(const Container& in, std::index_sequence<I...> indices) {
    return apply_facts(in.data(), indices);
  }
  static z3::expr literal(Prover& prover, const Content& content) {
    z3::expr out(prover.z3());
    for (std::size_t at = 0; at < content.size(); at += 8) {
      const std::size_t size = std::min<std::size_t>(8, content.size() - at);
      std::uint64_t word = 0;
      for (std::size_t i = 0; i < size; ++i)
        word = word << 8 | static_cast<std::uint8_t>(content[at + i]);
      const auto part = prover.z3().bv_val(word, static_cast<unsigned>(size) * 8);
      out = at == 0 ? part : z3::concat(out, part);
    }
    return out.simplify();
  }
};

}  // namespace waggle::verifier
