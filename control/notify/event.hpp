// SPDX-License-Identifier: Apache-2.0
// Something that people should hear of. Made by any control module, given to notify::Notifier.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace lf::notify {

struct Event {
  uint8_t severity = 1;   // 1..5
  std::string subsystem;  // "quota", "breaker"
  std::string text;       // one or more lines
  std::map<std::string, std::string> labels;
};

}  // namespace lf::notify
