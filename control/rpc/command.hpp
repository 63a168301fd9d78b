// SPDX-License-Identifier: Apache-2.0
// One command of the control socket. Each control module offers a vector of these; the daemon
// collects them into the one table from which dispatch, `lfctl help`, completion and
// docs/control-socket.md come. Handlers run on the control thread, one at a time.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "control/base/result.hpp"

namespace lf::rpc {

using Json = nlohmann::json;

struct Parameter {
  std::string name;
  std::string type;  // "string", "number", "integer", "boolean", "array", "object", "any",
                     // or several: "string|integer"
  bool required = false;
  std::string help;
};

// Who is at the other end of the control socket, as the kernel says.
struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  int32_t pid = 0;
};

// Gives a deferred command's answer. To be called once, on the control thread (EventLoop::post
// gets there from others), at any time: an answer to a caller who has left is dropped.
using Reply = std::function<void(Result<Json>)>;

struct Command {
  std::string name;  // "nodes.list"
  std::string help;  // one line
  std::vector<Parameter> parameters;
  bool mutates = false;  // changes state: logged with the caller's uid
  std::function<Result<Json>(const Json& params)> handler;  // params: an object
  // Instead of `handler`, where the answer takes time or depends on who asks.
  std::function<void(const Json& params, const Caller& caller, Reply reply)> deferred;
};

}  // namespace lf::rpc
