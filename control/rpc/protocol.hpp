// SPDX-License-Identifier: Apache-2.0
// JSON-RPC 2.0, without sockets: from a message's text to calls, and from a call to its answer.
// Control thread only. Nothing that a peer can write makes these throw, recurse deeply or forget
// an answer.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "control/rpc/command_table.hpp"

namespace lf::rpc {

enum class RpcError : int {
  parse = -32700,
  invalid_request = -32600,
  unknown_method = -32601,
  invalid_params = -32602,
  internal = -32603,
  not_allowed = -32000,
  not_found = -32001,
  conflict = -32002,
  unavailable = -32003,
};

inline constexpr size_t kDepthMax = 64;        // of arrays and objects in one message
inline constexpr size_t kBatchMax = 1u << 16;  // calls in one message

// What one line asks for: one call, or a batch.
struct Message {
  Json calls = Json::array();  // unchecked values, at least one
  bool batch = false;
};

// The calls of a line, or the error object's text to answer the whole line with.
tl::expected<Message, std::string> parse_message(std::string_view line);

// Executes a call. `done` gets the answer's text, empty for a notification; once, at once or later.
void execute(const CommandTable& table, Json call, const Caller& caller,
             std::function<void(std::string)> done);

// {"jsonrpc":"2.0","error":{…},"id":…} as text.
std::string error_text(RpcError code, std::string_view message, const Json& id = nullptr);

}  // namespace lf::rpc
