// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/protocol.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

#include "control/base/suggest.hpp"

namespace lf::rpc {
namespace {

// Text that came from anywhere (a path, an exception) may not be UTF-8: replaced, not thrown at.
std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_too_deep(std::string_view text) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDepthMax) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

RpcError code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid:
      return RpcError::invalid_params;
    case ErrorCode::not_found:
      return RpcError::not_found;
    case ErrorCode::conflict:
      return RpcError::conflict;
    case ErrorCode::unavailable:
      return RpcError::unavailable;
    case ErrorCode::internal:
      break;
  }
  return RpcError::internal;
}

std::string answer_text(const Result<Json>& result, const Json& id) {
  if (!result) return error_text(code_of(result.error().code), result.error().message, id);
  return dump({{"jsonrpc", "2.0"}, {"result", *result}, {"id", id}});
}

bool is_id(const Json& id) {
  return id.is_string() || id.is_number() || id.is_null();
}

std::string unknown_method(const CommandTable& table, const std::string& method, const Json& id) {
  const std::string meant = did_you_mean(method, table.names());
  return error_text(
      RpcError::unknown_method,
      fmt::format("no method \"{}\"{}", method.substr(0, 100),
                  meant.empty() ? "; try \"help\"" : fmt::format("; did you mean \"{}\"?", meant)),
      id);
}

Result<Json> run_handler(const Command& command, const Json& params) {
  try {
    return command.handler(params);
  } catch (const std::exception& e) {
    spdlog::error("control socket: {} failed: {}", command.name, e.what());
    return fail(ErrorCode::internal, "{}: {}", command.name, e.what());
  }
}

void run_deferred(const Command& command, const Json& params, const Caller& caller, Reply reply) {
  try {
    command.deferred(params, caller, reply);
  } catch (const std::exception& e) {
    spdlog::error("control socket: {} failed: {}", command.name, e.what());
    reply(fail(ErrorCode::internal, "{}: {}", command.name, e.what()));
  }
}

}  // namespace

std::string error_text(RpcError code, std::string_view message, const Json& id) {
  return dump({{"jsonrpc", "2.0"},
               {"error", {{"code", static_cast<int>(code)}, {"message", message}}},
               {"id", id}});
}

tl::expected<Message, std::string> parse_message(std::string_view line) {
  if (is_too_deep(line))
    return tl::unexpected(
        error_text(RpcError::parse, fmt::format("nested more than {} levels deep", kDepthMax)));
  Message message;
  try {
    message.calls = Json::parse(line);
  } catch (const Json::exception& e) {
    return tl::unexpected(error_text(RpcError::parse, e.what()));
  }
  message.batch = message.calls.is_array();
  if (!message.batch) {
    Json list = Json::array();
    list.push_back(std::move(message.calls));
    message.calls = std::move(list);
  }
  if (message.calls.empty())
    return tl::unexpected(error_text(RpcError::invalid_request, "a batch must not be empty"));
  if (message.calls.size() > kBatchMax)
    return tl::unexpected(error_text(
        RpcError::invalid_request,
        fmt::format("a batch of {} calls; at most {}", message.calls.size(), kBatchMax)));
  return message;
}

void execute(const CommandTable& table, Json call, const Caller& caller,
             std::function<void(std::string)> done) {
  if (!call.is_object())
    return done(error_text(RpcError::invalid_request,
                           fmt::format("a call must be an object, not {}", call.type_name())));
  const bool notification = !call.contains("id");
  const Json id = notification ? Json() : call["id"];
  if (!is_id(id))
    return done(error_text(RpcError::invalid_request, "id must be a string, a number or null"));
  if (!call.contains("jsonrpc") || call["jsonrpc"] != "2.0")
    return done(error_text(RpcError::invalid_request, "jsonrpc must be \"2.0\"", id));
  if (!call.contains("method") || !call["method"].is_string())
    return done(error_text(RpcError::invalid_request, "method must be a string", id));
  const auto method = call["method"].get<std::string>();
  const Command* command = table.find(method);
  if (command == nullptr)
    return done(notification ? std::string() : unknown_method(table, method, id));
  auto params = bind_parameters(
      *command, call.contains("params") ? std::move(call["params"]) : Json::object());
  if (!params)
    return done(notification ? std::string()
                             : error_text(RpcError::invalid_params, params.error().message, id));
  if (command->mutates)
    spdlog::info("control socket: {} by uid {} pid {}", method, caller.uid, caller.pid);
  if (command->deferred) {
    run_deferred(*command, *params, caller,
                 [id, notification, done = std::move(done)](const Result<Json>& result) {
                   done(notification ? std::string() : answer_text(result, id));
                 });
    return;
  }
  const Result<Json> result = run_handler(*command, *params);
  done(notification ? std::string() : answer_text(result, id));
}

}  // namespace lf::rpc
