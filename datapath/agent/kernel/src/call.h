#pragma once
// Raw bpf(2) where libbpf 1.1 has no wrapper, and errors in words.

#include <linux/bpf.h>

#include <string>
#include <utility>

#include "waggle/kube/result.h"

namespace waggle::kernel {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Owns a shared mapping of a map's values.
class Mapping {
 public:
  Mapping() = default;
  static Result<Mapping> of(int fd, std::size_t bytes);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// bpf(2); -1 with errno set.
int bpf_call(bpf_cmd command, bpf_attr& attr);

/// "what: No such device". A missing privilege or feature becomes Kind::unsupported and says which.
[[nodiscard]] Error kernel_error(int error_number, const std::string& what, std::string where);

inline constexpr int enotsupp = 524;  ///< the kernel's internal ENOTSUPP, which bpf(2) lets out

}  // namespace waggle::kernel
