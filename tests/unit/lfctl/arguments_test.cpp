// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/arguments.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tools/lfctl/command_line.hpp"

namespace lf::ctl {
namespace {

TEST(Arguments, ValuesFollowTheType) {
  EXPECT_EQ(Json(7), value_from("7", "integer").value());
  EXPECT_EQ(Json("7"), value_from("7", "string").value());
  EXPECT_EQ(Json(7), value_from("7", "string|integer").value());
  EXPECT_EQ(Json("n7"), value_from("n7", "string|integer").value());
  EXPECT_EQ(Json(1.5), value_from("1.5", "number").value());
  EXPECT_EQ(Json(-1), value_from("-1", "number").value());
  EXPECT_EQ(Json(true), value_from("yes", "boolean").value());
  EXPECT_EQ(Json::parse("[1,\"b\",2.5]"), value_from("1,b,2.5", "array").value());
  EXPECT_EQ(Json::parse("[[1]]"), value_from("[[1]]", "array").value());
  EXPECT_EQ(Json::array(), value_from("", "array").value());
  EXPECT_EQ(Json::parse("{\"a\":1}"), value_from("{\"a\":1}", "object").value());
  EXPECT_EQ(Json(nullptr), value_from("null", "any").value());
  EXPECT_EQ(Json("acme"), value_from("acme", "any").value());
  for (const auto& [word, type] : {std::pair{"x", "integer"},
                                   {"1.5", "integer"},
                                   {"maybe", "boolean"},
                                   {"[1", "array"},
                                   {"7", "object"},
                                   {"{", "object"},
                                   {"", "number"}})
    EXPECT_FALSE(value_from(word, type)) << word << " as " << type;
}

TEST(Arguments, AnAtSignReadsAFile) {
  const std::string path = ::testing::TempDir() + "lfctl_arguments_test";
  std::ofstream(path) << "rules: []\n";
  EXPECT_EQ(Json("rules: []\n"), value_from("@" + path, "string").value());
  std::filesystem::remove(path);
  EXPECT_FALSE(value_from("@" + path, "string"));
}

TEST(Arguments, RpcParametersAreJsonOrPairs) {
  EXPECT_EQ(Json::object(), parameters_from({}).value());
  EXPECT_EQ(Json::parse(R"({"a":[1]})"), parameters_from({R"({"a":[1]})"}).value());
  EXPECT_EQ(Json::parse("[1,2]"), parameters_from({"[1,2]"}).value());
  EXPECT_EQ(Json::parse(R"({"node":"n1","weight":5,"x":"a=b"})"),
            parameters_from({"node=n1", "weight=5", "x=a=b"}).value());
  EXPECT_FALSE(parameters_from({"{broken"}));
  EXPECT_FALSE(parameters_from({"node"}));
  EXPECT_FALSE(parameters_from({"=x"}));
}

std::vector<MethodInfo> methods() {
  return {
      {"status", "how it is", false, {}},
      {"nodes.list", "nodes", false, {{"service", "string", "", false}}},
      {"nodes.history", "why", false, {{"node", "string", "", false}}},
      {"node.set_weight",
       "weight",
       true,
       {{"service", "string", "", false},
        {"node", "string|integer", "", true},
        {"weight", "number", "", true}}},
      {"quota.top", "top", false, {{"count", "integer", "", false}}},
      {"quota.status", "one", false, {{"org", "any", "", true}, {"intent", "any", "", false}}},
      {"quota.set",
       "limit",
       true,
       {{"org", "any", "", true},
        {"intent", "any", "", false},
        {"limit", "any", "", false},
        {"hard", "boolean", "", false}}},
      {"failover.plan",
       "plan",
       false,
       {{"primary", "string", "", true}, {"candidates", "array", "", false}}},
      {"config.reload", "again", true, {}},
      {"policy.load",
       "rules",
       true,
       {{"text", "string", "", true},
        {"author", "string", "", false},
        {"source", "string", "", false}}},
      {"rpc.describe", "", false, {}},
  };
}

Invocation parse(std::vector<std::string> words) {
  CommandLine line(methods());
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  Invocation invocation = line.parse(std::move(words));
  ::testing::internal::GetCapturedStderr();
  ::testing::internal::GetCapturedStdout();
  return invocation;
}

TEST(CommandLine, WordsBecomeMethodAndParameters) {
  const Invocation status = parse({"status"});
  EXPECT_EQ("status", status.method);
  const Invocation set = parse({"node", "set-weight", "n1", "50", "--service", "orbit"});
  EXPECT_EQ("node.set_weight", set.method);
  EXPECT_TRUE(set.mutates);
  EXPECT_EQ(Json::parse(R"({"node":"n1","weight":50,"service":"orbit"})"), set.params);
  const Invocation named = parse({"node", "set-weight", "--weight=50", "--node", "3"});
  EXPECT_EQ(3, named.params["node"]);
  EXPECT_EQ(Json::parse(R"(["a","b"])"),
            parse({"failover", "plan", "x", "--candidates", "a,b"}).params["candidates"]);
}

TEST(CommandLine, ABareGroupIsItsList) {
  EXPECT_EQ("nodes.list", parse({"nodes"}).method);
  EXPECT_EQ("orbit", parse({"nodes", "--service", "orbit"}).params["service"]);
  EXPECT_EQ("orbit", parse({"nodes", "list", "orbit"}).params["service"]);
  EXPECT_EQ("nodes.history", parse({"nodes", "history"}).method);
  EXPECT_EQ("quota.top", parse({"quota"}).method);
  EXPECT_EQ(5, parse({"quota", "--count", "5"}).params["count"]);
  const Invocation one = parse({"quota", "acme", "firmware-patch"});
  EXPECT_EQ("quota.status", one.method);
  EXPECT_EQ("firmware-patch", one.params["intent"]);
  EXPECT_EQ("quota.set", parse({"quota", "set", "acme", "--limit", "5"}).method);
  EXPECT_EQ("config.reload", parse({"reload"}).method);
}

TEST(CommandLine, FlagsAndNegativeNumbers) {
  const Invocation hard = parse({"quota", "set", "acme", "--limit", "600", "--hard"});
  EXPECT_EQ(true, hard.params["hard"]);
  EXPECT_EQ(false, parse({"quota", "set", "acme", "--hard", "false"}).params["hard"]);
  EXPECT_EQ(-1, parse({"quota", "set", "acme", "--limit=-1"}).params["limit"]);
  EXPECT_EQ(-1, parse({"quota", "set", "acme", "--limit", "-1"}).params["limit"]);
}

TEST(CommandLine, GlobalOptionsMayComeLast) {
  CommandLine line(methods());
  EXPECT_EQ(
      "nodes.list",
      line.parse({"nodes", "--watch", "--interval", "0.5", "--json", "--socket", "/s"}).method);
  EXPECT_TRUE(line.options().watch);
  EXPECT_TRUE(line.options().json);
  EXPECT_EQ(0.5, line.options().interval_s);
  EXPECT_EQ("/s", line.options().socket);
}

TEST(CommandLine, WrongUsageIsStatus2) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"frobnicate"},
                                             {"node"},
                                             {"node", "set-weight", "n1"},
                                             {"node", "set-weight", "n1", "heavy"},
                                             {"node", "set-weight", "n1", "5", "--colour", "red"},
                                             {"status", "extra"},
                                             {"rpc"},
                                             {"rpc", "status", "x"},
                                             {"nodes", "--interval", "0"},
                                             {"completion", "fish"},
                                             {"policy", "load", "/nonexistent/file"},
                                             {}}) {
    const Invocation invocation = parse(words);
    EXPECT_TRUE(invocation.finished);
    EXPECT_EQ(kUsage, invocation.status) << (words.empty() ? "" : words.back());
  }
  EXPECT_EQ(kOk, parse({"--help"}).status);
  EXPECT_EQ(kOk, parse({"node", "set-weight", "--help"}).status);
  EXPECT_EQ(kOk, parse({"completion"}).status);
}

TEST(CommandLine, PolicyTextComesFromAFile) {
  const std::string path = ::testing::TempDir() + "lfctl_policy_test";
  std::ofstream(path) << "rules: []\n";
  const Invocation load = parse({"policy", "load", path, "--author", "ada"});
  EXPECT_EQ("rules: []\n", load.params["text"]);
  EXPECT_EQ("ada", load.params["author"]);
  EXPECT_EQ(path, load.params["source"]);
  EXPECT_FALSE(parse({"policy", "load", path}).params["author"].get<std::string>().empty());
  std::filesystem::remove(path);
}

TEST(CommandLine, RpcCallsAnyMethod) {
  const Invocation call = parse({"rpc", "node.drain", "node=n1"});
  EXPECT_EQ("node.drain", call.method);
  EXPECT_EQ("n1", call.params["node"]);
}

TEST(CommandLine, CompletesWordsOptionsAndValues) {
  CommandLine line(methods());
  const auto has = [&](const std::vector<std::string>& words, const std::string& word) {
    const auto out = line.complete(words);
    return std::find(out.begin(), out.end(), word) != out.end();
  };
  EXPECT_TRUE(has({""}, "status"));
  EXPECT_TRUE(has({"no"}, "nodes"));
  EXPECT_FALSE(has({"no"}, "status"));
  EXPECT_TRUE(has({"node", ""}, "set-weight"));
  EXPECT_TRUE(has({"node", "set-weight", ""}, "<node>"));
  EXPECT_TRUE(has({"node", "set-weight", "--we"}, "--weight"));
  EXPECT_TRUE(has({"--socket", "/s", "nodes", "--"}, "--watch"));
  EXPECT_TRUE(has({"rpc", "node"}, "node.set_weight"));
  EXPECT_TRUE(has({"rpc", ""}, "rpc.describe"));
}

}  // namespace
}  // namespace lf::ctl
