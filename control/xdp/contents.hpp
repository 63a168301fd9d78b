// SPDX-License-Identifier: Apache-2.0
// What the maps of a port's XDP program (dataplane/xdp) are to hold, made from the table of the
// parse stage: what parse takes is what the program steers. Called at start, at each reload, and
// when the kernel's own addresses change. Pure. Thread: control.
#pragma once

#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>

#include "control/base/result.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/parse/table.hpp"
#include "dataplane/xdp/layout.h"

namespace lf::xdp {

struct BytesLess {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return std::memcmp(&a, &b, sizeof(T)) < 0;
  }
};

struct Contents {
  std::map<lf_xdp_address, uint32_t, BytesLess> own;  // LF_XDP_KERNEL, …
  std::set<lf_xdp_endpoint, BytesLess> endpoints;     // of addresses that the kernel has, too
  lf_xdp_port port{};
};

// An address of the kernel, in this network namespace.
struct HostAddress {
  IpAddress address;
  std::string interface;
  bool operator==(const HostAddress&) const = default;
};

struct SteeredPort {
  uint16_t id = 0;        // DPDK's
  std::string interface;  // the kernel's
  uint16_t vlan = 0;
  bool has_exception = false;  // the kernel's traffic goes through the daemon
};

inline lf_xdp_address to_key(const IpAddress& address) {
  lf_xdp_address key;
  net::to_ipv6(address, key.bytes);
  return key;
}

Contents build_contents(const parse::Table& table, const SteeredPort& port,
                        std::span<const HostAddress> host);

// Whether the maps have room for whatever build_contents() makes of the table.
Result<void> check_room(const parse::Table& table);

}  // namespace lf::xdp
