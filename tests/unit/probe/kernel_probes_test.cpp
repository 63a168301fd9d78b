// SPDX-License-Identifier: Apache-2.0
// Against real sockets on loopback, in one thread: the test plays the server between the turns of
// the probe. Time is an argument; the kernel is waited for with poll, bounded.
#include "control/probe/kernel_probes.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "control/base/address.hpp"

namespace lf::probe {
namespace {

constexpr MonoNs kMs = 1'000'000;

class Server {
 public:
  explicit Server(bool listening = true) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    if (listening) {
      EXPECT_EQ(listen(fd_, 8), 0);
    }
    socklen_t length = sizeof a;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &length);
    port_ = ntohs(a.sin_port);
  }
  ~Server() {
    if (client_ >= 0) close(client_);
    close(fd_);
  }
  uint16_t port() const { return port_; }
  void accept() {
    client_ = ::accept(fd_, nullptr, nullptr);
    ASSERT_GE(client_, 0);
  }
  std::string read_request() {
    std::string text;
    char buffer[512];
    while (text.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = recv(client_, buffer, sizeof buffer, 0);
      if (n <= 0) break;
      text.append(buffer, static_cast<size_t>(n));
    }
    return text;
  }
  void write(std::string_view text) {
    EXPECT_EQ(send(client_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void hang_up() {
    close(client_);
    client_ = -1;
  }

 private:
  int fd_ = -1, client_ = -1;
  uint16_t port_ = 0;
};

class KernelProbesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto p = KernelProbes::create([this](NodeSlot slot, bool ok, MonoNs took_ns) {
      EXPECT_EQ(slot, 5);
      results_.push_back({ok, took_ns});
    });
    ASSERT_TRUE(p);
    probes_ = std::move(*p);
  }
  bool start(const Server& server, config::ProbeKind kind, MonoNs now = 0) {
    return probes_->start(
        5, {kind, parse_address("127.0.0.1")->address, 4, server.port(), "/up", "", ""}, now,
        500 * kMs);
  }
  // Until the kernel has something for the probe, then one turn.
  void turn(MonoNs now) {
    pollfd p{probes_->epoll_fd(), POLLIN, 0};
    ASSERT_EQ(poll(&p, 1, 5000), 1);
    probes_->on_ready(now);
  }

  struct Outcome {
    bool ok;
    MonoNs took_ns;
    bool operator==(const Outcome&) const = default;
  };
  std::vector<Outcome> results_;
  std::unique_ptr<KernelProbes> probes_;
};

TEST_F(KernelProbesTest, TcpConnects) {
  Server server;
  ASSERT_TRUE(start(server, config::ProbeKind::tcp, kMs));
  turn(3 * kMs);
  EXPECT_EQ(results_, (std::vector<Outcome>{{true, 2 * kMs}}));
  EXPECT_FALSE(probes_->is_out(5));
}

TEST_F(KernelProbesTest, TcpRefused) {
  Server closed(false);  // the port is taken, but nobody listens
  ASSERT_TRUE(start(closed, config::ProbeKind::tcp));
  if (results_.empty()) turn(kMs);
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_FALSE(results_[0].ok);
}

TEST_F(KernelProbesTest, HttpAnswersInPieces) {
  Server server;
  ASSERT_TRUE(start(server, config::ProbeKind::http));
  turn(kMs);
  server.accept();
  const std::string request = server.read_request();
  EXPECT_EQ(request.substr(0, 18), "GET /up HTTP/1.1\r\n");
  EXPECT_NE(request.find("\r\nHost: 127.0.0.1:" + std::to_string(server.port()) + "\r\n"),
            std::string::npos);
  server.write("HTTP/1.1 2");
  turn(2 * kMs);
  EXPECT_TRUE(results_.empty());
  server.write("04 No Content\r\n\r\n");
  turn(4 * kMs);
  EXPECT_EQ(results_, (std::vector<Outcome>{{true, 4 * kMs}}));
}

TEST_F(KernelProbesTest, HttpErrorsAreFailures) {
  for (const char* answer :
       {"HTTP/1.1 503 Service Unavailable\r\n\r\n", "SSH-2.0-OpenSSH\r\n", ""}) {
    Server server;
    results_.clear();
    ASSERT_TRUE(start(server, config::ProbeKind::http));
    turn(kMs);
    server.accept();
    server.read_request();
    if (*answer != 0) server.write(answer);
    server.hang_up();
    turn(2 * kMs);
    ASSERT_EQ(results_.size(), 1u) << answer;
    EXPECT_FALSE(results_[0].ok) << answer;
  }
}

// A datagram comes, and what `answer` says goes back.
class UdpServer {
 public:
  UdpServer() {
    fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    socklen_t length = sizeof a;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &length);
    port_ = ntohs(a.sin_port);
  }
  ~UdpServer() { close(fd_); }
  uint16_t port() const { return port_; }
  std::string exchange(std::string_view answer) {
    char buffer[512];
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const ssize_t n =
        recvfrom(fd_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &length);
    EXPECT_GE(n, 0);
    EXPECT_EQ(
        sendto(fd_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), length),
        static_cast<ssize_t>(answer.size()));
    return {buffer, static_cast<size_t>(std::max<ssize_t>(n, 0))};
  }

 private:
  int fd_ = -1;
  uint16_t port_ = 0;
};

TEST_F(KernelProbesTest, UdpWantsTheExpectedBytes) {
  const std::string asked("\0\1ping", 6);
  for (const auto& [answer, ok] : {std::pair{"it is up, yes", true}, {"down", false}}) {
    UdpServer server;
    results_.clear();
    ASSERT_TRUE(probes_->start(5,
                               {config::ProbeKind::udp, parse_address("127.0.0.1")->address, 4,
                                server.port(), "/", asked, "up"},
                               0, 500 * kMs));
    turn(0);
    EXPECT_EQ(server.exchange(answer), asked);
    turn(3 * kMs);
    EXPECT_EQ(results_, (std::vector<Outcome>{{ok, 3 * kMs}})) << answer;
  }
}

TEST_F(KernelProbesTest, UdpToAPortThatIsClosed) {
  uint16_t closed;
  {
    UdpServer server;
    closed = server.port();
  }
  ASSERT_TRUE(probes_->start(
      5, {config::ProbeKind::udp, parse_address("127.0.0.1")->address, 4, closed, "/", "x", ""}, 0,
      500 * kMs));
  turn(0);
  if (results_.empty()) turn(kMs);
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_FALSE(results_[0].ok);
}

// On loopback the request itself comes to a raw socket as well: only the answer counts.
TEST_F(KernelProbesTest, IcmpEcho) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    results_.clear();
    const auto at = parse_address(address);
    if (!probes_->start(5, {config::ProbeKind::icmp, at->address, at->ip_version, 7, "/", "", ""},
                        0, 500 * kMs))
      GTEST_SKIP() << "no right to send echo requests to " << address;
    for (int k = 0; k < 4 && results_.empty(); ++k) turn(2 * kMs);
    EXPECT_EQ(results_, (std::vector<Outcome>{{true, 2 * kMs}})) << address;
  }
}

TEST_F(KernelProbesTest, SilenceTimesOut) {
  Server server;
  ASSERT_TRUE(start(server, config::ProbeKind::http));
  turn(kMs);
  server.accept();
  probes_->expire(499 * kMs);
  EXPECT_TRUE(results_.empty());
  probes_->expire(500 * kMs);
  EXPECT_EQ(results_, (std::vector<Outcome>{{false, 500 * kMs}}));
  probes_->expire(501 * kMs);
  EXPECT_EQ(results_.size(), 1u);
}

TEST_F(KernelProbesTest, ForgottenOnesHaveNoResult) {
  Server server;
  ASSERT_TRUE(start(server, config::ProbeKind::tcp));
  probes_->forget(5);
  probes_->on_ready(kMs);
  probes_->expire(kMs * 1000);
  EXPECT_TRUE(results_.empty());
  ASSERT_TRUE(start(server, config::ProbeKind::tcp));
  ASSERT_TRUE(start(server, config::ProbeKind::tcp));  // the first one is given up
  turn(kMs);
  EXPECT_EQ(results_.size(), 1u);
}

TEST(HttpSuccess, StatusLine) {
  EXPECT_EQ(http_success("HTTP/1.1 200 OK\r\n"), true);
  EXPECT_EQ(http_success("HTTP/1.0 302 Found"), true);
  EXPECT_EQ(http_success("HTTP/1.1 404 Not Found"), false);
  EXPECT_EQ(http_success("HTTP/1.1 100 Continue"), false);
  EXPECT_EQ(http_success(""), std::nullopt);
  EXPECT_EQ(http_success("HT"), std::nullopt);
  EXPECT_EQ(http_success("HTTP/1.1 20"), std::nullopt);
  EXPECT_EQ(http_success("HTTP/1.1x200"), false);
  EXPECT_EQ(http_success("HTTP/1.1 2x0"), false);
  EXPECT_EQ(http_success("HTTP/2 200"), false);
}

}  // namespace
}  // namespace lf::probe
