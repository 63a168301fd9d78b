// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/command_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "control/base/suggest.hpp"

namespace lf::rpc {
namespace {

bool is_of_type(const Json& value, std::string_view type) {
  if (type == "any") return true;
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  return false;
}

bool is_of_types(const Json& value, std::string_view types) {
  while (true) {
    const size_t bar = types.find('|');
    if (is_of_type(value, types.substr(0, bar))) return true;
    if (bar == std::string_view::npos) return false;
    types.remove_prefix(bar + 1);
  }
}

Json describe_command(const Command& command) {
  Json parameters = Json::array();
  for (const Parameter& p : command.parameters)
    parameters.push_back(
        {{"name", p.name}, {"type", p.type}, {"required", p.required}, {"help", p.help}});
  return {{"name", command.name},
          {"help", command.help},
          {"mutates", command.mutates},
          {"parameters", std::move(parameters)}};
}

tl::unexpected<Error> unknown_parameter(const Command& command, const std::string& name) {
  std::vector<std::string> known;
  for (const Parameter& p : command.parameters) known.push_back(p.name);
  const std::string meant = did_you_mean(name, known);
  if (!meant.empty())
    return fail(ErrorCode::invalid, "{}: unknown parameter \"{}\"; did you mean \"{}\"?",
                command.name, name, meant);
  return fail(
      ErrorCode::invalid, "{}: unknown parameter \"{}\"; {}", command.name, name,
      known.empty() ? "it takes none" : fmt::format("known are {}", fmt::join(known, ", ")));
}

Result<Json> by_name(const Command& command, const Json& list) {
  if (list.size() > command.parameters.size())
    return fail(ErrorCode::invalid, "{}: {} parameters by position, but it takes {}", command.name,
                list.size(), command.parameters.size());
  Json params = Json::object();
  for (size_t i = 0; i < list.size(); ++i) params[command.parameters[i].name] = list[i];
  return params;
}

}  // namespace

CommandTable::CommandTable() {
  add({"help",
       "the commands and what they do; with a name, that command in full",
       {{"command", "string", false, "a command's name"}},
       false,
       [this](const Json& params) -> Result<Json> {
         if (params.contains("command")) {
           const auto name = params["command"].get<std::string>();
           const Command* command = find(name);
           if (command == nullptr) {
             const std::string meant = did_you_mean(name, names());
             return fail(ErrorCode::not_found, "command: no command \"{}\"{}", name,
                         meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", meant));
           }
           return describe_command(*command);
         }
         Json list = Json::array();
         for (const auto& [name, command] : commands_)
           list.push_back({{"name", name}, {"help", command.help}});
         return Json{{"commands", std::move(list)}};
       },
       {}});
  add({"rpc.describe",
       "every command with its parameters, for programs",
       {},
       false,
       [this](const Json&) -> Result<Json> { return describe(); },
       {}});
}

void CommandTable::add(Command command) {
  std::string name = command.name;
  commands_.insert_or_assign(std::move(name), std::move(command));
}

void CommandTable::add(std::vector<Command> commands) {
  for (Command& command : commands) add(std::move(command));
}

const Command* CommandTable::find(std::string_view name) const {
  const auto found = commands_.find(name);
  return found == commands_.end() ? nullptr : &found->second;
}

std::vector<std::string> CommandTable::names() const {
  std::vector<std::string> names;
  for (const auto& [name, command] : commands_) names.push_back(name);
  return names;
}

Json CommandTable::describe() const {
  Json list = Json::array();
  for (const auto& [name, command] : commands_) list.push_back(describe_command(command));
  return list;
}

Result<Json> bind_parameters(const Command& command, Json params) {
  if (params.is_null()) params = Json::object();
  if (params.is_array()) {
    auto named = by_name(command, params);
    if (!named) return named;
    params = std::move(*named);
  }
  if (!params.is_object())
    return fail(ErrorCode::invalid, "{}: params must be an object or an array", command.name);
  for (auto it = params.begin(); it != params.end();) {
    const auto known =
        std::find_if(command.parameters.begin(), command.parameters.end(),
                     [&](const Parameter& parameter) { return parameter.name == it.key(); });
    if (known == command.parameters.end()) return unknown_parameter(command, it.key());
    if (it->is_null() && !known->required && known->type != "any") {
      it = params.erase(it);
      continue;
    }
    if (!is_of_types(*it, known->type))
      return fail(ErrorCode::invalid, "{}: parameter \"{}\" must be {}, not {}", command.name,
                  known->name, known->type, it->type_name());
    ++it;
  }
  for (const Parameter& p : command.parameters)
    if (p.required && !params.contains(p.name))
      return fail(ErrorCode::invalid, "{}: parameter \"{}\" is missing", command.name, p.name);
  return params;
}

}  // namespace lf::rpc
