// SPDX-License-Identifier: Apache-2.0
#include "control/probe/kernel_probes.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "control/base/address.hpp"
#include "dataplane/net/address.hpp"

namespace lf::probe {
namespace {

constexpr size_t kAnswerMax = 256;  // of which only the status line counts
constexpr int kEventsPerTurn = 64;
constexpr size_t kDatagramMax = 2048;
constexpr int kDatagramsPerTurn = 16;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

SocketAddress socket_address(const KernelTarget& t) {
  SocketAddress a;
  if (t.ip_version == 4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(t.port);
    in.sin_addr.s_addr = net::to_ipv4(t.address);
    std::memcpy(&a.storage, &in, sizeof in);
    a.length = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(t.kind == config::ProbeKind::icmp ? 0 : t.port);
    net::to_ipv6(t.address, &in.sin6_addr);
    std::memcpy(&a.storage, &in, sizeof in);
    a.length = sizeof in;
  }
  return a;
}

std::string request_for(const KernelTarget& t) {
  const std::string host = format_address(t.address);
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: latticeforge-probe\r\nAccept: */*\r\n"
      "Connection: close\r\n\r\n",
      t.path, t.ip_version == 4 ? host : "[" + host + "]", t.port);
}

constexpr uint8_t kEcho4 = 8, kEchoReply4 = 0, kEcho6 = 128, kEchoReply6 = 129;
constexpr size_t kIcmpHeader = 8;

// An echo request whose payload nobody else's has. The kernel fills in the checksum for IPv6 and
// for its own ICMP sockets; raw ones over IPv4 want it made.
std::string echo_request(uint8_t ip_version, const std::string& payload) {
  std::string m(kIcmpHeader, 0);
  m[0] = static_cast<char>(ip_version == 4 ? kEcho4 : kEcho6);
  m += payload;
  if (ip_version == 6) return m;
  uint32_t sum = 0;
  for (size_t i = 0; i < m.size(); ++i)
    sum += static_cast<uint32_t>(static_cast<uint8_t>(m[i])) << (i % 2 == 0 ? 8 : 0);
  sum = (sum & 0xffff) + (sum >> 16);
  const auto checksum = static_cast<uint16_t>(~(sum + (sum >> 16)));
  m[2] = static_cast<char>(checksum >> 8);
  m[3] = static_cast<char>(checksum);
  return m;
}

// ICMP sockets for everybody are a setting of the kernel (ping_group_range); raw ones need a right.
int icmp_socket(int family, int protocol, bool& raw) {
  constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  raw = false;
  const int fd = socket(family, SOCK_DGRAM | kFlags, protocol);
  if (fd >= 0) return fd;
  raw = true;
  return socket(family, SOCK_RAW | kFlags, protocol);
}

// Errors of connect() that are ours and not the node's.
bool is_local(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
         error == EADDRNOTAVAIL || error == EAGAIN || error == EACCES || error == EPERM;
}

}  // namespace

struct KernelProbes::Running {
  enum class Step : uint8_t { connecting, sending, receiving };

  int fd = -1;
  config::ProbeKind kind = config::ProbeKind::tcp;
  Step step = Step::connecting;
  bool raw = false;  // ICMP over IPv4: answers come with their IP header
  uint8_t ip_version = 4;
  MonoNs started = 0, timeout_ns = 0;
  std::string to_send;  // empty: a connection is all that is asked for
  size_t sent = 0;
  std::string received, expected;

  bool open(const KernelTarget& target);
  bool is_answer(std::string_view datagram) const;
  ~Running() {
    if (fd >= 0) close(fd);  // also takes it out of the epoll
  }
};

bool KernelProbes::Running::open(const KernelTarget& target) {
  constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  const bool v4 = target.ip_version == 4;
  const int family = v4 ? AF_INET : AF_INET6;
  kind = target.kind;
  ip_version = target.ip_version;
  if (kind == config::ProbeKind::icmp) {
    fd = icmp_socket(family, v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}, raw);
  } else if (kind == config::ProbeKind::udp) {
    fd = socket(family, SOCK_DGRAM | kFlags, IPPROTO_UDP);
  } else {
    fd = socket(family, SOCK_STREAM | kFlags, IPPROTO_TCP);
  }
  return fd >= 0;
}

bool KernelProbes::Running::is_answer(std::string_view datagram) const {
  if (kind == config::ProbeKind::udp) return datagram.find(expected) != std::string_view::npos;
  if (raw && ip_version == 4 && !datagram.empty())
    datagram.remove_prefix(std::min<size_t>((datagram[0] & 15) * 4u, datagram.size()));
  return datagram.size() == kIcmpHeader + expected.size() &&
         static_cast<uint8_t>(datagram[0]) == (ip_version == 4 ? kEchoReply4 : kEchoReply6) &&
         datagram.substr(kIcmpHeader) == expected;
}

Result<std::unique_ptr<KernelProbes>> KernelProbes::create(Done done) {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return fail(ErrorCode::unavailable, "probes: epoll: {}", std::strerror(errno));
  return std::unique_ptr<KernelProbes>(new KernelProbes(fd, std::move(done)));
}

KernelProbes::KernelProbes(int epoll_fd, Done done) : epoll_fd_(epoll_fd), done_(std::move(done)) {}

KernelProbes::~KernelProbes() {
  running_.clear();
  close(epoll_fd_);
}

bool KernelProbes::start(NodeSlot slot, const KernelTarget& target, MonoNs now, MonoNs timeout_ns) {
  if (slot >= running_.size()) running_.resize(slot + 1u);
  running_[slot].reset();
  auto probe = std::make_unique<Running>();
  probe->started = now;
  probe->timeout_ns = timeout_ns;
  if (!probe->open(target)) return false;
  if (target.kind == config::ProbeKind::http) probe->to_send = request_for(target);
  if (target.kind == config::ProbeKind::udp) {
    probe->to_send = target.send;
    probe->expected = target.expect;
  }
  if (target.kind == config::ProbeKind::icmp) {
    probe->expected = fmt::format("latticeforge {} {}", now, ++started_);
    probe->to_send = echo_request(target.ip_version, probe->expected);
  }
  const SocketAddress to = socket_address(target);
  const int error =
      connect(probe->fd, reinterpret_cast<const sockaddr*>(&to.storage), to.length) == 0 ? 0
                                                                                         : errno;
  if (error != 0 && error != EINPROGRESS && is_local(error)) return false;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT;
  event.data.u32 = slot;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, probe->fd, &event) != 0) return false;
  running_[slot] = std::move(probe);
  if (error != 0 && error != EINPROGRESS) finish(slot, false, now);
  return true;
}

void KernelProbes::on_ready(MonoNs now) {
  std::array<epoll_event, kEventsPerTurn> events;
  const int n = epoll_wait(epoll_fd_, events.data(), kEventsPerTurn, 0);
  for (int i = 0; i < n; ++i) {
    const auto slot = static_cast<NodeSlot>(events[static_cast<size_t>(i)].data.u32);
    if (is_out(slot)) move_on(slot, now);
  }
}

void KernelProbes::await_answer(NodeSlot slot) {
  Running& probe = *running_[slot];
  probe.step = Running::Step::receiving;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = slot;
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, probe.fd, &event);
}

// As far as it gets without waiting.
void KernelProbes::move_on(NodeSlot slot, MonoNs now) {
  Running& probe = *running_[slot];
  if (probe.kind == config::ProbeKind::udp || probe.kind == config::ProbeKind::icmp)
    return read_datagrams(slot, now);
  if (probe.step == Running::Step::connecting) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(probe.fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return finish(slot, false, now);
    sockaddr_storage peer;
    socklen_t peer_length = sizeof peer;
    if (getpeername(probe.fd, reinterpret_cast<sockaddr*>(&peer), &peer_length) != 0) return;
    if (probe.to_send.empty()) return finish(slot, true, now);
    probe.step = Running::Step::sending;
  }
  if (probe.step == Running::Step::sending) {
    const ssize_t n = send(probe.fd, probe.to_send.data() + probe.sent,
                           probe.to_send.size() - probe.sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return finish(slot, false, now);
    if (n > 0) probe.sent += static_cast<size_t>(n);
    if (probe.sent < probe.to_send.size()) return;
    await_answer(slot);
  }
  char buffer[kAnswerMax];
  const ssize_t n = recv(probe.fd, buffer, sizeof buffer, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return finish(slot, false, now);
  probe.received.append(buffer, static_cast<size_t>(n));
  const auto success = http_success(probe.received);
  if (success || probe.received.size() >= kAnswerMax) finish(slot, success.value_or(false), now);
}

// A wrong answer to a UDP probe is the node's word; what else comes to an ICMP socket is ignored.
void KernelProbes::read_datagrams(NodeSlot slot, MonoNs now) {
  Running& probe = *running_[slot];
  if (probe.step == Running::Step::connecting) {
    if (send(probe.fd, probe.to_send.data(), probe.to_send.size(), MSG_NOSIGNAL) < 0) {
      if (errno != EAGAIN && errno != EINTR) finish(slot, false, now);
      return;
    }
    await_answer(slot);
  }
  char buffer[kDatagramMax];
  for (int k = 0; k < kDatagramsPerTurn; ++k) {
    const ssize_t n = recv(probe.fd, buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return finish(slot, false, now);  // nobody listens there, or unreachable
    const bool good = probe.is_answer({buffer, static_cast<size_t>(n)});
    if (good || probe.kind == config::ProbeKind::udp) return finish(slot, good, now);
  }
}

void KernelProbes::expire(MonoNs now) {
  for (size_t slot = 0; slot < running_.size(); ++slot)
    if (running_[slot] != nullptr && now - running_[slot]->started >= running_[slot]->timeout_ns)
      finish(static_cast<NodeSlot>(slot), false, now);
}

void KernelProbes::forget(NodeSlot slot) {
  if (is_out(slot)) running_[slot].reset();
}

void KernelProbes::finish(NodeSlot slot, bool ok, MonoNs now) {
  const MonoNs took_ns = now - running_[slot]->started;
  running_[slot].reset();
  done_(slot, ok, took_ns < 0 ? 0 : took_ns);
}

std::optional<bool> http_success(std::string_view received) {
  constexpr std::string_view kStart = "HTTP/1.";
  constexpr size_t kStatusAt = 9;  // "HTTP/1.1 200"
  if (received.substr(0, kStart.size()) != kStart.substr(0, received.size())) return false;
  if (received.size() < kStatusAt + 3) return std::nullopt;
  const auto digit = [&](size_t k) {
    const char c = received[kStatusAt + k];
    return c >= '0' && c <= '9';
  };
  if (received[kStatusAt - 1] != ' ' || !digit(0) || !digit(1) || !digit(2)) return false;
  return received[kStatusAt] == '2' || received[kStatusAt] == '3';
}

}  // namespace lf::probe
