// SPDX-License-Identifier: Apache-2.0
// `lfctl intake submit`: what the generic command line does not know of batches. Standard input is
// kept in a file for the daemon to read, a long batch shows a progress bar, and the answer is shown
// as people read it.
#pragma once

#include <string>
#include <vector>

#include "tools/lfctl/client.hpp"
#include "tools/lfctl/command_line.hpp"

namespace lf::ctl {

inline constexpr const char* kSubmitMethod = "intake.submit";

// "--dry-run FILE" as "--dry-run=true FILE": a flag of this command takes no word after it.
std::vector<std::string> with_plain_flags(std::vector<std::string> words);

// Calls the method; on success the answer. Shows progress on standard error when that is a
// terminal.
Answer<Json> submit_batch(Client& client, Json params, const Options& options);

std::string submit_view(const Json& result);

}  // namespace lf::ctl
