// SPDX-License-Identifier: Apache-2.0
// lfctl against a real control socket: a server on its own thread, and run() as main() calls it.
#include "tools/lfctl/run.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <thread>

#include "control/rpc/server.hpp"
#include "tools/lfctl/command_line.hpp"

namespace lf::ctl {
namespace {

class Run : public ::testing::Test {
 protected:
  Run() : path_(::testing::TempDir() + "lfctl_run_" + std::to_string(::getpid()) + ".sock") {
    spdlog::set_level(spdlog::level::off);  // the server shares our standard output
    loop_ = std::move(*EventLoop::create());
    table_.add({"status",
                "how it is",
                {},
                false,
                [](const rpc::Json&) -> Result<rpc::Json> {
                  return rpc::Json{{"state", "running"}};
                },
                {}});
    table_.add({"node.drain",
                "empties a node",
                {{"node", "string", true, "which"}},
                true,
                [](const rpc::Json& params) -> Result<rpc::Json> {
                  if (params["node"] != "n1")
                    return fail(ErrorCode::not_found, "node: no such node");
                  return rpc::Json{{"state", "draining"}};
                },
                {}});
    table_.add({"nodes.list",
                "nodes",
                {},
                false,
                [](const rpc::Json&) -> Result<rpc::Json> {
                  return rpc::Json::parse(R"([{"name":"n1","service":"orbit"}])");
                },
                {}});
    table_.add({"audit.verify",
                "is it whole",
                {},
                false,
                [](const rpc::Json&) -> Result<rpc::Json> {
                  return rpc::Json{{"intact", false}};
                },
                {}});
    auto made = rpc::Server::listen(*loop_, table_, {.path = path_});
    EXPECT_TRUE(made);
    server_ = std::move(*made);
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~Run() override { stop(); }
  void stop() {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
    server_.reset();
  }

  int lfctl(std::vector<std::string> words) {
    if (words.empty() || words[0] != "__complete")
      words.insert(words.begin(), {"--socket", path_});
    else
      words.insert(words.begin() + 1, {"--socket", path_});
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int status = run(words);
    out_ = ::testing::internal::GetCapturedStdout();
    err_ = ::testing::internal::GetCapturedStderr();
    return status;
  }

  std::string path_, out_, err_;
  std::unique_ptr<EventLoop> loop_;
  rpc::CommandTable table_;
  std::unique_ptr<rpc::Server> server_;
  std::thread thread_;
};

TEST_F(Run, StatusesAreAsDocumented) {
  EXPECT_EQ(kOk, lfctl({"status"}));
  EXPECT_EQ("state  running\n", out_);
  EXPECT_EQ(kOk, lfctl({"status", "--json"}));
  EXPECT_EQ("running", Json::parse(out_)["state"]);
  EXPECT_EQ(kOk, lfctl({"node", "drain", "n1"}));
  EXPECT_EQ(kRefused, lfctl({"node", "drain", "n2"}));
  EXPECT_EQ("lfctl: node: no such node\n", err_);
  EXPECT_EQ(kRefused, lfctl({"node", "drain", "n2", "--json"}));
  EXPECT_EQ(-32001, Json::parse(out_)["error"]["code"]);
  EXPECT_EQ(kRefused, lfctl({"audit", "verify"}));  // an answer, but a negative one
  EXPECT_EQ("intact  no\n", out_);
  EXPECT_EQ(kUsage, lfctl({"node", "drain"}));
  EXPECT_EQ(kUsage, lfctl({"frobnicate"}));
  EXPECT_EQ(kUsage, lfctl({"node", "drain", "n1", "--watch"}));
  stop();
  EXPECT_EQ(kNoDaemon, lfctl({"status"}));
  EXPECT_EQ("lfctl: no daemon at " + path_ + "\n", err_);
  EXPECT_EQ(kOk, lfctl({"--help"}));
}

TEST_F(Run, RpcCallsAnyMethod) {
  EXPECT_EQ(kOk, lfctl({"rpc", "node.drain", R"({"node":"n1"})"}));
  EXPECT_EQ(kOk, lfctl({"rpc", "node.drain", "node=n1", "--json"}));
  EXPECT_EQ(kRefused, lfctl({"rpc", "node.drian", "node=n1"}));
  EXPECT_NE(std::string::npos, err_.find("did you mean \"node.drain\""));
  EXPECT_EQ(kRefused, lfctl({"rpc", "node.drain", "nod=n1"}));
}

TEST_F(Run, HelpComesFromTheDaemon) {
  EXPECT_EQ(kOk, lfctl({"help"}));
  EXPECT_NE(std::string::npos, out_.find("node.drain"));
  EXPECT_EQ(kOk, lfctl({"node", "drain", "--help"}));
  EXPECT_NE(std::string::npos, out_.find("empties a node"));
}

TEST_F(Run, CompletionKnowsNodes) {
  EXPECT_EQ(kOk, lfctl({"__complete", "node", "drain", ""}));
  EXPECT_EQ("n1\n", out_);
  EXPECT_EQ(kOk, lfctl({"__complete", "nod"}));
  EXPECT_EQ("node\nnodes\n", out_);
}

}  // namespace
}  // namespace lf::ctl
