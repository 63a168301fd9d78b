// SPDX-License-Identifier: Apache-2.0
// Which number stands for which service, node, region, organisation and intent, over reloads of the
// configuration: the indices that workers' tables, counters and ledger entries use. A node is its
// service's and its own name together. Thread: control.
#pragma once

#include <string>
#include <string_view>

#include "control/config/config.hpp"
#include "control/forward/stable_index.hpp"
#include "dataplane/core/types.hpp"

namespace lf::forward {

struct Slots {
  StableIndex services{kServicesMax};
  StableIndex nodes{kNodesMax};
  StableIndex regions{kRegionsMax};
  StableIndex organisations{kOrgsMax};
  StableIndex intents{kIntentsMax - 1};  // an IntentIndex less one: 0 is "any other"

  // Follows the configuration; on error nothing has changed. The first time, numbers are positions
  // in the configuration.
  Result<void> sync(const config::Config& config);

  // kNoService, kNoNode: not in the configuration last synced.
  ServiceIndex service(std::string_view name) const;
  NodeSlot node(std::string_view service, std::string_view node) const;
  OrgIndex organisation(uint32_t id) const;         // kNoOrg: not in the configuration
  IntentIndex intent(std::string_view name) const;  // kOtherIntent
};

std::string node_key(std::string_view service, std::string_view node);

}  // namespace lf::forward
