// SPDX-License-Identifier: Apache-2.0
#include "tools/common/udp.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace lf::tools {
namespace {

constexpr int kSocketBufferBytes = 16 << 20;

// Past the limit for ordinary users where we may, up to it where we may not.
void enlarge_buffer(int fd, int forced, int plain) {
  if (setsockopt(fd, SOL_SOCKET, forced, &kSocketBufferBytes, sizeof(kSocketBufferBytes)) != 0)
    setsockopt(fd, SOL_SOCKET, plain, &kSocketBufferBytes, sizeof(kSocketBufferBytes));
}

Result<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0)
    return fail(ErrorCode::invalid, "{}: not a port", text);
  return port;
}

}  // namespace

uint16_t Endpoint::port() const {
  // sin_port and sin6_port are at the same place
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

bool Endpoint::operator==(const Endpoint& other) const {
  if (family() != other.family() || port() != other.port()) return false;
  if (family() == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in*>(&other.storage)->sin_addr.s_addr;
  return std::memcmp(&reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr,
                     &reinterpret_cast<const sockaddr_in6*>(&other.storage)->sin6_addr,
                     sizeof(in6_addr)) == 0;
}

Result<Endpoint> parse_endpoint(std::string_view text, uint16_t default_port) {
  std::string host(text);
  uint16_t port = default_port;
  std::string_view port_text;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == text.npos || (close + 1 < text.size() && text[close + 1] != ':'))
      return fail(ErrorCode::invalid, "{}: not an address", text);
    host = text.substr(1, close - 1);
    if (close + 1 < text.size()) port_text = text.substr(close + 2);
  } else if (const size_t colon = text.find(':');
             colon != text.npos && text.find(':', colon + 1) == text.npos) {
    host = text.substr(0, colon);
    port_text = text.substr(colon + 1);
  }
  if (port_text.data() != nullptr) {
    const auto parsed = parse_port(port_text);
    if (!parsed) return tl::unexpected(parsed.error());
    port = *parsed;
  }
  Endpoint e;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&e.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&e.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    e.size = sizeof(*v4);
  } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    e.size = sizeof(*v6);
  } else {
    return fail(ErrorCode::invalid, "{}: not an IPv4 or IPv6 address", text);
  }
  return e;
}

std::string to_string(const Endpoint& e) {
  char text[INET6_ADDRSTRLEN] = {};
  if (e.family() == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&e.storage)->sin_addr, text,
              sizeof(text));
    return fmt::format("{}:{}", text, e.port());
  }
  inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&e.storage)->sin6_addr, text,
            sizeof(text));
  return fmt::format("[{}]:{}", text, e.port());
}

Endpoint any_endpoint(int family) {
  Endpoint e;
  e.storage.ss_family = static_cast<sa_family_t>(family);
  e.size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  return e;
}

Result<UdpSocket> UdpSocket::bind(const Endpoint& local) {
  UdpSocket s(::socket(local.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (s.fd_ < 0) return fail(ErrorCode::unavailable, "socket: {}", std::strerror(errno));
  const int on = 1;
  setsockopt(s.fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (local.family() == AF_INET6) setsockopt(s.fd_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  enlarge_buffer(s.fd_, SO_RCVBUFFORCE, SO_RCVBUF);
  enlarge_buffer(s.fd_, SO_SNDBUFFORCE, SO_SNDBUF);
  if (::bind(s.fd_, reinterpret_cast<const sockaddr*>(&local.storage), local.size) != 0)
    return fail(ErrorCode::unavailable, "bind to {}: {}", to_string(local), std::strerror(errno));
  return s;
}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) ::close(fd_);
}

Endpoint UdpSocket::local() const {
  Endpoint e;
  e.size = sizeof(e.storage);
  getsockname(fd_, reinterpret_cast<sockaddr*>(&e.storage), &e.size);
  return e;
}

Receiver::Receiver()
    : bytes_(size_t{kBatchMax} * kReceiveMax),
      from_(kBatchMax),
      pieces_(kBatchMax),
      messages_(kBatchMax) {
  for (uint32_t i = 0; i < kBatchMax; ++i) {
    pieces_[i] = {bytes_.data() + size_t{i} * kReceiveMax, kReceiveMax};
    messages_[i].msg_hdr.msg_name = &from_[i].storage;
    messages_[i].msg_hdr.msg_iov = &pieces_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

uint32_t Receiver::receive(const UdpSocket& socket) {
  for (auto& m : messages_) m.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
  const int n = recvmmsg(socket.fd(), messages_.data(), kBatchMax, MSG_DONTWAIT, nullptr);
  if (n <= 0) return 0;
  for (int i = 0; i < n; ++i) from_[i].size = messages_[i].msg_hdr.msg_namelen;
  return static_cast<uint32_t>(n);
}

std::span<const uint8_t> Receiver::datagram(uint32_t i) const {
  return {static_cast<const uint8_t*>(pieces_[i].iov_base), messages_[i].msg_len};
}

SendQueue::SendQueue()
    : bytes_(kBatchMax), to_(kBatchMax), pieces_(kBatchMax), messages_(kBatchMax) {
  for (uint32_t i = 0; i < kBatchMax; ++i) {
    messages_[i].msg_hdr.msg_name = &to_[i].storage;
    messages_[i].msg_hdr.msg_iov = &pieces_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

std::span<uint8_t> SendQueue::add(const Endpoint& to, uint32_t size) {
  const uint32_t i = count_++;
  bytes_[i].resize(size);
  to_[i] = to;
  pieces_[i] = {bytes_[i].data(), size};
  messages_[i].msg_hdr.msg_namelen = to.size;
  return bytes_[i];
}

uint32_t SendQueue::flush(const UdpSocket& socket) {
  uint32_t refused = 0;
  for (uint32_t at = 0; at < count_;) {
    const int n = sendmmsg(socket.fd(), messages_.data() + at, count_ - at, 0);
    if (n > 0) {
      at += static_cast<uint32_t>(n);
    } else if (errno != EINTR) {
      ++refused;  // this one; go on with the next
      ++at;
    }
  }
  count_ = 0;
  return refused;
}

}  // namespace lf::tools
