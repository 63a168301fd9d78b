// SPDX-License-Identifier: Apache-2.0
// UDP over ordinary sockets for the reference client and node: addresses as text, and batches of
// datagrams in one system call.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"

namespace lf::tools {

// An IPv4 or IPv6 address and a port.
struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;

  int family() const { return storage.ss_family; }
  uint16_t port() const;
  bool operator==(const Endpoint& other) const;
};

// "10.0.0.1", "10.0.0.1:7171", "fd71::1", "[fd71::1]:7171"
Result<Endpoint> parse_endpoint(std::string_view text, uint16_t default_port);
std::string to_string(const Endpoint& endpoint);
Endpoint any_endpoint(int family);

inline constexpr uint32_t kBatchMax = 64;
inline constexpr uint32_t kReceiveMax = 9216;  // longest datagram that a batch takes

// Owns a bound socket. Sends block, receives do not.
class UdpSocket {
 public:
  static Result<UdpSocket> bind(const Endpoint& local);
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  ~UdpSocket();

  int fd() const { return fd_; }
  Endpoint local() const;

 private:
  explicit UdpSocket(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Datagrams received by one recvmmsg().
class Receiver {
 public:
  Receiver();
  // How many were taken, at most kBatchMax; 0 when none is waiting.
  uint32_t receive(const UdpSocket& socket);
  std::span<const uint8_t> datagram(uint32_t i) const;
  const Endpoint& from(uint32_t i) const { return from_[i]; }

 private:
  std::vector<uint8_t> bytes_;
  std::vector<Endpoint> from_;
  std::vector<iovec> pieces_;
  std::vector<mmsghdr> messages_;
};

// Datagrams to be sent by one sendmmsg().
class SendQueue {
 public:
  SendQueue();
  bool full() const { return count_ == kBatchMax; }
  bool empty() const { return count_ == 0; }
  // Space for a datagram of `size` bytes to `to`, to be filled before flush(). Not when full.
  std::span<uint8_t> add(const Endpoint& to, uint32_t size);
  // Sends all; returns how many the kernel refused.
  uint32_t flush(const UdpSocket& socket);

 private:
  uint32_t count_ = 0;
  std::vector<std::vector<uint8_t>> bytes_;
  std::vector<Endpoint> to_;
  std::vector<iovec> pieces_;
  std::vector<mmsghdr> messages_;
};

}  // namespace lf::tools
