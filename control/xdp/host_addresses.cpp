// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/host_addresses.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <memory>

#include "dataplane/net/address.hpp"

namespace lf::xdp {

std::vector<HostAddress> host_addresses() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, ::freeifaddrs);
  std::vector<HostAddress> out;
  for (const ifaddrs* a = first; a != nullptr; a = a->ifa_next) {
    if (a->ifa_addr == nullptr) continue;
    if (a->ifa_addr->sa_family == AF_INET) {
      const auto* in = reinterpret_cast<const sockaddr_in*>(a->ifa_addr);
      out.push_back({net::from_ipv4(in->sin_addr.s_addr), a->ifa_name});
    } else if (a->ifa_addr->sa_family == AF_INET6) {
      const auto* in6 = reinterpret_cast<const sockaddr_in6*>(a->ifa_addr);
      out.push_back({net::from_ipv6(&in6->sin6_addr), a->ifa_name});
    }
  }
  return out;
}

}  // namespace lf::xdp
