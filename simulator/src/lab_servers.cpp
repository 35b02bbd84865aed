#include "lab_servers.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

#include "lab_wiring.h"
#include "netns.h"
#include "sockets.h"

namespace waggle::simulator {
namespace {

struct Served {
  enum class Kind : std::uint8_t { listener, stream, datagrams };
  Kind kind;
  kube::ObjectKey pod;
  Fd fd;
};

/// A socket bound in the calling thread's namespace; nothing when the kernel lacks the protocol.
Result<Fd> bound(const Address& address, const kube::ContainerPort& port) {
  const bool udp = port.protocol == kube::Protocol::udp;
  const int domain = socket_family(address.family());
  Fd fd(socket(domain, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
               static_cast<int>(port.protocol)));
  if (!fd.open())
    return errno == EPROTONOSUPPORT ? Result<Fd>(Fd()) : std::unexpected(system_error("socket"));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto where = socket_address(address, port.port);
  if (bind(fd.get(), where.get(), where.size) != 0 || (!udp && listen(fd.get(), 1024) != 0))
    return std::unexpected(system_error("bind(" + address.to_string() + ")"));
  return fd;
}

}  // namespace

SocketAddress socket_address(const Address& address, std::uint16_t port) {
  SocketAddress made;
  if (address.family() == Family::v4) {
    auto& in = reinterpret_cast<sockaddr_in&>(made.storage);
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes().data() + 12, 4);
    made.size = sizeof in;
  } else {
    auto& in = reinterpret_cast<sockaddr_in6&>(made.storage);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, address.bytes().data(), 16);
    made.size = sizeof in;
  }
  return made;
}

struct Servers::State {
  std::mutex mutex;  ///< guards all below but the thread
  std::map<kube::ObjectKey, LabPod> pods;
  std::map<int, Served> served;
  Fd poll, stop;
  std::thread thread;

  Result<> add(Served::Kind kind, const kube::ObjectKey& pod, Fd fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd.get();
    if (epoll_ctl(poll.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0)
      return std::unexpected(system_error("epoll_ctl"));
    const int number = fd.get();
    served.emplace(number, Served{.kind = kind, .pod = pod, .fd = std::move(fd)});
    return {};
  }

  Result<> serve(const LabPod& pod) {
    const auto inside = TRY(InNamespace::enter(pod.netns));
    for (const auto& port : pod.ports)
      for (const auto& address : pod.addresses) {
        auto fd = TRY(bound(address, port));
        if (!fd.open()) continue;
        const auto kind =
            port.protocol == kube::Protocol::udp ? Served::Kind::datagrams : Served::Kind::listener;
        TRY(add(kind, pod.key, std::move(fd)));
      }
    return {};
  }

  void accept_all(const Served& listener) {
    for (;;) {
      Fd fd(accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd.open()) return;
      const int on = 1;
      setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      (void)add(Served::Kind::stream, listener.pod, std::move(fd));
    }
  }

  /// False when the connection has ended.
  static bool answer_stream(const Served& stream) {
    std::array<char, 4096> buffer;
    const auto size = recv(stream.fd.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EINTR);
    std::string answer;
    for (auto lines = std::count(buffer.begin(), buffer.begin() + size, '\n'); lines > 0; --lines)
      answer += stream.pod.to_string() + '\n';
    return send(stream.fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(answer.size());
  }

  static void answer_datagrams(const Served& socket) {
    const auto name = socket.pod.to_string() + '\n';
    std::array<char, 2048> buffer;
    for (;;) {
      SocketAddress client;
      client.size = sizeof client.storage;
      if (recvfrom(socket.fd.get(), buffer.data(), buffer.size(), 0,
                   reinterpret_cast<sockaddr*>(&client.storage), &client.size) < 0)
        return;
      sendto(socket.fd.get(), name.data(), name.size(), 0, client.get(), client.size);
    }
  }

  void handle(int fd) {
    const auto at = served.find(fd);
    if (at == served.end()) return;  // let go of meanwhile
    if (at->second.kind == Served::Kind::listener) accept_all(at->second);
    if (at->second.kind == Served::Kind::datagrams) answer_datagrams(at->second);
    if (at->second.kind == Served::Kind::stream && !answer_stream(at->second)) served.erase(at);
  }

  void run() {
    std::array<epoll_event, 64> events;
    for (;;) {
      const int count = epoll_wait(poll.get(), events.data(), events.size(), -1);
      const std::scoped_lock lock(mutex);
      for (int i = 0; i < count; ++i) {
        if (events[static_cast<unsigned>(i)].data.fd == stop.get()) return;
        handle(events[static_cast<unsigned>(i)].data.fd);
      }
    }
  }
};

Servers::Servers(std::unique_ptr<State> state) : state_(std::move(state)) {}

Servers::~Servers() {
  const std::uint64_t one = 1;
  if (write(state_->stop.get(), &one, sizeof one) > 0 && state_->thread.joinable())
    state_->thread.join();
}

Result<std::unique_ptr<Servers>> Servers::start(const LabLayout& layout) {
  auto state = std::make_unique<State>();
  state->poll = Fd(epoll_create1(EPOLL_CLOEXEC));
  state->stop = Fd(eventfd(0, EFD_CLOEXEC));
  if (!state->poll.open() || !state->stop.open()) return std::unexpected(system_error("epoll"));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = state->stop.get();
  if (epoll_ctl(state->poll.get(), EPOLL_CTL_ADD, state->stop.get(), &event) != 0)
    return std::unexpected(system_error("epoll_ctl"));
  std::unique_ptr<Servers> servers(new Servers(std::move(state)));
  TRY(servers->follow(layout));
  servers->state_->thread = std::thread([state = servers->state_.get()] { state->run(); });
  return servers;
}

Result<> Servers::follow(const LabLayout& layout) {
  auto& state = *state_;
  const std::scoped_lock lock(state.mutex);
  for (auto it = state.pods.begin(); it != state.pods.end();) {
    const auto now = layout.pods.find(it->first);
    if (now != layout.pods.end() && now->second == it->second) {
      ++it;
      continue;
    }
    std::erase_if(state.served, [&](const auto& entry) { return entry.second.pod == it->first; });
    it = state.pods.erase(it);
  }
  for (const auto& [key, pod] : layout.pods) {
    if (state.pods.contains(key)) continue;
    TRY(state.serve(pod));
    state.pods.emplace(key, pod);
  }
  return {};
}

}  // namespace waggle::simulator
