#pragma once
// From a scenario's words to packets: ends, families, quoted packets, overrides.

#include <map>
#include <string>
#include <utility>

#include "waggle/simulator/scenario.h"

namespace waggle::simulator {

struct Outgoing {
  Origin from;
  PacketFields fields;
};

/// Who has which addresses. An object that was deleted keeps its name here, since an open
/// connection still uses its address.
class AddressNames {
 public:
  void learn(const kube::Cluster& cluster);
  /// All addresses of the end. Error: nobody has that name.
  [[nodiscard]] Result<std::vector<Address>> of(const EndRef& end) const;
  [[nodiscard]] bool is_pod(const kube::ObjectKey& key) const { return pods_.contains(key); }
  /// The end's address in a family. Error: it has none.
  [[nodiscard]] Result<Address> in_family(const EndRef& end, Family family) const;

 private:
  std::map<kube::ObjectKey, std::vector<Address>> pods_, services_;
  std::map<std::string, std::vector<Address>> nodes_;
};

/// `quoted` is the packet that step `line.about` delivered; null when it names none.
[[nodiscard]] Result<Outgoing> make_packet(const AddressNames& names, const PacketRef& line,
                                           const Overrides& with, const PacketFields* quoted);
/// The answer to a packet that `walk` brought to its end, from where that is.
[[nodiscard]] Result<Outgoing> make_reply(const Walk& walk, std::optional<std::uint8_t> tcp_flags,
                                          const Overrides& with);

}  // namespace waggle::simulator
