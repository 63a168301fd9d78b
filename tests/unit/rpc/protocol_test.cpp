// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/protocol.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace lf::rpc {
namespace {

Command echo() {
  return {"echo",
          "gives its parameters back",
          {{"text", "string", true, "what"},
           {"times", "integer", false, ""},
           {"org", "string|integer", false, ""},
           {"rate", "number", false, ""},
           {"list", "array", false, ""},
           {"map", "object", false, ""},
           {"flag", "boolean", false, ""},
           {"what", "any", false, ""}},
          false,
          [](const Json& params) -> Result<Json> { return params; },
          {}};
}

class Protocol : public ::testing::Test {
 protected:
  Protocol() {
    table.add(echo());
    table.add(
        {"fail",
         "",
         {},
         false,
         [](const Json&) -> Result<Json> { return fail(ErrorCode::not_found, "no such thing"); },
         {}});
    table.add({"throw",
               "",
               {},
               false,
               [](const Json&) -> Result<Json> { throw std::runtime_error("oh \xff"); },
               {}});
    table.add({"who", "", {}, true, {}, [](const Json&, const Caller& caller, const Reply& reply) {
                 reply(Json{{"uid", caller.uid}});
               }});
  }

  // All answers to a line, as JSON; null for none.
  Json ask(std::string_view line) {
    auto message = parse_message(line);
    if (!message) return Json::parse(message.error());
    Json answers = Json::array();
    for (Json& call : message->calls)
      execute(table, call, Caller{42, 43, 44}, [&](const std::string& text) {
        if (!text.empty()) answers.push_back(Json::parse(text));
      });
    if (message->batch) return answers;
    return answers.empty() ? Json() : answers[0];
  }
  int code(std::string_view line) { return ask(line)["error"]["code"].get<int>(); }
  std::string why(std::string_view line) {
    return ask(line)["error"]["message"].get<std::string>();
  }
  // Why the parameters of an echo call are refused; empty when they are not.
  std::string refusal(const std::string& params) {
    const Json answer = ask(R"({"jsonrpc":"2.0","id":1,"method":"echo","params":)" + params + "}");
    if (!answer.contains("error")) return "";
    EXPECT_EQ(-32602, answer["error"]["code"]);
    return answer["error"]["message"];
  }

  CommandTable table;
};

TEST_F(Protocol, AnswersACall) {
  const Json answer = ask(R"({"jsonrpc":"2.0","id":"x","method":"echo","params":{"text":"hi"}})");
  EXPECT_EQ(Json::parse(R"({"jsonrpc":"2.0","id":"x","result":{"text":"hi"}})"), answer);
}

TEST_F(Protocol, KeepsTheIdAsItWas) {
  for (const auto* id : {"7", "-1", "1.5", "\"a\"", "null"}) {
    const Json answer = ask(std::string(R"({"jsonrpc":"2.0","method":"help","id":)") + id + "}");
    EXPECT_EQ(Json::parse(id), answer["id"]);
    EXPECT_TRUE(answer.contains("result"));
  }
}

TEST_F(Protocol, DoesNotAnswerNotifications) {
  EXPECT_TRUE(ask(R"({"jsonrpc":"2.0","method":"echo","params":{"text":"hi"}})").is_null());
  EXPECT_TRUE(ask(R"({"jsonrpc":"2.0","method":"nope"})").is_null());
  EXPECT_TRUE(ask(R"({"jsonrpc":"2.0","method":"echo","params":{}})").is_null());
}

TEST_F(Protocol, RefusesWhatIsNotJson) {
  for (const auto* line :
       {"{", "nonsense", "{\"jsonrpc\":\"2.0\",}", "\"\xff\"", "1e999", "[1,2", "{} {}", "\x01"})
    EXPECT_EQ(-32700, code(line)) << line;
}

TEST_F(Protocol, RefusesDeepNesting) {
  EXPECT_EQ(-32700, code(std::string(100'000, '[')));
  EXPECT_EQ(-32700, code(std::string(65, '[') + std::string(65, ']')));
  const std::string in_a_string = std::string(1000, '[');
  EXPECT_EQ("", refusal(R"({"text":"a\")" + in_a_string + "\"}"));
}

TEST_F(Protocol, RefusesWhatIsNoCall) {
  for (const auto* line :
       {"1", "null", "\"x\"", "{}", R"({"jsonrpc":"1.0","id":1,"method":"echo"})",
        R"({"jsonrpc":"2.0","id":1})", R"({"jsonrpc":"2.0","id":1,"method":7})",
        R"({"jsonrpc":"2.0","id":{},"method":"echo"})",
        R"({"jsonrpc":"2.0","id":true,"method":"x"})", "[]"})
    EXPECT_EQ(-32600, code(line)) << line;
}

TEST_F(Protocol, SuggestsTheMethodThatWasMeant) {
  EXPECT_EQ(-32601, code(R"({"jsonrpc":"2.0","id":1,"method":"ecko"})"));
  EXPECT_NE(std::string::npos,
            why(R"({"jsonrpc":"2.0","id":1,"method":"ecko"})").find("did you mean \"echo\""));
}

TEST_F(Protocol, ChecksParameters) {
  EXPECT_EQ("", refusal(R"({"text":"a","times":3,"org":"acme","rate":1,"list":[],"map":{},
                            "flag":true,"what":null})"));
  EXPECT_EQ("", refusal(R"({"text":"a","org":1})"));
  EXPECT_EQ("", refusal(R"({"text":"a","times":null})"));  // optional: as if absent
  EXPECT_EQ("", refusal(R"(["a",3])"));
  EXPECT_EQ("echo: parameter \"text\" is missing", refusal("{}"));
  EXPECT_EQ("echo: parameter \"text\" is missing", refusal("[]"));
  EXPECT_EQ("echo: parameter \"text\" must be string, not null", refusal(R"({"text":null})"));
  EXPECT_EQ("echo: parameter \"times\" must be integer, not number",
            refusal(R"({"text":"a","times":1.5})"));
  EXPECT_EQ("echo: parameter \"org\" must be string|integer, not boolean",
            refusal(R"({"text":"a","org":true})"));
  EXPECT_EQ("echo: unknown parameter \"txt\"; did you mean \"text\"?", refusal(R"({"txt":"a"})"));
  EXPECT_EQ("echo: 9 parameters by position, but it takes 8", refusal("[1,2,3,4,5,6,7,8,9]"));
  EXPECT_EQ("echo: params must be an object or an array", refusal("7"));
  EXPECT_NE(
      std::string::npos,
      why(R"({"jsonrpc":"2.0","id":1,"method":"fail","params":{"a":1}})").find("it takes none"));
}

TEST_F(Protocol, TurnsFailuresIntoErrors) {
  EXPECT_EQ(-32001, code(R"({"jsonrpc":"2.0","id":1,"method":"fail"})"));
  EXPECT_EQ("no such thing", why(R"({"jsonrpc":"2.0","id":1,"method":"fail"})"));
  EXPECT_EQ(-32603, code(R"({"jsonrpc":"2.0","id":1,"method":"throw"})"));
}

TEST_F(Protocol, TellsADeferredCommandWhoAsks) {
  EXPECT_EQ(42, ask(R"({"jsonrpc":"2.0","id":1,"method":"who"})")["result"]["uid"]);
}

TEST_F(Protocol, AnswersEachCallOfABatch) {
  const Json answers = ask(R"([{"jsonrpc":"2.0","id":1,"method":"echo","params":["a"]}, 7,
                               {"jsonrpc":"2.0","method":"help"},
                               {"jsonrpc":"2.0","id":2,"method":"nope"}])");
  ASSERT_EQ(3u, answers.size());
  EXPECT_EQ(1, answers[0]["id"]);
  EXPECT_EQ(-32600, answers[1]["error"]["code"]);
  EXPECT_EQ(-32601, answers[2]["error"]["code"]);
}

TEST_F(Protocol, RefusesAnEndlessBatch) {
  std::string line = "[0";
  for (size_t i = 0; i < kBatchMax; ++i) line += ",0";
  EXPECT_EQ(-32600, code(line + "]"));
}

TEST_F(Protocol, HelpListsAndDescribes) {
  const Json all = ask(R"({"jsonrpc":"2.0","id":1,"method":"help"})")["result"]["commands"];
  EXPECT_EQ(table.names().size(), all.size());
  const Json one = ask(R"({"jsonrpc":"2.0","id":1,"method":"help","params":["echo"]})")["result"];
  EXPECT_EQ("text", one["parameters"][0]["name"]);
  EXPECT_EQ(-32001, code(R"({"jsonrpc":"2.0","id":1,"method":"help","params":["ecko"]})"));
}

}  // namespace
}  // namespace lf::rpc
