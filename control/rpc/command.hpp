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
  std::string type;  // "string", "number", "integer", "boolean", "array", "object", "any"
  bool required = false;
  std::string help;
};

struct Command {
  std::string name;  // "nodes.list"
  std::string help;  // one line
  std::vector<Parameter> parameters;
  bool mutates = false;  // changes state: logged with the caller's uid
  std::function<Result<Json>(const Json& params)> handler;  // params: an object
};

}  // namespace lf::rpc
