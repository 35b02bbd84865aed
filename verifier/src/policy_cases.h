#pragma once
// All peer addresses of a family, split into classes on which neither side's verdict can change.

#include <map>
#include <string>
#include <vector>

#include "number.h"
#include "prover.h"
#include "waggle/verifier/policy.h"

namespace waggle::verifier {

/// Addresses first..last: all the same to the objects and to the tables.
struct Atom {
  u128 first = 0, last = 0;
  std::uint32_t identity = 0;      ///< by ipcache
  const kube::Pod* pod = nullptr;  ///< whose address it is; then first == last
  std::vector<bool> blocks;        ///< which of AddressSpace::blocks contain it
};

/// Atoms whose pods have equal labels, and which the same blocks and identity cover.
struct PeerClass {
  std::vector<const Atom*> atoms;
};

/// One family's addresses.
class AddressSpace {
 public:
  AddressSpace(const Specification& specification, const TableSemantics& semantics, Family family);

  [[nodiscard]] const std::vector<Atom>& atoms() const { return atoms_; }
  [[nodiscard]] const std::vector<PeerClass>& classes() const { return classes_; }
  /// That the atoms are exact, for every address: Z3 compares them with the prefix formulas.
  [[nodiscard]] Finding prove_exact(Prover& prover) const;

 private:
  /// A key of one of the two sides, as a block.
  struct Mark {
    enum class Kind : std::uint8_t { exact, prefix, pod, block };
    Kind kind;
    Block at;
    std::uint32_t value;  ///< identity, number of the pod, or number of the block
  };
  void collect(const Specification& specification, const TableSemantics& semantics);
  void cut(const Specification& specification, const TableSemantics& semantics);
  void classify();
  [[nodiscard]] std::uint32_t number_of_pod(const kube::Pod* pod) const;  ///< 0: none
  [[nodiscard]] State prove_block(Prover& prover, Block block, const std::vector<Mark>& marks,
                                  std::size_t& questions) const;
  [[nodiscard]] z3::expr disagreement(Prover& prover, Block block,
                                      const std::vector<Mark>& marks) const;

  Family family_;
  std::vector<Block> blocks_;                       ///< every cidr and except of a policy
  std::map<const kube::Pod*, std::uint32_t> pods_;  ///< numbered from 1
  std::vector<Mark> marks_;
  std::vector<Atom> atoms_;
  std::vector<PeerClass> classes_;
};

/// What of a pod a policy can see: namespace, labels, ports.
[[nodiscard]] std::string visible_of(const kube::Pod& pod);

}  // namespace waggle::verifier
