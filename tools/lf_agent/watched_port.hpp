// SPDX-License-Identifier: Apache-2.0
// A port whose sockets the agent watches, as "7000/udp" or "80/tcp".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "control/base/result.hpp"

namespace lf::agent {

struct WatchedPort {
  uint16_t number = 0;
  uint8_t protocol = 0;  // IPPROTO_UDP, IPPROTO_TCP
  bool operator==(const WatchedPort&) const = default;
};

Result<WatchedPort> parse_watched_port(std::string_view text);
std::string to_string(const WatchedPort& port);

}  // namespace lf::agent
