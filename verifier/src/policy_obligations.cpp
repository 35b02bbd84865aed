// P1: deriving the obligations, and asking them.

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "policy_cases.h"
#include "policy_formula.h"
#include "waggle/abi/identities.h"
#include "waggle/verifier/invariants/p1.h"

namespace waggle::verifier {

namespace {

struct Direction {
  dp_direction value;
  const char* name;
};
constexpr Direction directions[] = {{DP_INGRESS, "ingress"}, {DP_EGRESS, "egress"}};

/// protocol 0: every protocol beside the named ones.
struct ProtocolCase {
  std::uint8_t value;
  const char* name;
};
constexpr ProtocolCase protocols[] = {{6, "TCP"}, {17, "UDP"}, {132, "SCTP"}, {0, "other"}};

const char* name_of(Family family) { return family == Family::v4 ? "v4" : "v6"; }

const kube::Node* node_of(const kube::Cluster& cluster, const kube::Pod& pod) {
  const auto found = cluster.nodes.find({"", pod.node_name});
  return found == cluster.nodes.end() ? nullptr : &found->second;
}

std::optional<Address> address_of_family(const kube::Pod& pod, Family family) {
  const auto has = [&](const Address& address) { return address.family() == family; };
  const auto found = std::ranges::find_if(pod.addresses, has);
  return found == pod.addresses.end() ? std::nullopt : std::optional(*found);
}

// The identity that the datapath knows the pod by; nothing when it has no endpoint.
std::optional<std::uint32_t> endpoint_identity(const PolicyQuestion& question, const kube::Pod& pod,
                                               const Address& address) {
  for (const auto& node : question.nodes) {
    if (node.node_name != pod.node_name) continue;
    const dp_endpoint_key key{agent::to_abi(address), node.zone, 0};
    const auto found = question.tables.endpoints.find(key);
    if (found != question.tables.endpoints.end()) return found->second.identity;
  }
  return std::nullopt;
}

std::string describe(const PolicyQuestion& question, const TableSemantics::Entry& entry) {
  const unsigned bits = entry.key.prefix_bits;
  const unsigned port_bits = bits > 80 ? bits - 80 : 0;
  std::string text = fmt::format(
      "policy entry {{subject {}, peer {}, {}, {}, port {}/{}}} -> {}", ntohl(entry.key.subject),
      ntohl(entry.key.peer), entry.key.direction == DP_INGRESS ? "ingress" : "egress",
      bits >= 80 ? fmt::format("protocol {}", entry.key.protocol) : "any protocol",
      ntohs(entry.key.port), port_bits, entry.value.verdict == DP_POLICY_ALLOW ? "allow" : "deny");
  if (!question.provenance) return text;
  const auto rule = question.provenance->rules.find(entry.value.rule);
  if (rule == question.provenance->rules.end()) return text;
  return fmt::format("{}, made by {} ({})", text, rule->second.policy.to_string(),
                     rule->second.source.to_string());
}

std::string describe_identity(const PolicyQuestion& question, std::uint32_t identity) {
  if (question.provenance) {
    const auto found = question.provenance->identities.find(identity);
    if (found != question.provenance->identities.end())
      return fmt::format("{} ({})", identity, found->second.text);
  }
  return std::to_string(identity);
}

/// Everything that the obligations of one question share.
struct Shared {
  explicit Shared(const PolicyQuestion& asked)
      : question(asked),
        specification(asked.cluster, asked.modes),
        semantics(asked.tables),
        spaces{AddressSpace(specification, semantics, Family::v4),
               AddressSpace(specification, semantics, Family::v6)} {}

  [[nodiscard]] const AddressSpace& space(Family family) const {
    return spaces[family == Family::v4 ? 0 : 1];
  }

  PolicyQuestion question;
  Specification specification;
  TableSemantics semantics;
  std::array<AddressSpace, 2> spaces;
};

/// Local pods that neither side can tell apart, in one family.
struct SubjectClass {
  Family family = Family::v4;
  std::optional<std::uint32_t> identity;
  std::vector<const kube::Pod*> members;
};

std::vector<SubjectClass> subject_classes(const Shared& shared) {
  std::map<std::string, SubjectClass> classes;
  for (const auto& node : shared.question.nodes) {
    for (const auto& [key, attachment] : node.attachments) {
      const auto pod = shared.question.cluster.pods.find(key);
      if (pod == shared.question.cluster.pods.end()) continue;
      for (const Address& address : pod->second.addresses) {
        if (shared.specification.pod_at(address) != &pod->second) continue;
        const auto identity = endpoint_identity(shared.question, pod->second, address);
        auto& found = classes[fmt::format("{}\n{}\n{}", name_of(address.family()),
                                          identity ? std::to_string(*identity) : "none",
                                          visible_of(pod->second))];
        found.family = address.family();
        found.identity = identity;
        found.members.push_back(&pod->second);
      }
    }
  }
  std::vector<SubjectClass> out;
  for (auto& [key, value] : classes) out.push_back(std::move(value));
  std::ranges::sort(out, {},
                    [](const auto& c) { return std::pair(key_of(c.members[0]->meta), c.family); });
  return out;
}

/// One question to Z3: a pod and a peer that stand for all alike.
struct Case {
  const kube::Pod* subject = nullptr;
  Address peer;
  bool all = false;  ///< the objects admit everything
  std::vector<Specification::Grant> grants;
  std::vector<TableSemantics::Entry> named, any;
};

// Equal texts, equal questions: what does not bear on the verdict (identities, rules) is left out.
std::string text_of(const Case& c, std::uint8_t protocol) {
  std::string text = fmt::format("{}{}", protocol, c.all ? "*" : "");
  std::vector<std::string> grants;
  for (const auto& grant : c.grants) {
    grants.push_back(
        fmt::format("{}:{}-{}", grant.protocol ? *grant.protocol : -1, grant.first, grant.last));
  }
  std::ranges::sort(grants);
  grants.erase(std::ranges::unique(grants).begin(), grants.end());
  for (const auto& grant : grants) text += " " + grant;
  for (const auto* entries : {&c.named, &c.any}) {
    text += '|';
    for (const auto& e : *entries) {
      text += fmt::format(" {}/{}/{}={},{}", e.key.prefix_bits, e.key.protocol, ntohs(e.key.port),
                          e.value.precedence, e.value.verdict);
    }
  }
  return text;
}

class ClassQuestion {
 public:
  ClassQuestion(std::shared_ptr<const Shared> shared, SubjectClass subject, dp_direction direction,
                std::uint8_t protocol)
      : shared_(std::move(shared)),
        subject_(std::move(subject)),
        direction_(direction),
        protocol_(protocol) {}

  Finding operator()(Prover& prover) const {
    std::size_t asked = 0;
    const std::vector<Case> all = cases();
    for (const Case& c : all) {
      std::string text = text_of(c, protocol_);
      if (prover.knows(text)) continue;
      ++asked;
      const SymbolicPort at(prover);
      const z3::expr objects = c.all ? prover.z3().bool_val(true) : granted(prover, at, c.grants);
      const P1::Facts<z3::expr> facts{objects, admitted(prover, at, c.named, c.any)};
      const State state = prover.refute(in_protocol(prover, at) && !P1::holds(facts));
      if (state == State::undecided) return {state, std::nullopt, "Z3 gave no answer in time"};
      if (state == State::violated)
        return refuted(c, static_cast<std::uint8_t>(prover.model_value(at.protocol)),
                       static_cast<std::uint16_t>(prover.model_value(at.port)));
      prover.learn(std::move(text));
    }
    return {State::proved, std::nullopt,
            fmt::format("{} pods alike, {} classes of peers, {} asked anew",
                        subject_.members.size(), all.size(), asked)};
  }

 private:
  [[nodiscard]] z3::expr in_protocol(Prover& prover, const SymbolicPort& at) const {
    if (protocol_ != 0) return at.protocol == prover.number(protocol_, 8);
    z3::expr other = prover.z3().bool_val(true);
    for (const auto& named : protocols) {
      if (named.value != 0) other = other && at.protocol != prover.number(named.value, 8);
    }
    return other;
  }

  [[nodiscard]] std::vector<Case> cases() const {
    std::vector<Case> out;
    for (const PeerClass& peers : shared_->space(subject_.family).classes()) {
      if (auto c = outside_case(peers)) out.push_back(std::move(*c));
    }
    for (const kube::Pod* member : subject_.members) {
      const kube::Node* node = node_of(shared_->question.cluster, *member);
      if (!node) continue;
      for (const Address& address : node->addresses) {
        if (address.family() != subject_.family) continue;
        Case c{member, address, true, {}, {}, {}};
        fill_entries(c, shared_->semantics.peer_identity(node, address));
        out.push_back(std::move(c));
      }
    }
    return out;
  }

  // A member and an address of the class that is neither the member itself nor its node. None when
  // there is no such pair: then the class never meets these peers.
  [[nodiscard]] std::optional<Case> outside_case(const PeerClass& peers) const {
    for (const Atom* atom : peers.atoms) {
      const Address peer = address_of(atom->first);
      for (const kube::Pod* member : subject_.members) {
        if (atom->pod == member || shared_->specification.is_own_node(*member, peer)) continue;
        Case c{member, peer, !shared_->specification.isolated(direction_, *member), {}, {}, {}};
        if (!c.all) c.grants = shared_->specification.grants(direction_, *member, peer);
        fill_entries(c, atom->identity);
        return c;
      }
    }
    return std::nullopt;
  }

  void fill_entries(Case& c, std::uint32_t peer) const {
    if (!subject_.identity) return;
    c.named = shared_->semantics.entries(*subject_.identity, peer, direction_);
    c.any = shared_->semantics.entries(*subject_.identity, DP_IDENTITY_ANY, direction_);
  }

  // The model becomes a packet; evaluation, the other judge, has to agree that it differs.
  [[nodiscard]] Finding refuted(const Case& c, std::uint8_t protocol, std::uint16_t port) const {
    const BothVerdicts both =
        evaluate(shared_->question, shared_->specification, shared_->semantics, direction_,
                 *c.subject, c.peer, protocol, port);
    if (both.objects.allowed == both.tables_allow)
      return {State::undecided, std::nullopt, "Z3's packet does not differ when it is evaluated"};
    CounterexamplePacket packet;
    packet.direction = direction_;
    packet.pod = key_of(c.subject->meta);
    packet.node = c.subject->node_name;
    packet.source = c.peer;
    packet.destination = *address_of_family(*c.subject, subject_.family);
    if (const kube::Pod* peer = shared_->specification.pod_at(c.peer))
      packet.from = key_of(peer->meta);
    packet.to = packet.pod;
    if (direction_ == DP_EGRESS) {
      std::swap(packet.source, packet.destination);
      std::swap(packet.from, packet.to);
    }
    packet.protocol = protocol;
    packet.destination_port = port;
    packet.tables_admit = both.tables_allow;
    const char* verdict = both.objects.allowed ? "allowed" : "denied";
    return {
        State::violated,
        Counterexample{packet, fmt::format("{}: {}", verdict, both.objects.text), both.tables_text},
        ""};
  }

  std::shared_ptr<const Shared> shared_;
  SubjectClass subject_;
  dp_direction direction_;
  std::uint8_t protocol_;
};

std::vector<kube::SourceRef> sources_of(const Shared& shared, const SubjectClass& subject) {
  std::vector<kube::SourceRef> out{subject.members[0]->meta.source};
  for (const auto* policy : shared.specification.policies_of(*subject.members[0]))
    out.push_back(policy->meta.source);
  return out;
}

}  // namespace

std::vector<agent::NodeContext> local_nodes(const kube::Cluster& cluster,
                                            const agent::Tables& tables) {
  std::map<std::pair<std::string, std::uint16_t>, agent::NodeContext> nodes;
  const Specification specification(cluster);
  for (const auto& [key, endpoint] : tables.endpoints) {
    const kube::Pod* pod = specification.pod_at(agent::from_abi(key.address));
    if (!pod) continue;
    auto& node = nodes[{pod->node_name, key.zone}];
    node.node_name = pod->node_name;
    node.zone = key.zone;
    auto& attachment = node.attachments[key_of(pod->meta)];
    attachment.ifindex = endpoint.ifindex;
    std::ranges::copy(endpoint.pod_mac, attachment.pod_mac.begin());
    std::ranges::copy(endpoint.host_mac, attachment.host_mac.begin());
  }
  std::vector<agent::NodeContext> out;
  for (auto& [key, node] : nodes) out.push_back(std::move(node));
  return out;
}

std::vector<Obligation> policy_obligations(const PolicyQuestion& question) {
  const auto shared = std::make_shared<const Shared>(question);
  std::vector<Obligation> out;
  for (const Family family : {Family::v4, Family::v6}) {
    out.push_back(
        {fmt::format("P1/addresses/{}", name_of(family)),
         P1::id,
         "the cases of peer addresses are exact",
         {},
         [shared, family](Prover& prover) { return shared->space(family).prove_exact(prover); }});
  }
  for (const SubjectClass& subject : subject_classes(*shared)) {
    const std::string name = key_of(subject.members[0]->meta).to_string();
    const auto where = sources_of(*shared, subject);
    for (const Direction& direction : directions) {
      for (const ProtocolCase& protocol : protocols) {
        out.push_back({fmt::format("P1/{}/{}/{}/{}", name, direction.name, protocol.name,
                                   name_of(subject.family)),
                       P1::id,
                       fmt::format("{} of {} and {} pods like it, {}", direction.name, name,
                                   subject.members.size() - 1, protocol.name),
                       where, ClassQuestion(shared, subject, direction.value, protocol.value)});
      }
    }
  }
  return out;
}

BothVerdicts evaluate(const PolicyQuestion& question, const Specification& specification,
                      const TableSemantics& semantics, dp_direction direction,
                      const kube::Pod& subject, const Address& peer, std::uint8_t protocol,
                      std::uint16_t port) {
  BothVerdicts out;
  out.objects = specification.judge(direction, subject, peer, protocol, port);
  if (std::ranges::count(subject.addresses, peer) > 0) {
    out.tables_allow = true;
    out.tables_text = "a pod's packets to itself do not reach the datapath";
    return out;
  }
  const auto own = address_of_family(subject, peer.family());
  const auto identity = own ? endpoint_identity(question, subject, *own) : std::nullopt;
  if (!identity) {
    out.tables_text = fmt::format("denied: {} has no endpoint", key_of(subject.meta).to_string());
    return out;
  }
  const std::uint32_t other = semantics.peer_identity(node_of(question.cluster, subject), peer);
  const auto entry = semantics.policy(*identity, other, direction, protocol, port);
  out.tables_allow = entry && entry->value.verdict == DP_POLICY_ALLOW;
  out.tables_text = fmt::format(
      "{}: {}, {} is identity {}, {} is identity {}", out.tables_allow ? "allowed" : "denied",
      entry ? describe(question, *entry) : "no policy entry", key_of(subject.meta).to_string(),
      describe_identity(question, *identity), peer.to_string(), describe_identity(question, other));
  return out;
}

}  // namespace waggle::verifier
