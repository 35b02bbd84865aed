#pragma once
// A network namespace of our own with devices that packets can be said to come from.

#include <cstdint>
#include <vector>

#include "waggle/kube/result.h"

namespace waggle::simulator {

/// Nobody else's devices are in it, it has no name, and it ends with this object.
class PrivateNamespace {
 public:
  static Result<PrivateNamespace> create();
  PrivateNamespace(PrivateNamespace&& other) noexcept;
  PrivateNamespace& operator=(PrivateNamespace&&) = delete;
  ~PrivateNamespace();

  /// Makes devices until there are at least `count`.
  Result<> grow(std::size_t count);
  /// Indexes, lowest first; the same in every namespace made this way.
  [[nodiscard]] const std::vector<std::uint32_t>& devices() const { return devices_; }

  /// While alive, the calling thread is in the namespace. May be nested.
  class Inside {
   public:
    explicit Inside(const PrivateNamespace& space);
    Inside(Inside&& other) noexcept;
    Inside& operator=(Inside&&) = delete;
    ~Inside();

   private:
    int before_ = -1;
  };

 private:
  explicit PrivateNamespace(int fd) : fd_(fd) {}
  int fd_;
  std::vector<std::uint32_t> devices_;
};

}  // namespace waggle::simulator
