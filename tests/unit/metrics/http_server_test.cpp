// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/http_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

namespace lf::metrics {
namespace {

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(0, ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  return fd;
}

std::string get(int port, const std::string& path) {
  const int fd = connect_to(port);
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(static_cast<ssize_t>(request.size()), ::send(fd, request.data(), request.size(), 0));
  std::string answer;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<size_t>(n));
  ::close(fd);
  return answer;
}

TEST(HttpServer, ServesWhatWasPublishedLast) {
  auto server = HttpServer::start("127.0.0.1:0");
  ASSERT_TRUE(server) << server.error().message;
  const int port = (*server)->port();
  EXPECT_NE(std::string::npos, get(port, "/metrics").find("200 OK"));
  (*server)->publish("a 1\n", "<p>page</p>");
  EXPECT_NE(std::string::npos, get(port, "/metrics").find("\r\n\r\na 1\n"));
  EXPECT_NE(std::string::npos, get(port, "/metrics").find("text/plain; version=0.0.4"));
  (*server)->publish("a 2\n", "<p>page</p>");
  EXPECT_NE(std::string::npos, get(port, "/metrics").find("\r\n\r\na 2\n"));
  EXPECT_NE(std::string::npos, get(port, "/").find("<p>page</p>"));
  EXPECT_NE(std::string::npos, get(port, "/etc/passwd").find("404"));
}

TEST(HttpServer, ServesWhileTextsAreReplaced) {
  auto server = HttpServer::start("127.0.0.1:0");
  ASSERT_TRUE(server);
  std::thread scraper([port = (*server)->port()] {
    for (int i = 0; i < 50; ++i) {
      const std::string answer = get(port, "/metrics");
      const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
      EXPECT_EQ(std::string(body.size(), body.empty() ? 'x' : body[0]), body);  // never a mixture
    }
  });
  for (int i = 0; i < 500; ++i)
    (*server)->publish(std::string(10'000, static_cast<char>('a' + i % 26)), "");
  scraper.join();
}

TEST(HttpServer, AClientThatSaysNothingDoesNotHoldUpOthersOrTheEnd) {
  auto server = HttpServer::start("127.0.0.1:0");
  ASSERT_TRUE(server);
  const int silent = connect_to((*server)->port());
  EXPECT_NE(std::string::npos, get((*server)->port(), "/").find("200 OK"));
  ::close(silent);
}

TEST(HttpServer, SaysWhenTheAddressCannotBeHad) {
  auto first = HttpServer::start("127.0.0.1:0");
  ASSERT_TRUE(first);
  const std::string taken = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = HttpServer::start(taken);
  ASSERT_FALSE(second);
  EXPECT_EQ("metrics: cannot listen on " + taken, second.error().message);
  EXPECT_FALSE(HttpServer::start("203.0.113.1:9"));
  EXPECT_FALSE(HttpServer::start("nonsense"));
  EXPECT_FALSE(HttpServer::start("127.0.0.1:x"));
}

}  // namespace
}  // namespace lf::metrics
