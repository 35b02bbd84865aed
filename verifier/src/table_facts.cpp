#include "table_facts.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "waggle/abi/identities.h"
#include "waggle/verifier/policy.h"

namespace waggle::verifier {

namespace {

std::uint32_t number_at(const Content& content, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = at; i < at + 4; ++i)
    number = number << 8 | static_cast<std::uint8_t>(content[i]);
  return number;
}

Address address_at(const Content& content, std::size_t at) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), content.data() + at, bytes.size());
  return Address::from_bytes(bytes);
}

std::string endpoint_text(const Content& content, std::size_t at) {
  const Address address = address_at(content, at);
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(content[at + i]); };
  const unsigned port = byte(16) << 8U | byte(17);
  return fmt::format(
      "{}:{}/{}",
      address.family() == Family::v4 ? address.to_string() : "[" + address.to_string() + "]", port,
      kube::to_string(static_cast<kube::Protocol>(byte(18))));
}

Content bytes_of(const Address& address) { return verifier::bytes_of(agent::to_abi(address)); }

Content bytes_of(const Cidr& block) {
  const unsigned bits =
      block.prefix_bits() + (block.family() == Family::v4 ? DP_V4_PREFIX_BITS : 0);
  return bytes_of(block.base()) + static_cast<char>(bits);
}

}  // namespace

Content bytes_of(const dp_addr& address) {
  Content out(sizeof(address), '\0');
  std::memcpy(out.data(), &address, sizeof(address));
  return out;
}

Content bytes_of(std::uint32_t number) {
  Content out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
  return out;
}

Content bytes_of(const dp_addr& address, __be16 port, std::uint8_t protocol) {
  Content out = bytes_of(address);
  const std::uint16_t host = ntohs(port);
  out += static_cast<char>(host >> 8);
  out += static_cast<char>(host & 0xff);
  out += static_cast<char>(protocol);
  return out;
}

TableFacts::TableFacts(const Snapshot& snapshot) : snapshot_(snapshot) {
  if (snapshot_.cluster) collect_wanted();
  collect_frontends();
  for (const auto& [key, backend] : snapshot_.tables.backends)
    members_[backend.service].push_back(key.id);
}

// From Services and EndpointSlices: a port of a service is served by the slices' port of that name.
void TableFacts::collect_wanted() {
  std::map<kube::ObjectKey, std::vector<const kube::EndpointSlice*>> slices;
  for (const auto& [key, slice] : snapshot_.cluster->endpoint_slices)
    slices[{key.namespace_name, slice.service_name}].push_back(&slice);
  for (const auto& [key, service] : snapshot_.cluster->services) {
    if (service.headless || service.type == kube::Service::Type::external_name) continue;
    for (const Address& address : service.cluster_ips) {
      for (const auto& port : service.ports) {
        const auto protocol = static_cast<std::uint8_t>(port.protocol);
        WantedFrontend& frontend =
            wanted_[bytes_of(agent::to_abi(address), htons(port.port), protocol)];
        frontend.service = key;
        frontend.source = service.meta.source;
        for (const auto* slice : slices[key]) {
          if (slice->family != address.family()) continue;
          for (const auto& own : slice->ports) {
            if (own.name != port.name || own.protocol != port.protocol) continue;
            for (const auto& endpoint : slice->endpoints) {
              if (endpoint.addresses.empty()) continue;
              const Content end =
                  bytes_of(agent::to_abi(endpoint.addresses[0]), htons(own.port), protocol);
              if (endpoint.ready)
                frontend.ready.insert(end);
              else if (endpoint.serving && endpoint.terminating)
                frontend.terminating.insert(end);
            }
          }
        }
      }
    }
  }
}

void TableFacts::collect_frontends() {
  for (const auto& [key, value] : snapshot_.tables.services) {
    Frontend frontend{
        key, value, endpoint_text(bytes_of(key.address, key.port, key.protocol), 0), {}};
    if (const auto* object = wanted(key))
      frontend.text +=
          fmt::format(" ({}, {})", object->service.to_string(), object->source.to_string());
    if (key.scope != 0) frontend.text += fmt::format(" scope {}", key.scope);
    const auto region = snapshot_.tables.maglev.find(value.base);
    const bool known = region != snapshot_.tables.maglev.end();
    for (std::uint32_t i = 0; i < value.size; ++i) {
      if (known && i < region->second.size()) {
        frontend.backends.push_back(region->second[i]);
      } else {
        frontend.backends.push_back(0);
        break;
      }
    }
    std::ranges::sort(frontend.backends);
    frontend.backends.erase(std::ranges::unique(frontend.backends).begin(),
                            frontend.backends.end());
    by_service_[value.service].push_back(frontends_.size());
    frontends_.push_back(std::move(frontend));
  }
}

const WantedFrontend* TableFacts::wanted(const dp_service_key& key) const {
  const auto found = wanted_.find(bytes_of(key.address, key.port, key.protocol));
  return found == wanted_.end() ? nullptr : &found->second;
}

const dp_reverse_nat* TableFacts::reverse_of(const Frontend& frontend) const {
  const auto found = snapshot_.tables.reverse_nat.find({frontend.value.frontend});
  return found == snapshot_.tables.reverse_nat.end() ? nullptr : &found->second;
}

std::optional<CounterexamplePacket> TableFacts::packet_to(const Frontend& frontend,
                                                          bool admitted) const {
  const Address destination = agent::from_abi(frontend.key.address);
  for (const auto& [key, endpoint] : snapshot_.tables.endpoints) {
    const Address source = agent::from_abi(key.address);
    if (source.family() != destination.family()) continue;
    CounterexamplePacket packet;
    packet.direction = DP_EGRESS;
    packet.source = source;
    packet.destination = destination;
    packet.protocol = frontend.key.protocol;
    packet.destination_port = ntohs(frontend.key.port);
    packet.by_policy = false;
    packet.tables_admit = admitted;
    packet.tries = std::clamp<unsigned>(frontend.value.size * 16, 1, 4096);
    if (snapshot_.cluster) {
      const Specification specification(*snapshot_.cluster);
      if (const kube::Pod* pod = specification.pod_at(source)) {
        packet.pod = packet.from = key_of(pod->meta);
        packet.node = pod->node_name;
      }
    }
    return packet;
  }
  return std::nullopt;
}

SetQuestion<L1, 2> TableFacts::l1() const {
  SetQuestion<L1, 2> out{"L1", "backend numbers at positions", {}, {}};
  for (const Frontend& frontend : frontends_) {
    for (const std::uint32_t id : frontend.backends) out.sets[0].push_back(bytes_of(id));
  }
  for (const auto& [key, backend] : snapshot_.tables.backends)
    out.sets[1].push_back(bytes_of(key.id));
  for (auto& set : out.sets) normalise(set);
  out.explain = [this](const Content& content) {
    const std::uint32_t id = number_at(content, 0);
    const auto names = [&](const Frontend& f) { return std::ranges::count(f.backends, id) > 0; };
    const auto frontend = std::ranges::find_if(frontends_, names);
    return Counterexample{packet_to(*frontend, false),
                          fmt::format("every position of {} names a backend", frontend->text),
                          fmt::format("a position of its region at {} names {}, which is absent",
                                      frontend->value.base, id)};
  };
  return out;
}

bool TableFacts::affinity_may_choose(const Frontend& frontend, const dp_backend& backend) const {
  return (frontend.value.flags & DP_SERVICE_AFFINITY) &&
         (backend.state == DP_BACKEND_ACTIVE || (frontend.value.flags & DP_SERVICE_TERMINATING));
}

bool TableFacts::eligible(const Frontend& frontend, const dp_backend& backend) const {
  if (!snapshot_.cluster)
    return backend.state == DP_BACKEND_ACTIVE || (frontend.value.flags & DP_SERVICE_TERMINATING);
  const auto* object = wanted(frontend.key);
  return object &&
         object->eligible().contains(bytes_of(backend.address, backend.port, backend.protocol));
}

SetQuestion<L2, 3> TableFacts::l2() const {
  SetQuestion<L2, 3> out{"L2", "backends that a frontend may choose", {}, {}};
  auto& [selectable, belongs, fit] = out.sets;
  for (std::uint32_t i = 0; i < frontends_.size(); ++i) {
    const Frontend& frontend = frontends_[i];
    const auto key = [i](std::uint32_t id) { return bytes_of(i) + bytes_of(id); };
    for (const std::uint32_t id : frontend.backends) {
      selectable.push_back(key(id));
      const auto backend = snapshot_.tables.backends.find({id});
      if (backend != snapshot_.tables.backends.end() && eligible(frontend, backend->second))
        fit.push_back(key(id));
    }
    const auto members = members_.find(frontend.value.service);
    if (members == members_.end()) continue;
    for (const std::uint32_t id : members->second) {
      const dp_backend& backend = snapshot_.tables.backends.at({id});
      if (backend.protocol == frontend.key.protocol) belongs.push_back(key(id));
      if (eligible(frontend, backend)) fit.push_back(key(id));
      if (affinity_may_choose(frontend, backend)) selectable.push_back(key(id));
    }
  }
  for (auto& set : out.sets) normalise(set);
  out.explain = [this](const Content& content) {
    const Frontend& frontend = frontends_[number_at(content, 0)];
    const std::uint32_t id = number_at(content, 4);
    const auto found = snapshot_.tables.backends.find({id});
    std::string is = "is absent";
    if (found != snapshot_.tables.backends.end()) {
      const dp_backend& b = found->second;
      is = fmt::format("is {} of service {}, {}",
                       endpoint_text(bytes_of(b.address, b.port, b.protocol), 0), b.service,
                       b.state == DP_BACKEND_ACTIVE ? "active" : "terminating");
    }
    return Counterexample{packet_to(frontend, found != snapshot_.tables.backends.end()),
                          fmt::format("{} chooses an eligible endpoint of its own", frontend.text),
                          fmt::format("it (service {}) may choose backend {}, which {}",
                                      frontend.value.service, id, is)};
  };
  return out;
}

SetQuestion<L4Open, 2> TableFacts::l4_open() const {
  SetQuestion<L4Open, 2> out{"L4/open", "frontends of open flows", {}, {}};
  for (const auto& [key, flow] : snapshot_.conntrack) {
    if (key.direction == DP_CT_EGRESS && flow.frontend != 0 && flow.expires_ns > snapshot_.now_ns)
      out.sets[0].push_back(bytes_of(flow.frontend));
  }
  for (const auto& [key, value] : snapshot_.tables.reverse_nat)
    out.sets[1].push_back(bytes_of(key.frontend));
  for (auto& set : out.sets) normalise(set);
  out.explain = [](const Content& content) {
    return Counterexample{
        std::nullopt, "the answers of an open flow are taken back",
        fmt::format("conntrack names frontend {}, which reverse_nat does not have",
                    number_at(content, 0))};
  };
  return out;
}

SetQuestion<L6, 2> TableFacts::leak(const char* table, Contents have, Contents asked,
                                    std::function<std::string(const Content&)> text) const {
  normalise(have);
  normalise(asked);
  const std::string name = table;
  return {"L6/" + name,
          "entries of " + name,
          {std::move(have), std::move(asked)},
          [name, text = std::move(text)](const Content& content) {
            return Counterexample{std::nullopt, fmt::format("no object asks for it in {}", name),
                                  text(content)};
          }};
}

std::vector<SetQuestion<L6, 2>> TableFacts::l6() const {
  const auto& tables = snapshot_.tables;
  const auto number = [](const Content& c) { return fmt::format("number {}", number_at(c, 0)); };
  std::vector<SetQuestion<L6, 2>> out;
  Contents frontends, bases, services;
  for (const Frontend& frontend : frontends_) {
    frontends.push_back(bytes_of(frontend.value.frontend));
    services.push_back(bytes_of(frontend.value.service));
    if (frontend.value.size > 0) bases.push_back(bytes_of(frontend.value.base));
  }
  Contents reverse, regions, sets;
  for (const auto& [key, value] : tables.reverse_nat) reverse.push_back(bytes_of(key.frontend));
  for (const auto& [base, region] : tables.maglev) regions.push_back(bytes_of(base));
  for (const auto& [key, backend] : tables.backends) sets.push_back(bytes_of(backend.service));
  out.push_back(leak("reverse_nat", std::move(reverse), std::move(frontends), number));
  out.push_back(leak("maglev", std::move(regions), std::move(bases), number));
  out.push_back(leak("backends/sets", std::move(sets), std::move(services), number));

  Contents subjects, peers, live;
  for (const auto& [key, value] : tables.policy) {
    subjects.push_back(bytes_of(ntohl(key.subject)));
    peers.push_back(bytes_of(ntohl(key.peer)));
  }
  for (const auto& [key, value] : tables.endpoints) live.push_back(bytes_of(value.identity));
  for (const auto& [key, value] : tables.ipcache) live.push_back(bytes_of(value.identity));
  Contents known = live;
  for (const auto& [key, value] : tables.ipcache_prefix) known.push_back(bytes_of(value.identity));
  for (const std::uint32_t fixed :
       {DP_IDENTITY_ANY, DP_IDENTITY_HOST, DP_IDENTITY_WORLD, DP_IDENTITY_REMOTE_NODE})
    known.push_back(bytes_of(fixed));
  out.push_back(leak("policy/subjects", std::move(subjects), std::move(live), number));
  out.push_back(leak("policy/peers", std::move(peers), std::move(known), number));
  if (snapshot_.cluster) add_object_leaks(out);
  return out;
}

Contents TableFacts::wanted_backends() const {
  Contents out;
  for (const Frontend& frontend : frontends_) {
    const auto* object = wanted(frontend.key);
    if (!object) continue;
    const Content set = bytes_of(frontend.value.service);
    for (const auto* ends : {&object->ready, &object->terminating}) {
      for (const Content& end : *ends) out.push_back(set + end);
    }
  }
  return out;
}

// Each cidr and except of a policy; and, under an IPv6 block that holds them, the range that IPv4
// addresses are mapped to, which has to be cut out of it.
Contents TableFacts::wanted_blocks() const {
  Contents out;
  for (const auto& [key, policy] : snapshot_.cluster->network_policies) {
    for (const auto* rules : {&policy.ingress, &policy.egress}) {
      for (const auto& rule : *rules) {
        for (const auto& peer : rule.peers) {
          if (!peer.ip_block) continue;
          std::vector<Cidr> blocks = peer.ip_block->except;
          blocks.push_back(peer.ip_block->cidr);
          for (const Cidr& block : blocks) {
            out.push_back(bytes_of(block));
            if (block.family() == Family::v6 && Block::of(block).contains(v4_first))
              out.push_back(bytes_of(Cidr::of(Address::v4(0), 0)));
          }
        }
      }
    }
  }
  return out;
}

Contents TableFacts::pod_addresses() const {
  Contents out;
  if (!snapshot_.cluster) {
    for (const auto& [key, value] : snapshot_.tables.endpoints)
      out.push_back(bytes_of(key.address));
    return out;
  }
  for (const auto& [key, pod] : snapshot_.cluster->pods) {
    if (pod.host_network || pod.finished()) continue;
    for (const Address& address : pod.addresses) out.push_back(bytes_of(address));
  }
  return out;
}

Contents TableFacts::node_addresses() const {
  Contents out;
  if (snapshot_.cluster) {
    for (const auto& [key, node] : snapshot_.cluster->nodes) {
      for (const Address& address : node.addresses) out.push_back(bytes_of(address));
    }
    return out;
  }
  for (const auto& [key, node] : snapshot_.tables.nodes) {
    for (const dp_addr* address : {&node.address4, &node.address6}) {
      if (!agent::from_abi(*address).is_unspecified()) out.push_back(bytes_of(*address));
    }
  }
  return out;
}

void TableFacts::add_object_leaks(std::vector<SetQuestion<L6, 2>>& out) const {
  const auto& tables = snapshot_.tables;
  const auto address = [](const Content& c) { return address_at(c, 0).to_string(); };
  Contents have, asked;
  const auto done = [&](const char* table, std::function<std::string(const Content&)> text) {
    out.push_back(leak(table, std::move(have), std::move(asked), std::move(text)));
    have.clear();
    asked.clear();
  };
  for (const Frontend& f : frontends_)
    have.push_back(bytes_of(f.key.address, f.key.port, f.key.protocol));
  for (const auto& [key, value] : wanted_) asked.push_back(key);
  done("services", [](const Content& c) { return endpoint_text(c, 0); });

  for (const auto& [key, b] : tables.backends)
    have.push_back(bytes_of(b.service) + bytes_of(b.address, b.port, b.protocol));
  asked = wanted_backends();
  done("backends", [](const Content& c) {
    return fmt::format("{} of service {}", endpoint_text(c, 4), number_at(c, 0));
  });

  for (const auto& [key, value] : tables.ipcache) have.push_back(bytes_of(key.address));
  asked = pod_addresses();
  std::ranges::move(node_addresses(), std::back_inserter(asked));
  done("ipcache", address);

  for (const auto& [key, value] : tables.endpoints) have.push_back(bytes_of(key.address));
  asked = pod_addresses();
  done("endpoints", address);

  for (const auto& [key, value] : tables.ipcache_prefix) {
    have.push_back(bytes_of(key.address) +
                   static_cast<char>(key.prefix_bits - DP_IPCACHE_STATIC_BITS));
  }
  asked = wanted_blocks();
  done("ipcache_prefix", [](const Content& c) {
    return fmt::format("{} with {} bits", address_at(c, 0).to_string(),
                       static_cast<std::uint8_t>(c[16]));
  });

  for (const auto& [key, node] : tables.nodes)
    have.push_back(bytes_of(node.address4) + bytes_of(node.address6));
  for (const auto& [key, node] : snapshot_.cluster->nodes) {
    dp_node own{};
    for (const Address& a : own_addresses(node))
      (a.family() == Family::v4 ? own.address4 : own.address6) = agent::to_abi(a);
    asked.push_back(bytes_of(own.address4) + bytes_of(own.address6));
  }
  done("nodes", address);
}

std::vector<SetQuestion<L7, 2>> TableFacts::l7() const {
  SetQuestion<L7, 2> ends{"L7/backends", "frontends against backends", {}, {}};
  SetQuestion<L7, 2> addresses{"L7/addresses", "frontends against pods and nodes", {}, {}};
  for (const Frontend& f : frontends_) {
    ends.sets[0].push_back(bytes_of(f.key.address, f.key.port, f.key.protocol));
    addresses.sets[0].push_back(bytes_of(f.key.address));
  }
  for (const auto& [key, b] : snapshot_.tables.backends)
    ends.sets[1].push_back(bytes_of(b.address, b.port, b.protocol));
  addresses.sets[1] = pod_addresses();
  std::ranges::move(node_addresses(), std::back_inserter(addresses.sets[1]));
  const auto frontend_with = [this](const Content& start) -> const Frontend& {
    return *std::ranges::find_if(frontends_, [&](const Frontend& f) {
      return bytes_of(f.key.address, f.key.port, f.key.protocol).starts_with(start);
    });
  };
  ends.explain = [this, frontend_with](const Content& content) {
    const Frontend& frontend = frontend_with(content);
    return Counterexample{packet_to(frontend, true), "no backend is a frontend",
                          fmt::format("{} is both", frontend.text)};
  };
  addresses.explain = [this, frontend_with](const Content& content) {
    const Frontend& frontend = frontend_with(content);
    return Counterexample{packet_to(frontend, true), "no frontend has a pod's or node's address",
                          fmt::format("{} has one", frontend.text)};
  };
  for (auto* question : {&ends, &addresses}) {
    for (auto& set : question->sets) normalise(set);
  }
  return {std::move(ends), std::move(addresses)};
}

}  // namespace waggle::verifier
