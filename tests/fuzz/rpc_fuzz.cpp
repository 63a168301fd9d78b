// SPDX-License-Identifier: Apache-2.0
// Any bytes as a line on the control socket: each call gets exactly one answer, which is JSON on
// one line, unless it is a notification.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/rpc/protocol.hpp"

namespace {

using lf::rpc::Json;

const lf::rpc::CommandTable& table() {
  static lf::rpc::CommandTable table;
  static const bool filled = [] {
    table.add({"f",
               "gives its parameters back",
               {{"s", "string", false, ""},
                {"i", "integer|string", false, ""},
                {"n", "number", false, ""},
                {"b", "boolean", false, ""},
                {"a", "array", false, ""},
                {"o", "object", false, ""},
                {"x", "any", true, ""}},
               false,
               [](const Json& params) -> lf::Result<Json> { return params; },
               {}});
    return true;
  }();
  (void)filled;
  return table;
}

void check_answer(std::string_view text) {
  if (text.find('\n') != std::string_view::npos) std::abort();
  const Json answer = Json::parse(text, nullptr, false);
  if (!answer.is_object() || answer["jsonrpc"] != "2.0" || !answer.contains("id")) std::abort();
  if (answer.contains("result") == answer.contains("error")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  auto message = lf::rpc::parse_message(line);
  if (!message) {
    check_answer(message.error());
    return 0;
  }
  for (const Json& call : message->calls) {
    int answers = 0;
    lf::rpc::execute(table(), call, {}, [&](const std::string& text) {
      ++answers;
      if (!text.empty()) check_answer(text);
    });
    if (answers != 1) std::abort();
  }
  return 0;
}
