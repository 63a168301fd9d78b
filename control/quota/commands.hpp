// SPDX-License-Identifier: Apache-2.0
// Commands of the control socket about quotas: quota.status, quota.set, quota.top and
// admission.evaluate. Handlers run on the control thread; what they refer to must outlive the
// table that they go into.
#pragma once

#include <functional>
#include <vector>

#include "control/quota/quotas.hpp"
#include "control/rpc/command.hpp"

namespace lf::quota {

struct CommandContext {
  Quotas& quotas;
  std::function<Tsc()> now;       // the TSC that workers read
  std::function<void()> publish;  // called after a limit has changed
};

std::vector<rpc::Command> quota_commands(CommandContext context);

}  // namespace lf::quota
