// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/icmp_unreachable.hpp"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstring>

#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"

namespace lf::resilience {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kIcmpSize = 8;
constexpr uint8_t kUnreachable4 = 3, kUnreachable6 = 1;
constexpr uint8_t kFragmentationNeeded = 4;
// Of the LCP header, what has to be quoted: up to the command's id.
constexpr size_t kLcpQuoted = offsetof(lcp::Header, command_id) + sizeof(lcp::Header::command_id);

// Copies a structure off the front of `bytes`; false when it is not all there.
template <typename T>
bool take(Bytes& bytes, T& out, size_t size = sizeof(T)) {
  if (bytes.size() < size) return false;
  std::memcpy(&out, bytes.data(), size);
  bytes = bytes.subspan(size);
  return true;
}

bool is_about_reachability(uint8_t ip_version, Bytes icmp) {
  if (icmp.size() < kIcmpSize) return false;
  if (ip_version == 4) return icmp[0] == kUnreachable4 && icmp[1] != kFragmentationNeeded;
  return ip_version == 6 && icmp[0] == kUnreachable6;
}

// The addresses of the quoted IP header, which must be followed by UDP.
bool take_ipv4(Bytes& quote, Unreachable& u) {
  rte_ipv4_hdr ip;
  if (!take(quote, ip)) return false;
  constexpr uint16_t kLaterFragment = RTE_IPV4_HDR_OFFSET_MASK;
  // Commands leave without options, so a quote with options is of no command of ours.
  if (ip.version_ihl != RTE_IPV4_VHL_DEF || ip.next_proto_id != IPPROTO_UDP) return false;
  if ((ip.fragment_offset & lcp::be16(kLaterFragment)) != 0) return false;
  u.source = net::from_ipv4(ip.src_addr);
  u.node = net::from_ipv4(ip.dst_addr);
  return true;
}

bool take_ipv6(Bytes& quote, Unreachable& u) {
  rte_ipv6_hdr ip;
  if (!take(quote, ip)) return false;
  if (lcp::be32(ip.vtc_flow) >> 28 != 6 || ip.proto != IPPROTO_UDP) return false;
  u.source = net::from_ipv6(ip.src_addr);
  u.node = net::from_ipv6(ip.dst_addr);
  return true;
}

// Compared with the node itself: several services may have a node at one address.
bool is_sent_to(const forward::Table& table, NodeSlot slot, const Unreachable& u) {
  if (slot >= table.nodes.size() || !table.nodes[slot].configured) return false;
  const forward::Node& node = table.nodes[slot];
  return node.address == u.node && node.port == u.node_port && node.source == u.source &&
         node.source_port == u.source_port;
}

}  // namespace

std::optional<Unreachable> parse_unreachable(uint8_t ip_version, Bytes icmp) {
  if (!is_about_reachability(ip_version, icmp)) return std::nullopt;
  Bytes quote = icmp.subspan(kIcmpSize);
  Unreachable u;
  if (!(ip_version == 4 ? take_ipv4(quote, u) : take_ipv6(quote, u))) return std::nullopt;
  rte_udp_hdr udp;
  lcp::Header header{};
  if (!take(quote, udp) || !take(quote, header, kLcpQuoted)) return std::nullopt;
  if (header.magic != lcp::be16(lcp::kMagic) || header.version != lcp::kVersion ||
      header.type != static_cast<uint8_t>(lcp::Type::command))
    return std::nullopt;
  u.source_port = udp.src_port;
  u.node_port = udp.dst_port;
  u.org_id = lcp::be32(header.org_id);
  std::memcpy(u.command_id.data(), header.command_id, u.command_id.size());
  return u;
}

std::optional<Blamed> blame_node(const forward::Table& table, const ledger::Ledger& ledger,
                                 const Unreachable& u, Tsc now) {
  // The quote does not tell whether the command's organisation was proven.
  for (const bool proven : {true, false}) {
    const ledger::Hash hash =
        ledger.hasher().one({u.command_id.data(), ledger::space_of(u.org_id, proven)});
    ledger::Found found;
    ledger.find(&hash, 1, now, &found);
    if (found.state() != ledger::State::in_flight) continue;
    const ledger::Flight& flight = found.flight;
    if (!is_sent_to(table, flight.node, u)) continue;
    return Blamed{found.ref, ledger::stamp_of(flight.sent), flight.node, flight.breaker_epoch};
  }
  return std::nullopt;
}

}  // namespace lf::resilience
