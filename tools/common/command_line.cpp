// SPDX-License-Identifier: Apache-2.0
#include "tools/common/command_line.hpp"

#include <fmt/core.h>

#include <cstdio>

namespace lf::tools {

tl::expected<void, int> parse_command_line(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return tl::unexpected(app.exit(e) == 0 ? 0 : 2);
  }
  return {};
}

tl::unexpected<int> refuse(const CLI::App& app, const Error& error) {
  fmt::print(stderr, "{}: {}\n", app.get_name(), error.message);
  return tl::unexpected(2);
}

}  // namespace lf::tools
