#include "lab_probe.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>

#include "lab_wiring.h"
#include "sockets.h"

namespace waggle::simulator {
namespace {

using Outcome = ProbeResult::Outcome;
using std::chrono::duration_cast;

constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17;
constexpr std::size_t echo_header_bytes = 8, ipv4_header_bytes = 20;

ProbeResult failed(int error) {
  Outcome outcome = Outcome::unreachable;
  if (error == ECONNREFUSED) outcome = Outcome::refused;
  if (error == ETIMEDOUT || error == EAGAIN || error == EINPROGRESS) outcome = Outcome::timed_out;
  if (error == ECONNRESET || error == EPIPE) outcome = Outcome::closed;
  return {
      .outcome = outcome,
      .by = {},
      .detail = std::generic_category().message(outcome == Outcome::timed_out ? ETIMEDOUT : error),
      .elapsed = {}};
}

/// Waits until `deadline`; false when nothing came.
bool wait_for(int fd, short what, Nanoseconds deadline) {
  for (;;) {
    const auto left = deadline - monotonic_now();
    if (left <= Nanoseconds::zero()) return false;
    pollfd one{.fd = fd, .events = what, .revents = 0};
    const timespec limit{.tv_sec = duration_cast<std::chrono::seconds>(left).count(),
                         .tv_nsec = (left % std::chrono::seconds(1)).count()};
    const int ready = ppoll(&one, 1, &limit, nullptr);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

int pending_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

std::array<std::uint8_t, echo_header_bytes> echo_request(Family family, std::uint16_t id) {
  std::array<std::uint8_t, echo_header_bytes> request{};
  request[0] = family == Family::v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
  request[4] = static_cast<std::uint8_t>(id >> 8);
  request[5] = static_cast<std::uint8_t>(id & 255);
  request[7] = 1;
  if (family == Family::v4) {  // ICMPv6's is the kernel's to fill in: it covers the addresses
    const auto sum = internet_checksum(request);
    request[2] = static_cast<std::uint8_t>(sum >> 8);
    request[3] = static_cast<std::uint8_t>(sum & 255);
  }
  return request;
}

/// What a raw ICMP socket received: nothing for others' packets.
std::optional<ProbeResult> read_echo(std::span<const std::uint8_t> bytes, Family family,
                                     const Address& to, std::uint16_t id) {
  if (family == Family::v4) {
    if (bytes.size() < ipv4_header_bytes) return std::nullopt;
    bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), (bytes[0] & 15U) * 4U));
  }
  if (bytes.size() < echo_header_bytes) return std::nullopt;
  const bool reply = bytes[0] == (family == Family::v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
  if (reply && (bytes[4] << 8 | bytes[5]) == id)
    return ProbeResult{
        .outcome = Outcome::answered, .by = to.to_string(), .detail = {}, .elapsed = {}};
  const bool error = family == Family::v4
                         ? bytes[0] == ICMP_DEST_UNREACH || bytes[0] == ICMP_TIME_EXCEEDED
                         : bytes[0] >= ICMP6_DST_UNREACH && bytes[0] < 128;
  if (!error) return std::nullopt;
  return failed(EHOSTUNREACH);
}

Result<Fd> open_socket(const LabLayout& layout, const Probe& probe, int type, int protocol) {
  const auto netns = TRY(namespace_of(layout, probe.from));
  const auto inside = TRY(InNamespace::enter(netns));
  Fd fd(socket(socket_family(probe.to.family()), type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!fd.open()) return std::unexpected(system_error("socket"));
  return fd;
}

}  // namespace

Nanoseconds monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

Result<Client> connect_client(const LabLayout& layout, const Probe& probe) {
  const bool udp = probe.protocol == protocol_udp;
  Client client{
      .socket = TRY(open_socket(layout, probe, udp ? SOCK_DGRAM : SOCK_STREAM, probe.protocol)),
      .protocol = probe.protocol,
      .result = {.outcome = Outcome::answered, .by = {}, .detail = {}, .elapsed = {}}};
  const int fd = client.socket.get(), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (probe.protocol == protocol_tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (probe.source_port != 0) {
    const Address any = probe.to.family() == Family::v4 ? Address::v4(0) : Address{};
    const auto local = socket_address(any, probe.source_port);
    if (bind(fd, local.get(), local.size) != 0)
      return std::unexpected(system_error("bind(" + std::to_string(probe.source_port) + ")"));
  }
  const auto start = monotonic_now();
  const auto remote = socket_address(probe.to, probe.port);
  if (connect(fd, remote.get(), remote.size) != 0) {
    const int error = errno;
    if (error != EINPROGRESS)
      client.result = failed(error);
    else if (!wait_for(fd, POLLOUT, start + probe.timeout))
      client.result = failed(ETIMEDOUT);
    else if (const int pending = pending_error(fd); pending != 0)
      client.result = failed(pending);
  }
  client.result.elapsed = monotonic_now() - start;
  return client;
}

ProbeResult ask(int socket, std::uint8_t protocol, Nanoseconds timeout) {
  const auto start = monotonic_now();
  const auto finish = [&](ProbeResult result) {
    result.elapsed = monotonic_now() - start;
    return result;
  };
  if (send(socket, "?\n", 2, MSG_NOSIGNAL) < 0) return finish(failed(errno));
  std::string answer;
  std::array<char, 512> buffer;
  while (!answer.ends_with('\n')) {
    if (!wait_for(socket, POLLIN, start + timeout)) return finish(failed(ETIMEDOUT));
    const auto size = recv(socket, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EAGAIN) continue;
    if (size < 0) return finish(failed(errno));
    if (size == 0 && protocol != protocol_udp) return finish(failed(ECONNRESET));
    answer.append(buffer.data(), static_cast<std::size_t>(size));
  }
  answer.pop_back();
  return finish({.outcome = Outcome::answered, .by = answer, .detail = {}, .elapsed = {}});
}

Result<ProbeResult> ping(const LabLayout& layout, const Probe& probe) {
  const auto family = probe.to.family();
  const auto socket = TRY(open_socket(
      layout, probe, SOCK_RAW, family == Family::v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}));
  const auto remote = socket_address(probe.to, 0);
  const auto start = monotonic_now();
  // Different from probe to probe, so that a late answer of another is not taken for ours.
  const auto id = probe.source_port != 0
                      ? probe.source_port
                      : static_cast<std::uint16_t>(start.count() / 1000 & 0xffff);
  const auto request = echo_request(family, id);
  if (sendto(socket.get(), request.data(), request.size(), 0, remote.get(), remote.size) < 0)
    return failed(errno);
  std::array<std::uint8_t, 2048> buffer;
  while (wait_for(socket.get(), POLLIN, start + probe.timeout)) {
    const auto size = recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) continue;
    auto result =
        read_echo(std::span(buffer).first(static_cast<std::size_t>(size)), family, probe.to, id);
    if (!result) continue;
    result->elapsed = monotonic_now() - start;
    return *result;
  }
  auto result = failed(ETIMEDOUT);
  result.elapsed = monotonic_now() - start;
  return result;
}

const char* to_string(ProbeResult::Outcome outcome) {
  constexpr std::array names = {"answered", "refused", "unreachable", "timed out", "closed"};
  return names.at(static_cast<std::size_t>(outcome));
}

struct Connection::State {
  Client client;
};
Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

ProbeResult Connection::ask(Nanoseconds timeout) {
  return simulator::ask(state_->client.socket.get(), state_->client.protocol, timeout);
}

Result<Connection> Lab::connect(const Probe& probe) const {
  auto client = TRY(connect_client(layout(), probe));
  if (client.result.outcome != Outcome::answered)
    return std::unexpected(
        Error{.kind = Error::Kind::kernel,
              .what = std::string("connect: ") + to_string(client.result.outcome),
              .where = probe.to.to_string(),
              .advice = {}});
  return Connection(std::make_unique<Connection::State>(std::move(client)));
}

Result<ProbeResult> Lab::probe(const Probe& probe) const {
  if (probe.protocol == protocol_icmp || probe.protocol == protocol_icmp6)
    return ping(layout(), probe);
  const auto client = TRY(connect_client(layout(), probe));
  if (client.result.outcome != Outcome::answered) return client.result;
  const auto left = std::max(probe.timeout - client.result.elapsed, Nanoseconds(1));
  auto result = ask(client.socket.get(), probe.protocol, left);
  result.elapsed += client.result.elapsed;
  return result;
}

}  // namespace waggle::simulator
