#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "state.h"

namespace waggle::kernel {
namespace {

constexpr std::size_t batch_entries_max = 4096;

bool same_run(const agent::TableOp& a, const agent::TableOp& b) {
  return a.kind == b.kind && a.table == b.table &&
         (a.kind == agent::TableOp::Kind::upsert || a.kind == agent::TableOp::Kind::erase);
}

}  // namespace

Error KernelSink::failure(const agent::TableOp& op, int error_number) const {
  const auto& about = agent::info(op.table);
  if (error_number == E2BIG || error_number == ENOSPC)
    return {Error::Kind::kernel,
            fmt::format("table {} is full ({} entries)", about.name,
                        bpf_map__max_entries(state_.maps[static_cast<std::size_t>(op.table)])),
            "", "raise its entries_max"};
  if (error_number == ENOENT)
    return {Error::Kind::not_found, fmt::format("table {} has no such entry", about.name), "", ""};
  return kernel_error(error_number, fmt::format("cannot write table {}", about.name), "bpf");
}

Result<> KernelSink::apply(std::span<const agent::TableOp> ops) {
  applied_ = 0;
  for (const auto& op : ops) state_.numbers().note(op);  // before anybody can see them
  while (applied_ < ops.size()) {
    const auto rest = ops.subspan(applied_);
    const auto end = std::find_if(rest.begin() + 1, rest.end(), [&](const agent::TableOp& op) {
      return !same_run(rest.front(), op);
    });
    TRY(run_of(rest.first(
        std::min<std::size_t>(batch_entries_max, static_cast<std::size_t>(end - rest.begin())))));
  }
  return {};
}

Result<> KernelSink::run_of(std::span<const agent::TableOp> ops) {
  const auto table = static_cast<std::size_t>(ops.front().table);
  if (ops.size() > 1 && !no_batch_[table]) {
    const auto before = applied_;
    auto done = batch(ops);
    operations += applied_ - before;
    if (done || !no_batch_[table]) return done;
    ops = ops.subspan(applied_ - before);
  }
  for (const auto& op : ops) {
    TRY(single(op));
    ++applied_;
    ++operations;
  }
  return {};
}

Result<> KernelSink::batch(std::span<const agent::TableOp> ops) {
  const auto& first = ops.front();
  const auto& about = agent::info(first.table);
  keys_.clear();
  values_.clear();
  for (const auto& op : ops) {
    WAGGLE_ASSERT(op.key.size == about.key_bytes);
    keys_.insert(keys_.end(), op.key.data.begin(), op.key.data.begin() + about.key_bytes);
    values_.insert(values_.end(), op.value.data.begin(), op.value.data.begin() + about.value_bytes);
  }
  auto count = static_cast<std::uint32_t>(ops.size());
  ++system_calls;
  const int fd = state_.map_fd(first.table);
  const int failed = first.kind == agent::TableOp::Kind::upsert
                         ? bpf_map_update_batch(fd, keys_.data(), values_.data(), &count, nullptr)
                         : bpf_map_delete_batch(fd, keys_.data(), &count, nullptr);
  if (failed == 0) {
    applied_ += ops.size();
    return {};
  }
  const int error_number = errno;
  if (error_number == enotsupp || error_number == EINVAL || error_number == EOPNOTSUPP) {
    no_batch_[static_cast<std::size_t>(first.table)] = true;
    count = 0;
  }
  WAGGLE_ASSERT(count < ops.size());
  applied_ += count;
  return std::unexpected(failure(ops[count], error_number));
}

Result<> KernelSink::single(const agent::TableOp& op) {
  const auto& about = agent::info(op.table);
  if (op.kind == agent::TableOp::Kind::generation) {
    std::atomic_ref(state_.node().policy_generation)
        .store(op.value.as<std::uint32_t>(), std::memory_order_release);
    return {};
  }
  if (op.kind == agent::TableOp::Kind::store) {
    const auto position = op.key.as<std::uint32_t>();
    if (position >= state_.positions())
      return std::unexpected(Error{Error::Kind::kernel,
                                   fmt::format("position {} is outside maglev", position), "",
                                   "raise its entries_max"});
    std::atomic_ref(state_.position(position))
        .store(op.value.as<std::uint32_t>(), std::memory_order_release);
    return {};
  }
  WAGGLE_ASSERT(op.key.size == about.key_bytes);
  ++system_calls;
  const int fd = state_.map_fd(op.table);
  const int failed =
      op.kind == agent::TableOp::Kind::upsert
          ? bpf_map_update_elem(fd, op.key.data.data(), op.value.data.data(), BPF_ANY)
          : bpf_map_delete_elem(fd, op.key.data.data());
  if (failed != 0) return std::unexpected(failure(op, errno));
  return {};
}

}  // namespace waggle::kernel
