// SPDX-License-Identifier: Apache-2.0
// The one table of control-socket commands. The daemon adds each module's commands at start and
// passes it to the Server; lookups, parameter checks, help and documentation
// (tools/gen_control_doc.py) all read it.
// Control thread only. `help` and `rpc.describe` are always in it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/rpc/command.hpp"

namespace lf::rpc {

class CommandTable {
 public:
  CommandTable();
  CommandTable(const CommandTable&) = delete;  // the built-in handlers know their table
  CommandTable& operator=(const CommandTable&) = delete;

  // A command of the same name is replaced: the later module knows better.
  void add(Command command);
  void add(std::vector<Command> commands);

  const Command* find(std::string_view name) const;
  std::vector<std::string> names() const;  // sorted
  Json describe() const;                   // [{name, help, mutates, parameters}], sorted by name

 private:
  std::map<std::string, Command, std::less<>> commands_;
};

// Parameters as an object: given by name, or by position in the order of the command's list.
// Checks what is required, unknown or of the wrong type; an optional null is taken out.
Result<Json> bind_parameters(const Command& command, Json params);

}  // namespace lf::rpc
