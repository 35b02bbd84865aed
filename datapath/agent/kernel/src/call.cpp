#include "call.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace waggle::kernel {

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Result<Mapping> Mapping::of(int fd, std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto size = (bytes + page - 1) / page * page;
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return std::unexpected(kernel_error(errno, "cannot map a table into memory", "mmap"));
  Mapping mapping;
  mapping.data_ = static_cast<std::byte*>(data);
  mapping.size_ = size;
  return mapping;
}
Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}
Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, size_);
}

int bpf_call(bpf_cmd command, bpf_attr& attr) {
  return static_cast<int>(syscall(SYS_bpf, command, &attr, sizeof(attr)));
}

Error kernel_error(int error_number, const std::string& what, std::string where) {
  Error error{Error::Kind::kernel, "", std::move(where), ""};
  const char* text = error_number == enotsupp ? "not supported" : std::strerror(error_number);
  error.what = fmt::format("{}: {}", what, text);
  if (error_number == EPERM || error_number == EACCES) {
    error.kind = Error::Kind::unsupported;
    error.advice = "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
  } else if (error_number == ENOSYS || error_number == EOPNOTSUPP || error_number == enotsupp) {
    error.kind = Error::Kind::unsupported;
    error.advice = "this kernel lacks the feature; waggle doctor lists what it has";
  }
  return error;
}

}  // namespace waggle::kernel
