// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_agent/watched_port.hpp"

#include <netinet/in.h>

#include "tools/common/text.hpp"

namespace lf::agent {

Result<WatchedPort> parse_watched_port(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view protocol = slash == text.npos ? "" : text.substr(slash + 1);
  const auto number = tools::parse_number(text.substr(0, slash), 0xffff);
  if (!number || *number == 0 || (protocol != "udp" && protocol != "tcp"))
    return fail(ErrorCode::invalid, "'{}' is not a port to watch (7000/udp, 80/tcp)", text);
  return WatchedPort{.number = static_cast<uint16_t>(*number),
                     .protocol = protocol == "udp" ? uint8_t{IPPROTO_UDP} : uint8_t{IPPROTO_TCP}};
}

std::string to_string(const WatchedPort& port) {
  return fmt::format("{}/{}", port.number, port.protocol == IPPROTO_UDP ? "udp" : "tcp");
}

}  // namespace lf::agent
