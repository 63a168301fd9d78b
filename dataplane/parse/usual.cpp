// SPDX-License-Identifier: Apache-2.0
#include "dataplane/parse/usual.hpp"

#include <bit>
#include <cstring>

namespace lf::parse {
namespace {

constexpr uint32_t kUdpLeast = kUsualUdp + sizeof(rte_udp_hdr);
constexpr uint32_t kTcpLeast = kUsualUdp + sizeof(rte_tcp_hdr);

// Destination address and port, protocol, and the DPDK port. Never 0.
uint64_t place_key(const rte_ipv4_hdr& ip, uint16_t from) noexcept {
  uint64_t ends;  // destination address, source port, destination port
  std::memcpy(&ends, &ip.dst_addr, sizeof ends);
  static_assert(kPortsMax <= 128);
  return (ends & 0xffff'0000'ffff'ffff) | uint64_t{ip.next_proto_id} << 32 | uint64_t{from} << 40 |
         uint64_t{1} << 47;
}

// What `low` and `low` + `span` enclose at a place of the frame, under a mask.
void want(Place& p, size_t at, uint8_t mask, uint8_t low, uint8_t high) noexcept {
  p.mask[at - kSecond] = mask;
  p.low[at - kSecond] = low;
  p.span[at - kSecond] = static_cast<uint8_t>(high - low);
}

void want_exactly(Place& p, size_t at, const void* bytes, size_t count) noexcept {
  std::memset(p.mask.data() + (at - kSecond), 0xff, count);
  std::memcpy(p.low.data() + (at - kSecond), bytes, count);
}

// Of a frame's first bytes: destination MAC address, EtherType, version and header length.
void want_link(Place& p, const uint8_t* frame, bool lcp) noexcept {
  p.link_mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff};
  std::memcpy(p.link.data(), frame, kUsualIp + 1);
  constexpr size_t kTotal = kUsualIp + offsetof(rte_ipv4_hdr, total_length);
  if (lcp) p.link_mask[kTotal] = p.link_mask[kTotal + 1] = 0xff;
}

void want_ip(Place& p, const rte_ipv4_hdr& ip, uint16_t port) noexcept {
  want(p, kUsualIp + offsetof(rte_ipv4_hdr, fragment_offset), 0x3f, 0, 0);
  want(p, kUsualIp + offsetof(rte_ipv4_hdr, fragment_offset) + 1, 0xff, 0, 0);
  want_exactly(p, kUsualIp + offsetof(rte_ipv4_hdr, next_proto_id), &ip.next_proto_id, 1);
  static_assert(!net::is_ipv4_source(0) && net::is_ipv4_source(1) && net::is_ipv4_source(223) &&
                !net::is_ipv4_source(224));
  want(p, kUsualIp + offsetof(rte_ipv4_hdr, src_addr), 0xff, 1, 223);
  want_exactly(p, kUsualIp + offsetof(rte_ipv4_hdr, dst_addr), &ip.dst_addr, sizeof ip.dst_addr);
  want_exactly(p, kUsualUdp + offsetof(rte_udp_hdr, dst_port), &port, sizeof port);
}

void want_lcp(Place& p, bool commands) noexcept {
  constexpr uint16_t kLengthsFit = 0;  // what differs from lengths_of()
  want_exactly(p, kUsualUdp + offsetof(rte_udp_hdr, dgram_len), &kLengthsFit, sizeof kLengthsFit);
  static_assert(lcp::kFlagsKnown == 3);
  static_assert(static_cast<Kind>(lcp::Type::command) == Kind::command &&
                static_cast<Kind>(lcp::Type::reply) == Kind::reply);
  constexpr uint16_t kMagic = lcp::be16(lcp::kMagic);
  constexpr auto kReply = static_cast<uint8_t>(lcp::Type::reply);
  want(p, kUsualIp + offsetof(rte_ipv4_hdr, time_to_live), 0xff, 2, 0xff);
  want_exactly(p, kUsualLcp + offsetof(lcp::Header, magic), &kMagic, sizeof kMagic);
  want_exactly(p, kUsualLcp + offsetof(lcp::Header, version), &lcp::kVersion, 1);
  want(p, kUsualLcp + offsetof(lcp::Header, type), 0xff, commands ? kReply - 1 : kReply, kReply);
  want(p, kUsualLcp + offsetof(lcp::Header, flags), 0xff, 0, lcp::kFlagsKnown);
  want(p, kUsualLcp + offsetof(lcp::Header, severity), 0xff, lcp::kSeverityMin, lcp::kSeverityMax);
}

// What want() says of the second vector, for bytes that are compared without masks. The word for
// fragments cannot be; it is looked at apart.
void want_together(Place& p) noexcept {
  for (size_t k = 0; k < kVector; ++k) {
    const bool counts = p.mask[k] == 0xff;
    p.lowest[k] = counts ? p.low[k] : 0;
    p.highest[k] = counts ? static_cast<uint8_t>(p.low[k] + p.span[k]) : 0xff;
  }
}

// The metadata of its packets, as far as they have it in common.
Meta common_meta(const Place& p, uint16_t from, uint8_t protocol) noexcept {
  Meta m;
  m.service = 0;
  m.l3_offset = kUsualIp;
  m.l4_offset = kUsualUdp;
  m.ip_version = 4;
  m.in_port = static_cast<uint8_t>(from);
  if (p.endpoint != nullptr) m.lcp_offset = kUsualLcp;
  if (p.flow == nullptr) return m;
  m.kind = Kind::flow;
  m.service = p.flow->service;
  m.flow_protocol = protocol;
  return m;
}

// For all intents, what the metadata of their commands has beside their own headers.
void prepare_intents(const Table& t, Place& p, Meta common) noexcept {
  constexpr size_t kFrom = offsetof(Meta, vlan_tci);
  static_assert(kFrom == kIds + 16 && offsetof(Meta, authenticated) == kFrom + 16);
  common.kind = Kind::command;
  for (uint32_t intent = 0; intent < kIntentsMax; ++intent) {
    common.service = p.endpoint->service[intent];
    common.intent_index = static_cast<IntentIndex>(intent);
    common.replayable = (t.replayable >> intent & 1) != 0;
    std::memcpy(p.by_intent[intent].data(), reinterpret_cast<const uint8_t*>(&common) + kFrom, 16);
  }
}

// Where a frame goes that is to the port's MAC address and IPv4 without options.
void make(const Table& t, Place& p, const UsualFrame& f, uint64_t key) noexcept {
  const rte_ipv4_hdr& ip = f.ip();
  const rte_udp_hdr& udp = f.udp();
  const net::Port& port = t.ports[f.mbuf->port];
  const IpAddress own = net::from_ipv4(ip.dst_addr);
  const uint8_t protocol = ip.next_proto_id;
  p = {.segments_and_port = segments_and_port(f.mbuf), .key = key};
  if (protocol == IPPROTO_UDP) p.endpoint = find_endpoint(t, own, udp.dst_port, 4);
  const bool may_be_flow = t.has_flows && (protocol == IPPROTO_UDP || protocol == IPPROTO_TCP);
  if (p.endpoint == nullptr && may_be_flow) p.flow = find_flow(t, own, udp.dst_port, protocol, 4);
  p.least = p.endpoint != nullptr ? kUsualMin : protocol == IPPROTO_TCP ? kTcpLeast : kUdpLeast;
  p.shortest = std::max<uint32_t>(p.least, kSecond + kVector);
  if (p.endpoint == nullptr && p.flow == nullptr) p.segments_and_port = 0;  // fits no packet
  p.port_checks_sums = port.rx_ip_checksum || port.rx_udp_checksum;
  p.is_plain = p.endpoint != nullptr && !p.port_checks_sums;
  want_link(p, f.data, p.endpoint != nullptr);
  want_ip(p, ip, udp.dst_port);
  if (p.endpoint != nullptr) want_lcp(p, p.endpoint->takes_commands);
  const Meta common = common_meta(p, f.mbuf->port, protocol);
  std::memcpy(p.ids.data(), reinterpret_cast<const uint8_t*>(&common) + kIds, kVector);
  p.takes_commands = p.endpoint != nullptr && p.endpoint->takes_commands &&
                     (p.is_plain || (port.rx_ip_checksum && port.rx_udp_checksum));
  if (!p.takes_commands) return;
  want_together(p);
  prepare_intents(t, p, common);
}

// Whether a place can be made of it: then its link header is the same for all packets there.
bool has_usual_link(const net::Port& port, const uint8_t* frame) noexcept {
  uint16_t type;
  std::memcpy(&type, frame + 2 * RTE_ETHER_ADDR_LEN, sizeof type);
  // First what tells tagged frames and IPv6, of which there may be many.
  return type == lcp::be16(RTE_ETHER_TYPE_IPV4) && frame[kUsualIp] == RTE_IPV4_VHL_DEF &&
         net::mac48(frame) == net::mac48(&port.mac) && port.vlan_tci == 0 &&
         port.kernel_of == net::kNoPort;
}

}  // namespace

const Place* other_place(const Table& t, Places& places, rte_mbuf* m) noexcept {
  const UsualFrame f = usual_frame(m);
  if (std::rotl(segments_and_port(f.mbuf) - 1, 16) >= kPortsMax || f.length < kSecond + kVector)
    return nullptr;  // not one segment, or from no port of ours
  if (!has_usual_link(t.ports[f.mbuf->port], f.data)) return nullptr;
  const uint64_t key = place_key(f.ip(), f.mbuf->port);
  for (const Place& p : places.place)
    if (p.key == key) return is_for(p, f) ? &p : nullptr;
  Place& fresh = places.place[places.next++ % Places::kMax];
  make(t, fresh, f, key);
  return is_for(fresh, f) ? &fresh : nullptr;
}

bool is_own(const Table& t, uint32_t address) noexcept {
  return find_own(t, net::from_ipv4(address)) != nullptr;
}

bool some_own(const Table& t, rte_mbuf* const* packets, size_t count) noexcept {
  for (size_t k = 0; k < count; ++k) {
    const UsualFrame f = usual_frame(packets[k]);
    if (may_be_own(t, f) && is_own(t, f.ip().src_addr)) return true;
  }
  return false;
}

bool port_says_wrong(const Table& t, rte_mbuf* m, uint32_t udp_size) noexcept {
  const UsualFrame f = usual_frame(m);
  const net::Port& port = t.ports[f.mbuf->port];
  return bad_ipv4_checksum(port, f.mbuf, f.ip()) ||
         (udp_size != 0 && bad_udp_sum(port, f.mbuf, [&] {
            return net::pseudo_sum_ipv4(f.ip().src_addr, f.ip().dst_addr, IPPROTO_UDP, udp_size) +
                   net::sum_bytes(&f.udp(), udp_size);
          }));
}

}  // namespace lf::parse
