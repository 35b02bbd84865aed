#include "policy_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "waggle/abi/identities.h"

namespace waggle::verifier {

namespace {

constexpr std::size_t marks_a_question = 24;

constexpr Block v4_block{v4_first, DP_V4_PREFIX_BITS};

bool in_family(Family family, u128 address) {
  return (v4_first <= address && address <= v4_last) == (family == Family::v4);
}

}  // namespace

std::string visible_of(const kube::Pod& pod) {
  std::string text = pod.meta.namespace_name;
  for (const auto& [key, value] : pod.meta.labels) text += fmt::format("\n{}={}", key, value);
  for (const auto& port : pod.ports) {
    text += fmt::format("\n{}:{}:{}", port.name, port.port, static_cast<unsigned>(port.protocol));
  }
  return text;
}

AddressSpace::AddressSpace(const Specification& specification, const TableSemantics& semantics,
                           Family family)
    : family_(family) {
  collect(specification, semantics);
  cut(specification, semantics);
  classify();
}

void AddressSpace::collect(const Specification& specification, const TableSemantics& semantics) {
  for (const auto& [key, value] : semantics.tables().ipcache) {
    if (key.space != 0) continue;
    marks_.push_back({Mark::Kind::exact, Block::of(number_of(agent::from_abi(key.address)), 128),
                      value.identity});
  }
  for (const auto& [key, value] : semantics.tables().ipcache_prefix) {
    if (key.prefix_bits >= DP_IPCACHE_STATIC_BITS && key.space != 0) continue;
    const unsigned bits = std::max<unsigned>(key.prefix_bits, DP_IPCACHE_STATIC_BITS);
    marks_.push_back(
        {Mark::Kind::prefix,
         Block::of(number_of(agent::from_abi(key.address)), bits - DP_IPCACHE_STATIC_BITS),
         value.identity});
  }
  const auto& cluster = specification.cluster();
  for (const auto& [key, pod] : cluster.pods) {
    for (const Address& address : pod.addresses) {
      if (specification.pod_at(address) != &pod) continue;
      const auto number = static_cast<std::uint32_t>(pods_.size()) + 1;
      pods_.try_emplace(&pod, number);
      marks_.push_back({Mark::Kind::pod, Block::of(number_of(address), 128), pods_.at(&pod)});
    }
  }
  std::set<Cidr> cidrs;
  for (const auto& [key, policy] : cluster.network_policies) {
    for (const auto* rules : {&policy.ingress, &policy.egress}) {
      for (const auto& rule : *rules) {
        for (const auto& peer : rule.peers) {
          if (!peer.ip_block || peer.ip_block->cidr.family() != family_) continue;
          cidrs.insert(peer.ip_block->cidr);
          cidrs.insert(peer.ip_block->except.begin(), peer.ip_block->except.end());
        }
      }
    }
  }
  for (const Cidr& cidr : cidrs) {
    marks_.push_back(
        {Mark::Kind::block, Block::of(cidr), static_cast<std::uint32_t>(blocks_.size())});
    blocks_.push_back(Block::of(cidr));
  }
}

// Nothing begins or ends inside an atom, so one address speaks for all of it.
void AddressSpace::cut(const Specification& specification, const TableSemantics& semantics) {
  std::set<u128> firsts{0, v4_first, v4_last + 1};
  for (const Mark& mark : marks_) {
    firsts.insert(mark.at.base);
    if (mark.at.last() != ~static_cast<u128>(0)) firsts.insert(mark.at.last() + 1);
  }
  for (const auto& [key, node] : specification.cluster().nodes) {
    for (const Address& address : node.addresses) {
      firsts.insert(number_of(address));
      firsts.insert(number_of(address) + 1);
    }
  }
  for (auto at = firsts.begin(); at != firsts.end(); ++at) {
    if (!in_family(family_, *at)) continue;
    const auto next = std::next(at);
    Atom atom;
    atom.first = *at;
    atom.last = next == firsts.end() ? ~static_cast<u128>(0) : *next - 1;
    const Address address = address_of(atom.first);
    atom.identity = semantics.identity(address);
    atom.pod = specification.pod_at(address);
    for (const Block& block : blocks_) atom.blocks.push_back(block.contains(atom.first));
    atoms_.push_back(std::move(atom));
  }
}

void AddressSpace::classify() {
  std::map<std::string, std::size_t> known;
  for (const Atom& atom : atoms_) {
    std::string key = fmt::format("{}\n", atom.identity);
    for (const bool inside : atom.blocks) key += inside ? '1' : '0';
    key += atom.pod ? "\npod\n" + visible_of(*atom.pod) : "\nno pod";
    const auto [place, is_new] = known.try_emplace(std::move(key), classes_.size());
    if (is_new) classes_.emplace_back();
    classes_[place->second].atoms.push_back(&atom);
  }
}

std::uint32_t AddressSpace::number_of_pod(const kube::Pod* pod) const {
  return pod ? pods_.at(pod) : 0;
}

Finding AddressSpace::prove_exact(Prover& prover) const {
  std::size_t questions = 0;
  const Block whole = family_ == Family::v4 ? v4_block : Block{};
  const State state = prove_block(prover, whole, marks_, questions);
  if (state != State::proved) {
    return {State::undecided, std::nullopt,
            state == State::violated ? "the interval cases and the prefix formulas disagree"
                                     : "Z3 gave no answer in time"};
  }
  return {State::proved, std::nullopt,
          fmt::format("{} address cases in {} classes; {} questions", atoms_.size(),
                      classes_.size(), questions)};
}

// Only marks that overlap the block concern it; with many inside, its halves are asked.
State AddressSpace::prove_block(Prover& prover, Block block, const std::vector<Mark>& marks,
                                std::size_t& questions) const {
  const auto of_ipv4 = [](const Block& b) {
    return b.bits >= v4_block.bits && v4_block.contains(b.base);
  };
  if (family_ == Family::v6 && of_ipv4(block)) return State::proved;
  std::vector<Mark> here;
  std::size_t inside = 0;
  for (const Mark& mark : marks) {
    if (family_ == Family::v6 && of_ipv4(mark.at)) continue;
    const bool within = mark.at.bits > block.bits && block.contains(mark.at.base);
    if (within || mark.at.contains(block.base)) here.push_back(mark);
    inside += within;
  }
  if (inside > marks_a_question) {
    const Block low{block.base, block.bits + 1};
    const Block high{block.base | static_cast<u128>(1) << (127 - block.bits), block.bits + 1};
    const State state = prove_block(prover, low, here, questions);
    return state == State::proved ? prove_block(prover, high, here, questions) : state;
  }
  ++questions;
  return prover.refute(disagreement(prover, block, here));
}

z3::expr AddressSpace::disagreement(Prover& prover, Block block,
                                    const std::vector<Mark>& marks) const {
  auto& z3 = prover.z3();
  z3::expr address = prover.number(block.base);
  if (block.bits < 128) {
    const unsigned low = 128 - block.bits;
    address = z3.bv_const("address", low);
    if (block.bits > 0) address = z3::concat(prover.number(block.base >> low, block.bits), address);
  }
  const auto under = [&](const Block& b) {
    if (b.bits <= block.bits) return z3.bool_val(b.contains(block.base));
    return address.extract(127, 128 - b.bits) == prover.number(b.base >> (128 - b.bits), b.bits);
  };
  // The prefix formulas: shortest first, so that the last word is the longest's, then the hash's.
  z3::expr identity = prover.number(DP_IDENTITY_WORLD, 32);
  z3::expr pod = prover.number(number_of_pod(nullptr), 32);
  std::vector<const Mark*> order;
  for (const Mark& mark : marks) order.push_back(&mark);
  std::ranges::sort(order, {}, [](const Mark* m) {
    return std::tuple(m->kind != Mark::Kind::prefix, m->at.bits, m);
  });
  std::map<std::uint32_t, z3::expr> member;
  for (const Mark* mark : order) {
    const z3::expr here = under(mark->at);
    const z3::expr value = prover.number(mark->value, 32);
    if (mark->kind == Mark::Kind::pod) {
      pod = z3::ite(here, value, pod);
    } else if (mark->kind == Mark::Kind::block) {
      member.emplace(mark->value, here);
    } else {
      identity = z3::ite(here, value, identity);
    }
  }
  // The interval cases.
  z3::expr_vector wrong(z3);
  auto atom = std::ranges::upper_bound(atoms_, block.base, {}, &Atom::first);
  if (atom != atoms_.begin()) --atom;
  z3::expr_vector covered(z3);
  for (; atom != atoms_.end() && atom->first <= block.last(); ++atom) {
    z3::expr here = z3.bool_val(true);
    if (atom->first > block.base) here = here && z3::uge(address, prover.number(atom->first));
    if (atom->last < block.last()) here = here && z3::ule(address, prover.number(atom->last));
    covered.push_back(here);
    z3::expr same = identity == prover.number(atom->identity, 32) &&
                    pod == prover.number(number_of_pod(atom->pod), 32);
    for (std::uint32_t i = 0; i < blocks_.size(); ++i) {
      const auto claimed = member.find(i);
      const bool inside = atom->blocks[i];
      if (claimed == member.end()) {
        same = same && z3.bool_val(!inside);
      } else {
        same = same && (inside ? claimed->second : !claimed->second);
      }
    }
    wrong.push_back(here && !same);
  }
  const z3::expr asked = family_ == Family::v4 ? z3.bool_val(true) : !under(v4_block);
  return asked && (prover.either(wrong) || !prover.either(covered));
}

}  // namespace waggle::verifier
