// SPDX-License-Identifier: Apache-2.0
// What becomes of notifications that wait for a sink which the configuration no longer has: they go
// to a sink that came in with the same change, for the same recipient, by one of their channels;
// of the same kind where there is one. Otherwise they are dropped: a sink that stays has its own.
// The store knows the last configuration's sinks, so a changed file means the same at a reload and
// at a start. Thread: any, while no attempt at a sink that is gone is under way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/notify/outbox.hpp"

namespace lf::notify {

// A sink that is gone, and how many messages waited for it.
struct Gone {
  std::string sink;
  uint64_t moved = 0;
  uint64_t doubled = 0;  // the new sink has the same event already, from another one that is gone
  uint64_t dropped = 0;
};

// Which of these sinks a message may move to; null: none.
const config::Sink* heir_of(const Message& message, const std::vector<config::Sink>& added);

// Makes `sinks` the store's sinks. All is done, or on an error nothing. Returns the sinks that are
// gone and had messages.
Result<std::vector<Gone>> follow_sinks(Outbox& outbox, const std::vector<config::Sink>& sinks,
                                       UnixUs now_us);

}  // namespace lf::notify
