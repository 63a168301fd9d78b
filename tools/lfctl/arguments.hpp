// SPDX-License-Identifier: Apache-2.0
// Words of the command line as JSON parameters, by the types that the daemon's table states. Pure,
// but for "@FILE" and "-", which read a file or standard input.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "tools/lfctl/client.hpp"

namespace lf::ctl {

struct ParameterInfo {
  std::string name, type, help;
  bool required = false;
};

struct MethodInfo {
  std::string name, help;
  bool mutates = false;
  std::vector<ParameterInfo> parameters;
};

// What `rpc.describe` answers.
std::vector<MethodInfo> methods_from(const Json& description);

// A word as a value of a type ("string", "integer", "string|integer", "array", …). Arrays are JSON
// or words with commas between them. The error says what is wrong with the word.
tl::expected<Json, std::string> value_from(const std::string& word, const std::string& type);

// The whole of a file; "-" is standard input.
tl::expected<std::string, std::string> read_all(const std::string& path);

// Parameters of `lfctl rpc`: one JSON object or array, or words of the form key=value.
tl::expected<Json, std::string> parameters_from(const std::vector<std::string>& words);

}  // namespace lf::ctl
