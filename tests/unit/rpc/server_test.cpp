// SPDX-License-Identifier: Apache-2.0
// The control socket with real sockets, on one thread: clients do not block, and the loop takes a
// turn whenever they would have to wait.
#include "control/rpc/server.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

namespace lf::rpc {
namespace {

constexpr int kTurnsMax = 200'000;

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    loop = std::move(*EventLoop::create());
    options.path = ::testing::TempDir() + "lf_rpc_" + std::to_string(::getpid()) + ".sock";
    table.add({"echo",
               "",
               {{"text", "string", true, ""}},
               false,
               [this](const Json& params) -> Result<Json> {
                 ++echoes;
                 return params;
               },
               {}});
    table.add({"big",
               "",
               {},
               false,
               [](const Json&) -> Result<Json> { return std::string(512 << 10, 'x'); },
               {}});
    table.add({"later", "", {}, false, {}, [this](const Json&, const Caller&, Reply reply) {
                 waiting.push_back(reply);
               }});
  }
  void start() {
    auto made = Server::listen(*loop, table, options);
    ASSERT_TRUE(made) << made.error().message;
    server = std::move(*made);
  }
  void turn() { loop->run_once(0); }
  template <typename F>
  bool until(F&& condition) {
    for (int i = 0; i < kTurnsMax; ++i) {
      if (condition()) return true;
      turn();
    }
    return false;
  }

  CommandTable table;
  ServerOptions options;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<Server> server;
  std::vector<Reply> waiting;
  int echoes = 0;
};

class Client {
 public:
  Client(const std::string& path, EventLoop& loop) : loop_(loop) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    for (int i = 0; i < kTurnsMax; ++i) {
      connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
      if (connected_ || errno != EAGAIN) break;  // EAGAIN: the backlog is full
      loop_.run_once(0);
    }
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  int fd() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // False when the server closed before all was taken.
  bool send(std::string_view data) {
    for (int i = 0; i < kTurnsMax && !data.empty(); ++i) {
      const ssize_t n = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
      if (n > 0)
        data.remove_prefix(static_cast<size_t>(n));
      else if (errno != EAGAIN)
        return false;
      loop_.run_once(0);
    }
    return data.empty();
  }
  // Next line without its end; "EOF" when the server closed, "NONE" when it says nothing.
  std::string line() {
    for (int i = 0; i < kTurnsMax; ++i) {
      scanned_ = std::min(in_.find('\n', scanned_), in_.size());
      if (scanned_ < in_.size()) {
        std::string line = in_.substr(0, scanned_);
        in_.erase(0, scanned_ + 1);
        scanned_ = 0;
        return line;
      }
      char buffer[65536];
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n > 0) {
        in_.append(buffer, static_cast<size_t>(n));
      } else if (n == 0 || errno != EAGAIN) {
        return "EOF";
      } else if (!loop_.run_once(0) || i > 1000) {
        return "NONE";
      }
    }
    return "NONE";
  }
  Json answer() {
    const std::string text = line();
    return Json::accept(text) ? Json::parse(text) : Json(text);
  }

 private:
  EventLoop& loop_;
  int fd_ = -1;
  bool connected_ = false;
  std::string in_;
  size_t scanned_ = 0;
};

std::string echo_call(int id, const std::string& text = "hi") {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) +
         R"(,"method":"echo","params":{"text":")" + text + "\"}}";
}

TEST_F(ServerTest, AnswersLineByLineAndInOrder) {
  start();
  Client client(options.path, *loop);
  ASSERT_TRUE(client.send(echo_call(1) + "\n\n  \r\n" + echo_call(2) + "\n" + echo_call(3) + "\n"));
  for (int id = 1; id <= 3; ++id) EXPECT_EQ(id, client.answer()["id"]);
}

TEST_F(ServerTest, TakesALineInPieces) {
  start();
  Client client(options.path, *loop);
  for (const char c : echo_call(1) + "\n") {
    ASSERT_TRUE(client.send(std::string(1, c)));
    turn();
  }
  EXPECT_EQ(1, client.answer()["id"]);
}

TEST_F(ServerTest, AnswersBeforeClosingWhenTheClientOnlyShutsItsWritingSide) {
  start();
  Client client(options.path, *loop);
  ASSERT_TRUE(client.send(echo_call(1) + "\n" + echo_call(2)));  // no newline at the end
  ::shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(1, client.answer()["id"]);
  EXPECT_EQ(2, client.answer()["id"]);
  EXPECT_EQ("EOF", client.line());
  EXPECT_TRUE(until([&] { return server->clients() == 0; }));
}

TEST_F(ServerTest, SurvivesGarbage) {
  start();
  Client client(options.path, *loop);
  ASSERT_TRUE(client.send("GET / HTTP/1.0\n\x80\x81\n" + std::string(1000, '[') + "\n"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(-32700, client.answer()["error"]["code"]);
  ASSERT_TRUE(client.send(echo_call(4) + "\n"));
  EXPECT_EQ(4, client.answer()["id"]);
  EXPECT_EQ(3u, server->counters().errors);
}

TEST_F(ServerTest, ABatchOfThousandsGoesThroughWhileOthersAreServed) {
  start();
  Client slow(options.path, *loop), quick(options.path, *loop);
  constexpr int kCalls = 20'000;
  std::string batch = "[";
  for (int i = 0; i < kCalls; ++i) batch += (i > 0 ? "," : "") + echo_call(i);
  ASSERT_TRUE(slow.send(batch + "]\n"));
  ASSERT_TRUE(until([&] { return echoes > 0; }));
  ASSERT_TRUE(quick.send(echo_call(1) + "\n"));
  EXPECT_EQ(1, quick.answer()["id"]);
  EXPECT_LT(echoes, kCalls);  // the batch is still under way
  const Json answers = slow.answer();
  ASSERT_EQ(size_t{kCalls}, answers.size());
  for (int i = 0; i < kCalls; ++i) ASSERT_EQ(i, answers[static_cast<size_t>(i)]["id"]);
}

TEST_F(ServerTest, ABatchOfNotificationsHasNoAnswer) {
  start();
  Client client(options.path, *loop);
  ASSERT_TRUE(client.send(R"([{"jsonrpc":"2.0","method":"echo","params":["a"]}])"
                          "\n" +
                          echo_call(5) + "\n"));
  EXPECT_EQ(5, client.answer()["id"]);
  EXPECT_EQ(2, echoes);
}

TEST_F(ServerTest, AThousandClientsAtOnce) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2200) GTEST_SKIP() << "only " << limit.rlim_cur << " descriptors";
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<Client>(options.path, *loop));
    ASSERT_TRUE(clients.back()->connected()) << i;
    if (i % 100 == 99) turn();
  }
  ASSERT_TRUE(until([&] { return server->clients() == 1000; }));
  for (int i = 0; i < 1000; ++i)
    ASSERT_TRUE(clients[static_cast<size_t>(i)]->send(echo_call(i) + "\n"));
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(i, clients[static_cast<size_t>(i)]->answer()["id"]);
  clients.clear();
  EXPECT_TRUE(until([&] { return server->clients() == 0; }));
}

TEST_F(ServerTest, RefusesMoreClientsThanAllowedAndSaysSo) {
  options.clients_max = 2;
  start();
  Client a(options.path, *loop), b(options.path, *loop), c(options.path, *loop);
  EXPECT_EQ(-32003, c.answer()["error"]["code"]);
  EXPECT_EQ("EOF", c.line());
  a.close();
  ASSERT_TRUE(until([&] { return server->clients() == 1; }));
  Client d(options.path, *loop);
  ASSERT_TRUE(d.send(echo_call(1) + "\n"));
  EXPECT_EQ(1, d.answer()["id"]);
  EXPECT_EQ(1u, server->counters().refused_full);
}

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

TEST_F(ServerTest, AHundredMegabyteLineIsCutOffAndCostsNoMemory) {
  start();
  Client bystander(options.path, *loop);
  {
    Client client(options.path, *loop);
    const std::string piece(1 << 20, 'x');
    const size_t before = resident_bytes();
    int sent = 0;
    while (sent < 100 && client.send(piece)) ++sent;
    EXPECT_LT(sent, 20);  // closed soon after 16 MiB
    EXPECT_LT(resident_bytes(), before + (80u << 20));
    const Json answer = client.answer();
    EXPECT_EQ(-32600, answer["error"]["code"]);
    EXPECT_EQ("EOF", client.line());
  }
  EXPECT_EQ(1u, server->counters().dropped);
  ASSERT_TRUE(bystander.send(echo_call(1) + "\n"));
  EXPECT_EQ(1, bystander.answer()["id"]);
}

TEST_F(ServerTest, ALongMessageWithinTheBoundIsTaken) {
  start();
  Client client(options.path, *loop);
  ASSERT_TRUE(client.send(echo_call(1, std::string(8 << 20, 'y')) + "\n"));
  EXPECT_EQ(size_t{8 << 20}, client.answer()["result"]["text"].get<std::string>().size());
}

TEST_F(ServerTest, WhatWaitsOverAllClientsIsBounded) {
  options.waiting_bytes_max = 4u << 20;
  start();
  std::vector<std::unique_ptr<Client>> clients;
  int refused = 0;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<Client>(options.path, *loop));
    const bool taken = clients.back()->send(std::string(1 << 20, 'x'));
    const Json answer = clients.back()->answer();
    if (!taken || answer.is_object()) ++refused;
  }
  EXPECT_GE(refused, 4);
  clients.clear();
  ASSERT_TRUE(until([&] { return server->clients() == 0; }));
  Client client(options.path, *loop);  // what they held is free again
  ASSERT_TRUE(client.send(echo_call(1, std::string(3 << 20, 'y')) + "\n"));
  EXPECT_EQ(1, client.answer()["id"]);
}

TEST_F(ServerTest, AClientThatDoesNotReadIsNotReadFrom) {
  start();
  Client slow(options.path, *loop), other(options.path, *loop);
  std::string calls;
  for (int i = 0; i < 100; ++i)
    calls += R"({"jsonrpc":"2.0","id":)" + std::to_string(i) + R"(,"method":"big"})" + "\n";
  ASSERT_TRUE(slow.send(calls));
  for (int i = 0; i < 1000; ++i) turn();
  EXPECT_LT(server->counters().calls, 10u);  // about a megabyte of answers is under way
  ASSERT_TRUE(other.send(echo_call(7) + "\n"));
  EXPECT_EQ(7, other.answer()["id"]);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(i, slow.answer()["id"]);
}

TEST_F(ServerTest, ADisconnectInMidCallHurtsNobody) {
  start();
  {
    Client client(options.path, *loop);
    ASSERT_TRUE(client.send(R"({"jsonrpc":"2.0","id":1,"method":"later"})"
                            "\n"));
    ASSERT_TRUE(until([&] { return waiting.size() == 1; }));
  }
  EXPECT_TRUE(until([&] { return server->clients() == 0; }));
  waiting[0](Json("too late"));
  Client half(options.path, *loop);
  ASSERT_TRUE(half.send(echo_call(1).substr(0, 20)));
  half.close();
  EXPECT_TRUE(until([&] { return server->clients() == 0; }));
}

TEST_F(ServerTest, ADeferredAnswerHoldsBackLaterCallsOfItsClientOnly) {
  start();
  Client client(options.path, *loop), other(options.path, *loop);
  ASSERT_TRUE(client.send(R"({"jsonrpc":"2.0","id":1,"method":"later"})"
                          "\n" +
                          echo_call(2) + "\n"));
  ASSERT_TRUE(until([&] { return waiting.size() == 1; }));
  ASSERT_TRUE(other.send(echo_call(3) + "\n"));
  EXPECT_EQ(3, other.answer()["id"]);
  EXPECT_EQ("NONE", client.line());
  waiting[0](Json("now"));
  waiting[0](Json("again"));  // a second answer is ignored
  EXPECT_EQ("now", client.answer()["result"]);
  EXPECT_EQ(2, client.answer()["id"]);
}

TEST_F(ServerTest, AnAnswerAfterTheServersEndIsIgnored) {
  start();
  Client client(options.path, *loop);
  ASSERT_TRUE(client.send(R"({"jsonrpc":"2.0","id":1,"method":"later"})"
                          "\n"));
  ASSERT_TRUE(until([&] { return waiting.size() == 1; }));
  server.reset();
  waiting[0](Json("late"));
  EXPECT_EQ("EOF", client.line());
}

TEST_F(ServerTest, TheSocketFileIsForTheGroupAndGoesAway) {
  start();
  struct stat file {};
  ASSERT_EQ(0, ::lstat(options.path.c_str(), &file));
  EXPECT_EQ(0660u, file.st_mode & 07777u);
  server.reset();
  EXPECT_NE(0, ::lstat(options.path.c_str(), &file));
}

TEST_F(ServerTest, AStaleSocketFileIsReplacedButNotOneInUseOrAnotherFile) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  options.path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(0, ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  ::close(fd);  // the file stays
  start();
  const auto second = Server::listen(*loop, table, options);
  ASSERT_FALSE(second);
  EXPECT_EQ(ErrorCode::conflict, second.error().code);
  EXPECT_TRUE(std::filesystem::exists(options.path));
  server.reset();
  std::ofstream(options.path) << "precious";
  EXPECT_FALSE(Server::listen(*loop, table, options));
  EXPECT_EQ(8u, std::filesystem::file_size(options.path));
  std::filesystem::remove(options.path);
}

TEST_F(ServerTest, AnotherDaemonsSocketIsNotRemoved) {
  start();
  auto old = std::move(server);
  std::filesystem::remove(options.path);
  start();  // somebody else's now
  old.reset();
  EXPECT_TRUE(std::filesystem::exists(options.path));
}

}  // namespace
}  // namespace lf::rpc
