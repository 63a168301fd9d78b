// SPDX-License-Identifier: Apache-2.0
// All of lfctl but main(): connects, makes the command line from the daemon's table, calls, shows.
#pragma once

#include <string>
#include <vector>

namespace lf::ctl {

// The words after the program's name. Returns the exit status.
int run(const std::vector<std::string>& words);

}  // namespace lf::ctl
