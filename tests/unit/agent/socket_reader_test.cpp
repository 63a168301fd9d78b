// SPDX-License-Identifier: Apache-2.0
// The BPF iterators in the kernel, over real sockets on the loopback interface. Needs root or
// CAP_BPF and CAP_PERFMON, and a kernel with BTF; skipped without. Other programs' sockets are
// there, too, so ports are the kernel's choice.
#include "tools/lf_agent/socket_reader.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>

namespace lf::agent {
namespace {

using std::chrono::steady_clock;

class Socket {
 public:
  explicit Socket(int type) : Socket(type, ::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in any = loopback(0);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
  }
  Socket(int type, int fd) : type_(type), fd_(fd) {}
  Socket(Socket&& other) noexcept : type_(other.type_), fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }

  int fd() const { return fd_; }
  WatchedPort port() const {
    sockaddr_in a{};
    socklen_t size = sizeof a;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &size);
    return {ntohs(a.sin_port), type_ == SOCK_DGRAM ? uint8_t{IPPROTO_UDP} : uint8_t{IPPROTO_TCP}};
  }
  void connect(const Socket& to) const {
    sockaddr_in a = loopback(to.port().number);
    ASSERT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  }
  void send(size_t bytes) const {
    const std::string data(bytes, 'x');
    ASSERT_EQ(::send(fd_, data.data(), bytes, 0), static_cast<ssize_t>(bytes));
  }
  size_t receive() const {  // waits
    char data[2048];
    return static_cast<size_t>(::recv(fd_, data, sizeof data, 0));
  }
  bool readable() const {
    pollfd p{fd_, POLLIN, 0};
    return ::poll(&p, 1, 0) == 1;
  }

 private:
  static sockaddr_in loopback(uint16_t port) {
    return {.sin_family = AF_INET,
            .sin_port = htons(port),
            .sin_addr = {htonl(INADDR_LOOPBACK)},
            .sin_zero = {}};
  }

  int type_;
  int fd_;
};

class SocketReaderTest : public testing::Test {
 protected:
  void watch(std::vector<WatchedPort> ports) {
    auto loaded = SocketReader::load(ports);
    const bool may = ::geteuid() == 0 && ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
    if (!loaded && !may) GTEST_SKIP() << loaded.error().message;
    ASSERT_TRUE(loaded) << loaded.error().message;
    reader_ = std::move(*loaded);
  }

  lf_agent_sockets read(size_t place = 0) {
    auto ports = reader_->read();
    EXPECT_TRUE(ports) << ports.error().message;
    return ports ? ports->at(place).sockets : lf_agent_sockets{};
  }

  // The kernel may deliver later than send() returns. Up to 30 s; the last reading.
  lf_agent_sockets read_until(const std::function<bool(const lf_agent_sockets&)>& done) {
    const auto end = steady_clock::now() + std::chrono::seconds(30);
    lf_agent_sockets last = read();
    while (!done(last) && steady_clock::now() < end) last = read();
    return last;
  }

  std::unique_ptr<SocketReader> reader_;
};

TEST_F(SocketReaderTest, DatagramsThatNobodyReads) {
  const Socket server(SOCK_DGRAM), other(SOCK_DGRAM), client(SOCK_DGRAM);
  watch({server.port()});
  if (IsSkipped()) return;
  EXPECT_EQ(read().listening, 1u);
  EXPECT_EQ(read().waiting, 0u);
  client.connect(other);
  client.send(100);  // not watched
  client.connect(server);
  for (int i = 0; i < 5; ++i) client.send(100);
  const lf_agent_sockets full = read_until([](auto& s) { return s.waiting == 5; });
  EXPECT_EQ(full.waiting, 5u);
  EXPECT_GE(full.receive_bytes, 500u);
  int limit = 0;
  socklen_t size = sizeof limit;
  ::getsockopt(server.fd(), SOL_SOCKET, SO_RCVBUF, &limit, &size);
  EXPECT_EQ(full.receive_limit, static_cast<uint64_t>(limit));
  EXPECT_EQ(full.drops, 0u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(server.receive(), 100u);
  EXPECT_EQ(read().waiting, 0u);
}

TEST_F(SocketReaderTest, DropsSinceTheWalkBefore) {
  constexpr uint64_t kSent = 1000;
  const Socket server(SOCK_DGRAM), client(SOCK_DGRAM);
  const int small = 1;  // the kernel makes it the least that it allows
  ::setsockopt(server.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  client.connect(server);
  const auto flood = [&] {
    for (uint64_t i = 0; i < kSent; ++i) client.send(100);
  };
  flood();
  watch({server.port()});
  if (IsSkipped()) return;
  EXPECT_EQ(read().drops, 0u) << "of before the agent's time";
  const uint64_t waiting = read_until([](auto& s) { return s.waiting > 0; }).waiting;
  ASSERT_GT(waiting, 0u);
  while (read().drops != 0) continue;  // what was still on its way
  flood();
  uint64_t drops = 0;
  read_until([&](auto& s) { return (drops += s.drops) >= kSent; });
  EXPECT_EQ(drops, kSent) << "the queue was full before";
  EXPECT_EQ(read().drops, 0u);
}

TEST_F(SocketReaderTest, ConnectionsThatNobodyAccepts) {
  const Socket server(SOCK_STREAM), first(SOCK_STREAM), second(SOCK_STREAM);
  ASSERT_EQ(::listen(server.fd(), 7), 0);
  watch({server.port()});
  if (IsSkipped()) return;
  first.connect(server);
  first.send(100);
  second.connect(server);
  const lf_agent_sockets queued = read_until([](auto& s) { return s.accept_waiting == 2; });
  EXPECT_EQ(queued.listening, 1u);
  EXPECT_EQ(queued.accept_waiting, 2u);
  EXPECT_EQ(queued.accept_limit, 7u);
  EXPECT_EQ(queued.waiting, 2u) << "what is unread in them is not counted again";
  EXPECT_EQ(queued.connections, 0u);

  const Socket accepted(SOCK_STREAM, ::accept(server.fd(), nullptr, nullptr));
  const lf_agent_sockets unread =
      read_until([](auto& s) { return s.receive_bytes > 0 && s.waiting == 2; });
  EXPECT_EQ(unread.accept_waiting, 1u);
  EXPECT_EQ(unread.connections, 1u);
  EXPECT_EQ(unread.waiting, 2u) << "one not accepted, one with unread bytes";
  EXPECT_GE(unread.receive_bytes, 100u);
  EXPECT_GT(unread.receive_limit, unread.receive_bytes);
  EXPECT_EQ(accepted.receive(), 100u);
  EXPECT_EQ(read().waiting, 1u);

  read();
  accepted.send(100);
  EXPECT_EQ(first.receive(), 100u);
  const lf_agent_sockets answered = read();
  EXPECT_EQ(answered.segments, 1u);
  EXPECT_EQ(answered.resent, 0u);
  EXPECT_EQ(read().segments, 0u);
}

TEST_F(SocketReaderTest, EachPortAndProtocolForItself) {
  const Socket udp(SOCK_DGRAM), tcp(SOCK_STREAM), client(SOCK_DGRAM);
  ASSERT_EQ(::listen(tcp.fd(), 7), 0);
  const WatchedPort tcp_as_udp{udp.port().number, IPPROTO_TCP};
  watch({tcp.port(), tcp_as_udp, udp.port()});
  if (IsSkipped()) return;
  client.connect(udp);
  client.send(10);
  const auto end = steady_clock::now() + std::chrono::seconds(30);
  while (read(2).waiting != 1 && steady_clock::now() < end) continue;
  EXPECT_EQ(read(2).waiting, 1u);
  EXPECT_EQ(read(2).listening, 1u);
  EXPECT_EQ(read(0).listening, 1u);
  EXPECT_EQ(read(0).waiting, 0u);
}

TEST_F(SocketReaderTest, AServerThatIsGoneDoesNotListen) {
  WatchedPort port;
  {
    const Socket server(SOCK_DGRAM);
    port = server.port();
    watch({port});
    if (IsSkipped()) return;
    EXPECT_EQ(read().listening, 1u);
  }
  EXPECT_EQ(read_until([](auto& s) { return s.listening == 0; }).listening, 0u);
}

}  // namespace
}  // namespace lf::agent
