// SPDX-License-Identifier: Apache-2.0
// The parameters of route.explain as a command: what the caller leaves out is filled in from the
// configuration. Called by explain.cpp. Thread: control.
#pragma once

#include <cstdint>
#include <string>

#include "control/config/config.hpp"
#include "control/rpc/command.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::daemon {

// The command that the caller describes.
struct ExplainQuestion {
  const config::Organisation* org = nullptr;  // null: an id that is not configured
  uint32_t org_id = 0;
  uint8_t intent = 0;
  bool is_signed = true;
  bool has_id = false;
  const config::Service* service = nullptr;
  IpAddress from;
  lcp::Header header{};
  std::string payload;
};

// The first complaint about `params` is the caller's answer. `unix_us`: now.
Result<ExplainQuestion> read_question(const config::Config& config, int64_t unix_us,
                                      const rpc::Json& params);

}  // namespace lf::daemon
