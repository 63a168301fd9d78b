// SPDX-License-Identifier: Apache-2.0
// What parse compares packets with: own addresses, endpoints (own address and UDP port) with the
// services behind them, and the intents. Built by control/parse, immutable in the Snapshot, read
// by parse and by the exception and rewrite stages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/net/ports.hpp"

namespace lf::parse {

// An own address; ip_version 0 marks a free place of the map.
struct OwnAddress {
  IpAddress address;
  uint16_t ports = 0;  // bit per DPDK port that answers ARP and ND for it
  uint8_t ip_version = 0;
};
static_assert(kPortsMax <= 16);

// An own address and UDP port that LCP is spoken on; ip_version 0 marks a free place of the map.
struct alignas(kCacheLine) Endpoint {
  IpAddress address;
  uint16_t port = 0;  // wire order
  uint8_t ip_version = 0;
  bool takes_commands = false;        // false: only nodes answer and report here
  ServiceIndex service[kIntentsMax];  // by IntentIndex; [kOtherIntent] is the default
};

// A flow service's address; ip_version 0 marks a free place of the map.
struct FlowAddress {
  IpAddress address;
  uint16_t port = 0;     // wire order; 0: all
  uint8_t protocol = 0;  // IP protocol, 0: all; with flow::kFragment: for fragments
  uint8_t ip_version = 0;
  ServiceIndex service = kNoService;
};

inline constexpr size_t kPlacesMin = 8;

// Tells tables apart, also those that had the same address one after the other. Never 0.
class TableId {
 public:
  TableId();
  TableId(const TableId&) : TableId() {}  // the copy may become another one
  TableId(TableId&&) = default;
  TableId& operator=(const TableId&) { return *this = TableId(); }
  TableId& operator=(TableId&&) = default;
  uint64_t value() const noexcept { return value_; }

 private:
  uint64_t value_;
};

struct Table {
  TableId id;  // what a worker knows of a table is good for this one; a new one for every change
  net::Ports ports;
  // Open-addressed maps: sizes are powers of two, at most half full.
  std::vector<Endpoint> endpoints = std::vector<Endpoint>(kPlacesMin);
  std::vector<OwnAddress> own = std::vector<OwnAddress>(kPlacesMin);
  std::vector<FlowAddress> flows = std::vector<FlowAddress>(kPlacesMin);
  bool has_flows = false;
  // Ports of own addresses that flows are translated to, host order; first > last: none.
  uint16_t nat_first = 1, nat_last = 0;
  uint64_t own_filter = 0;             // bit own_bit(address) set for every own address
  // Own addresses of each version, told_by(); none where they are more than kFewOwn.
  std::vector<uint64_t> few_own_ipv4, few_own_ipv6;
  IntentIndex intent_index[256] = {};  // by intent code
  uint32_t replayable = 0;             // bit per IntentIndex
  uint64_t clock_skew_us = 0;          // tolerance for deadlines (validate)
};

inline uint32_t own_bit(const IpAddress& a) noexcept {
  return static_cast<uint32_t>((a.hi ^ a.lo) >> 56) & 63;
}

inline constexpr size_t kFewOwn = 16;

// What an address is compared by where all own ones are: an IPv4 address as it lies in the packet,
// the halves of an IPv6 address by XOR.
inline uint64_t told_by(const IpAddress& a, uint8_t ip_version) noexcept {
  return ip_version == 4 ? a.lo >> 32 : a.hi ^ a.lo;
}

inline uint32_t place_of(const IpAddress& a, uint32_t port_and_version) noexcept {
  const uint64_t mixed = a.hi ^ (a.lo + port_and_version) * 0x9e3779b97f4a7c15ull;
  return static_cast<uint32_t>((mixed * 0xff51afd7ed558ccdull) >> 40);
}

// The endpoint for a destination, or nullptr. `port` in wire order.
inline const Endpoint* find_endpoint(const Table& t, const IpAddress& a, uint16_t port,
                                     uint8_t ip_version) noexcept {
  const size_t mask = t.endpoints.size() - 1;
  for (size_t i = place_of(a, port) & mask;; i = (i + 1) & mask) {
    const Endpoint& e = t.endpoints[i];
    if (e.address == a && e.port == port && e.ip_version == ip_version) [[likely]]
      return &e;
    if (e.ip_version == 0) return nullptr;
  }
}

// The own address, or nullptr. The caller refuses v4-mapped addresses in IPv6 packets.
inline const OwnAddress* find_own(const Table& t, const IpAddress& a) noexcept {
  if (!(t.own_filter >> own_bit(a) & 1)) return nullptr;
  const size_t mask = t.own.size() - 1;
  for (size_t i = place_of(a, 0) & mask;; i = (i + 1) & mask) {
    const OwnAddress& o = t.own[i];
    if (o.ip_version == 0) return nullptr;
    if (o.address == a) return &o;
  }
}

// The flow service at exactly this address, port (wire order) and protocol, or nullptr.
inline const FlowAddress* find_flow(const Table& t, const IpAddress& a, uint16_t port,
                                    uint8_t protocol, uint8_t ip_version) noexcept {
  const size_t mask = t.flows.size() - 1;
  for (size_t i = place_of(a, port + protocol * 65536u) & mask;; i = (i + 1) & mask) {
    const FlowAddress& f = t.flows[i];
    if (f.ip_version == 0) return nullptr;
    if (f.address == a && f.port == port && f.protocol == protocol && f.ip_version == ip_version)
      return &f;
  }
}

// Adds to the maps while a Table is built; false when the endpoint is there already.
bool add_endpoint(Table& t, const Endpoint& endpoint);
bool add_flow(Table& t, const FlowAddress& flow);
void add_own(Table& t, const IpAddress& address, uint8_t ip_version, uint16_t ports);

}  // namespace lf::parse
