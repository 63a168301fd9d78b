// SPDX-License-Identifier: Apache-2.0
// One notification on its way to one sink, as the outbox keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/base/clock.hpp"
#include "control/notify/event.hpp"

namespace lf::notify {

struct Message {
  int64_t id = 0;    // of the outbox
  std::string uuid;  // the same at each attempt: lets a receiver drop a repeated one
  std::string sink;  // key of the sink
  UnixUs created_us = 0;
  Event event;
  std::string subject;
  std::string recipient;
  std::vector<std::string> channels;
  uint32_t attempts = 0;    // that failed
  UnixUs next_us = 0;       // not before
  UnixUs delivered_us = 0;  // 0: not yet
  std::string error;        // of the last attempt
};

}  // namespace lf::notify
