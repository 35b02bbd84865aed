#include <fmt/format.h>

#include <cerrno>

#include "state.h"

namespace waggle::kernel {
namespace {

// linux/bpf.h of 6.6; Debian 12's headers are of 6.1.
constexpr int tcx_ingress = 46, tcx_egress = 47;
constexpr unsigned filter_handle = 1, filter_priority = 1;

bool is_ingress(dp_hook hook) {
  return hook == DP_HOOK_from_container || hook == DP_HOOK_from_netdev;
}
bpf_attach_type tcx_type(dp_hook hook) {
  return static_cast<bpf_attach_type>(is_ingress(hook) ? tcx_ingress : tcx_egress);
}

std::string where(dp_hook hook, std::uint32_t ifindex) {
  return fmt::format("{} on device {}", hook_name(hook), ifindex);
}

std::optional<std::filesystem::path> link_pin(const Datapath::State& state, dp_hook hook,
                                              std::uint32_t ifindex) {
  if (!state.options.pin_directory) return std::nullopt;
  return *state.options.pin_directory / fmt::format("link_{}_{}", hook_name(hook), ifindex);
}

int create_tcx_link(int program, dp_hook hook, std::uint32_t ifindex) {
  bpf_attr attr{};
  attr.link_create.prog_fd = static_cast<std::uint32_t>(program);
  attr.link_create.target_ifindex = ifindex;
  attr.link_create.attach_type = tcx_type(hook);
  return bpf_call(BPF_LINK_CREATE, attr);
}

void detach_link(int fd) {
  bpf_attr attr{};
  attr.link_detach.link_fd = static_cast<std::uint32_t>(fd);
  bpf_call(BPF_LINK_DETACH, attr);
}

/// A link that an earlier agent left takes the new program in one step: no packet passes unjudged.
/// None when there is no such link, or its device has gone.
Fd take_over_link(const std::filesystem::path& pin, int program) {
  Fd link(bpf_obj_get(pin.c_str()));
  if (!link) return {};
  bpf_attr attr{};
  attr.link_update.link_fd = static_cast<std::uint32_t>(link.get());
  attr.link_update.new_prog_fd = static_cast<std::uint32_t>(program);
  if (bpf_call(BPF_LINK_UPDATE, attr) == 0) return link;
  std::error_code ignored;
  std::filesystem::remove(pin, ignored);
  return {};
}

Result<Fd> attach_tcx(Datapath::State& state, dp_hook hook, std::uint32_t ifindex) {
  const int program = bpf_program__fd(state.programs[hook]);
  const auto pin = link_pin(state, hook, ifindex);
  if (pin)
    if (auto link = take_over_link(*pin, program); link) return link;
  Fd link(create_tcx_link(program, hook, ifindex));
  if (!link)
    return std::unexpected(
        kernel_error(errno, "cannot attach " + where(hook, ifindex), "bpf(LINK_CREATE)"));
  if (pin && bpf_obj_pin(link.get(), pin->c_str()) != 0)
    return std::unexpected(kernel_error(errno, "cannot pin an attachment", pin->string()));
  return link;
}

bpf_tc_hook tc_hook(dp_hook hook, std::uint32_t ifindex) {
  bpf_tc_hook result{};
  result.sz = sizeof(result);
  result.ifindex = static_cast<int>(ifindex);
  result.attach_point = is_ingress(hook) ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return result;
}

bpf_tc_opts tc_filter() {
  bpf_tc_opts filter{};
  filter.sz = sizeof(filter);
  filter.handle = filter_handle;
  filter.priority = filter_priority;
  return filter;
}

/// Returns whether the qdisc was made here.
Result<bool> attach_clsact(Datapath::State& state, dp_hook hook, std::uint32_t ifindex) {
  auto at = tc_hook(hook, ifindex);
  at.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  const int made = bpf_tc_hook_create(&at);
  if (made != 0 && made != -EEXIST)
    return std::unexpected(
        kernel_error(-made, "cannot add clsact for " + where(hook, ifindex), "netlink"));
  at = tc_hook(hook, ifindex);
  auto filter = tc_filter();
  filter.prog_fd = bpf_program__fd(state.programs[hook]);
  filter.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&at, &filter); error != 0)
    return std::unexpected(
        kernel_error(-error, "cannot attach " + where(hook, ifindex), "netlink"));
  return made == 0;
}

int detach_clsact(dp_hook hook, std::uint32_t ifindex) {
  const auto at = tc_hook(hook, ifindex);
  const auto filter = tc_filter();
  return bpf_tc_detach(&at, &filter);
}

void destroy_clsact(std::uint32_t ifindex) {
  auto at = tc_hook(DP_HOOK_from_container, ifindex);
  at.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  bpf_tc_hook_destroy(&at);
}

}  // namespace

bool kernel_has_tcx() {
  bpf_attr attr{};
  attr.query.target_fd = 1;  // the loopback device's index
  attr.query.attach_type = tcx_ingress;
  return bpf_call(BPF_PROG_QUERY, attr) == 0 || errno == ENOENT;
}

bool Datapath::uses_tcx() const { return state_->tcx; }

Result<> Datapath::attach(dp_hook hook, std::uint32_t ifindex) {
  collect_log();
  State::Attached attached;
  const auto key = std::pair{hook, ifindex};
  if (state_->attached.contains(key)) return {};
  if (state_->tcx)
    attached.link = TRY(attach_tcx(*state_, hook, ifindex));
  else
    attached.made_qdisc = TRY(attach_clsact(*state_, hook, ifindex));
  state_->attached.emplace(key, std::move(attached));
  return {};
}

Result<> Datapath::detach(dp_hook hook, std::uint32_t ifindex) {
  collect_log();
  const auto found = state_->attached.find({hook, ifindex});
  std::error_code ignored;
  if (state_->tcx) {
    const auto pin = link_pin(*state_, hook, ifindex);
    if (found == state_->attached.end() && !(pin && std::filesystem::exists(*pin)))
      return std::unexpected(
          Error{Error::Kind::not_found, where(hook, ifindex) + " is not attached", "", ""});
    if (found != state_->attached.end())
      detach_link(found->second.link.get());
    else
      detach_link(Fd(bpf_obj_get(pin->c_str())).get());
    if (pin) std::filesystem::remove(*pin, ignored);
  } else if (const int error = detach_clsact(hook, ifindex); error != 0) {
    return std::unexpected(
        kernel_error(-error, "cannot detach " + where(hook, ifindex), "netlink"));
  }
  const bool made_qdisc = found != state_->attached.end() && found->second.made_qdisc;
  if (found != state_->attached.end()) state_->attached.erase(found);
  if (made_qdisc) {
    // The qdisc goes with its last filter of ours, not before.
    for (auto& [key, other] : state_->attached)
      if (key.second == ifindex) {
        other.made_qdisc = true;
        return {};
      }
    destroy_clsact(ifindex);
  }
  return {};
}

void Datapath::State::detach_all() {
  collect_log();
  for (auto& [key, one] : attached) {
    if (one.link)
      detach_link(one.link.get());
    else
      detach_clsact(key.first, key.second);
    if (one.made_qdisc) destroy_clsact(key.second);
  }
  attached.clear();
  if (!options.pin_directory) return;
  std::error_code ignored;
  std::vector<std::filesystem::path> links;
  for (const auto& entry : std::filesystem::directory_iterator(*options.pin_directory, ignored))
    if (entry.path().filename().string().starts_with("link_")) links.push_back(entry.path());
  for (const auto& link : links) {
    if (const Fd fd(bpf_obj_get(link.c_str())); fd) detach_link(fd.get());
    std::filesystem::remove(link, ignored);
  }
}

}  // namespace waggle::kernel
