// SPDX-License-Identifier: Apache-2.0
#include "dataplane/parse/usual.hpp"

#include <rte_ether.h>
#include <rte_tcp.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "dataplane/net/unaligned.hpp"

namespace lf::parse {
namespace {

// Bytes of a frame's two vectors, by their place in a frame without a tag. Of those in both the
// second one decides.
template <uint8_t kIpVersion>
class Wanted {
 public:
  explicit Wanted(Place& place) : place_(place) {
    for (Bounds* b : {&place.first, &place.second}) b->low.fill(0), b->high.fill(0xff);
  }

  void between(size_t at, uint8_t low, uint8_t high) noexcept {
    constexpr size_t kSecond = UsualFrame<kIpVersion>::kSecond;
    if (at >= kSecond)
      set(place_.second, at - kSecond, low, high);
    else
      set(place_.first, at, low, high);
  }
  void exactly(size_t at, const void* bytes, size_t count) noexcept {
    const auto* byte = static_cast<const uint8_t*>(bytes);
    for (size_t k = 0; k < count; ++k) between(at + k, byte[k], byte[k]);
  }

  // What a length differs from the one that it should be.
  void first_length() noexcept { no_difference(place_.first, LengthsAt<kIpVersion>::kIpLength); }
  void second_length() noexcept { no_difference(place_.second, LengthsAt<kIpVersion>::kUdpLength); }

 private:
  static void set(Bounds& b, size_t at, uint8_t low, uint8_t high) noexcept {
    b.low[at] = low, b.high[at] = high;
  }
  static void no_difference(Bounds& b, size_t at) noexcept {
    set(b, at, 0, 0), set(b, at + 1, 0, 0);
  }

  Place& place_;
};

// Of a tagged frame all but the first bytes of the MAC address, which Place has apart.
template <uint8_t kIpVersion>
void want_link(Wanted<kIpVersion>& w, const UsualFrame<kIpVersion>& f, bool tagged) noexcept {
  if (tagged) {
    w.exactly(0, f.data, RTE_ETHER_ADDR_LEN - net::kTagSize);
    w.exactly(2 * RTE_ETHER_ADDR_LEN - net::kTagSize,
              f.data + 2 * RTE_ETHER_ADDR_LEN - net::kTagSize, net::kTagSize);
  } else {
    w.exactly(0, f.data, RTE_ETHER_ADDR_LEN);
  }
  w.exactly(2 * RTE_ETHER_ADDR_LEN, f.data + 2 * RTE_ETHER_ADDR_LEN, RTE_ETHER_TYPE_LEN);
}

void want_ip(Wanted<4>& w, const rte_ipv4_hdr& ip) noexcept {
  constexpr size_t kIp = net::Usual<4>::kIp;
  w.exactly(kIp, &ip.version_ihl, 1);
  w.exactly(kIp + offsetof(rte_ipv4_hdr, next_proto_id), &ip.next_proto_id, 1);
  static_assert(!net::is_ipv4_source(0) && net::is_ipv4_source(1) && net::is_ipv4_source(223) &&
                !net::is_ipv4_source(224));
  w.between(kIp + offsetof(rte_ipv4_hdr, src_addr), 1, 223);
  w.exactly(kIp + offsetof(rte_ipv4_hdr, dst_addr), &ip.dst_addr, sizeof ip.dst_addr);
}

void want_ip(Wanted<6>& w, const rte_ipv6_hdr& ip) noexcept {
  constexpr size_t kIp = net::Usual<6>::kIp;
  w.between(kIp, 0x60, 0x6f);
  w.exactly(kIp + offsetof(rte_ipv6_hdr, proto), &ip.proto, 1);
  // Neither multicast nor one of those that begin with 0, of which some are no sources.
  w.between(kIp + offsetof(rte_ipv6_hdr, src_addr), 1, 0xfe);
  w.exactly(kIp + offsetof(rte_ipv6_hdr, dst_addr), ip.dst_addr, sizeof ip.dst_addr);
}

template <uint8_t kIpVersion>
void want_lcp(Wanted<kIpVersion>& w, bool commands) noexcept {
  using At = net::Usual<kIpVersion>;
  static_assert(lcp::kFlagsKnown == 3);
  static_assert(static_cast<Kind>(lcp::Type::command) == Kind::command &&
                static_cast<Kind>(lcp::Type::reply) == Kind::reply);
  constexpr uint16_t kMagic = lcp::be16(lcp::kMagic);
  constexpr auto kReply = static_cast<uint8_t>(lcp::Type::reply);
  constexpr size_t kTtl =
      kIpVersion == 4 ? offsetof(rte_ipv4_hdr, time_to_live) : offsetof(rte_ipv6_hdr, hop_limits);
  w.first_length();
  w.second_length();
  w.between(At::kIp + kTtl, 2, 0xff);
  w.exactly(At::kLcp + offsetof(lcp::Header, magic), &kMagic, sizeof kMagic);
  w.exactly(At::kLcp + offsetof(lcp::Header, version), &lcp::kVersion, 1);
  w.between(At::kLcp + offsetof(lcp::Header, type), commands ? kReply - 1 : kReply, kReply);
  w.between(At::kLcp + offsetof(lcp::Header, flags), 0, lcp::kFlagsKnown);
  w.between(At::kLcp + offsetof(lcp::Header, severity), lcp::kSeverityMin, lcp::kSeverityMax);
}

// The metadata of its packets, as far as they have it in common.
Meta common_meta(const Place& p) noexcept {
  const uint32_t offsets = p.key.layout.offsets();
  Meta m;
  m.service = 0;
  std::memcpy(&m.l3_offset, &offsets, sizeof offsets);
  m.vlan_tci = lcp::be16(p.key.vlan_tci);
  m.in_port = p.key.in_port;
  if (p.endpoint == nullptr) m.lcp_offset = 0;
  if (p.flow == nullptr) return m;
  m.kind = Kind::flow;
  m.service = p.flow->service;
  m.flow_protocol = p.key.protocol;
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

// Where a frame goes that has a usual link header.
template <uint8_t kIpVersion>
void make(const Table& t, Place& p, const UsualFrame<kIpVersion>& f, const PlaceKey& key) noexcept {
  using At = net::Usual<kIpVersion>;
  const net::Port& port = t.ports[f.mbuf->port];
  const uint8_t protocol = key.protocol;
  p = {
      .key = key, .segments_and_port = segments_and_port(f.mbuf), .mac_start = first_bytes(f.mbuf)};
  if (protocol == IPPROTO_UDP) p.endpoint = find_endpoint(t, key.destination, key.port, kIpVersion);
  const bool may_be_flow = t.has_flows && (protocol == IPPROTO_UDP || protocol == IPPROTO_TCP);
  if (p.endpoint == nullptr && may_be_flow)
    p.flow = find_flow(t, key.destination, key.port, protocol, kIpVersion);
  constexpr uint32_t kUdpLeast = At::kUdp + sizeof(rte_udp_hdr);
  constexpr uint32_t kTcpLeast = At::kUdp + sizeof(rte_tcp_hdr);
  p.least = p.endpoint != nullptr ? f.kMin : protocol == IPPROTO_TCP ? kTcpLeast : kUdpLeast;
  p.shortest = key.layout.start() + std::max<uint32_t>(p.least, f.kSecond + kVector);
  if (p.endpoint == nullptr && p.flow == nullptr) p.segments_and_port = 0;  // fits no packet
  const bool checks_udp = port.rx_udp_checksum;
  const bool checks_ip = kIpVersion == 4 ? port.rx_ip_checksum : checks_udp;  // IPv6 has none
  p.port_checks_sums = checks_ip || checks_udp;
  p.is_plain = p.endpoint != nullptr && !p.port_checks_sums;
  Wanted<kIpVersion> wanted(p);
  want_link(wanted, f, key.layout.tagged);
  want_ip(wanted, f.ip());
  wanted.exactly(At::kUdp + offsetof(rte_udp_hdr, dst_port), &key.port, sizeof key.port);
  if (p.endpoint != nullptr) want_lcp(wanted, p.endpoint->takes_commands);
  const Meta common = common_meta(p);
  std::memcpy(p.ids.data(), reinterpret_cast<const uint8_t*>(&common) + kIds, kVector);
  if (p.endpoint == nullptr || !p.endpoint->takes_commands || checks_ip != checks_udp) return;
  p.together = static_cast<uint8_t>(1 + 4 * (kIpVersion == 6) + 2 * key.layout.tagged + checks_udp);
  prepare_intents(t, p, common);
}

template <uint8_t kIpVersion>
const Place* place_of(const Table& t, Places& places, rte_mbuf* m, bool tagged) noexcept {
  const net::Layout layout{kIpVersion, tagged};
  if (m->data_len < layout.start() + UsualFrame<kIpVersion>::kSecond + kVector) return nullptr;
  const auto f = usual_frame<kIpVersion>(m, layout.start());
  PlaceKey key{.destination = f.destination(),
               .port = f.udp().dst_port,
               .in_port = static_cast<uint8_t>(m->port),
               .layout = layout};
  if constexpr (kIpVersion == 4) {
    if (f.ip().version_ihl != RTE_IPV4_VHL_DEF) return nullptr;
    key.protocol = f.ip().next_proto_id;
  } else {
    if (f.data[net::Usual<6>::kIp] >> 4 != 6) return nullptr;
    key.protocol = f.ip().proto;
  }
  if (tagged) key.vlan_tci = net::load16(f.data + 2 * RTE_ETHER_ADDR_LEN - 2);
  const net::Port& port = t.ports[m->port];
  if (port.vlan_tci != 0 && ((port.vlan_tci ^ lcp::be16(key.vlan_tci)) & 0x0fff) != 0)
    return nullptr;
  for (const Place& p : places.place)
    if (p.key == key) return is_for<kIpVersion>(p, m) ? &p : nullptr;
  Place& fresh = places.place[places.next++ % Places::kMax];
  make(t, fresh, f, key);
  return is_for<kIpVersion>(fresh, m) ? &fresh : nullptr;
}

// The source address is an own one.
template <uint8_t kIpVersion>
bool is_from_own(const Table& t, rte_mbuf* m, uint32_t start) noexcept {
  return find_own(t, usual_frame<kIpVersion>(m, start).source()) != nullptr;
}

template <uint8_t kIpVersion>
bool port_says(const net::Port& port, const UsualFrame<kIpVersion>& f, uint32_t udp_size) noexcept {
  if constexpr (kIpVersion == 4)
    if (bad_ipv4_checksum(port, f.mbuf, f.ip())) return true;
  return udp_size != 0 && bad_udp_sum(port, f.mbuf, [&] {
           return net::pseudo_sum(f.source(), f.destination(), IPPROTO_UDP, udp_size) +
                  net::sum_bytes(&f.udp(), udp_size);
         });
}

}  // namespace

const Place* other_place(const Table& t, Places& places, rte_mbuf* m) noexcept {
  constexpr uint16_t kTagged = lcp::be16(RTE_ETHER_TYPE_VLAN);
  constexpr size_t kType = 2 * RTE_ETHER_ADDR_LEN;
  // Not one segment, or from no port of ours.
  if (std::rotl(segments_and_port(m) - 1, 16) >= kPortsMax) return nullptr;
  if (m->data_len < kType + net::kTagSize + RTE_ETHER_TYPE_LEN) return nullptr;
  const net::Port& port = t.ports[m->port];
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  uint16_t type = net::load16(frame + kType);
  const bool tagged = type == kTagged;
  if (tagged) type = net::load16(frame + kType + net::kTagSize);
  if (port.kernel_of != net::kNoPort || net::mac48(frame) != net::mac48(&port.mac)) return nullptr;
  if (type == lcp::be16(RTE_ETHER_TYPE_IPV4)) return place_of<4>(t, places, m, tagged);
  if (type == lcp::be16(RTE_ETHER_TYPE_IPV6)) return place_of<6>(t, places, m, tagged);
  return nullptr;
}

bool is_own(const Table& t, rte_mbuf* m, net::Layout layout) noexcept {
  return layout.ip_version == 4 ? is_from_own<4>(t, m, layout.start())
                                : is_from_own<6>(t, m, layout.start());
}

bool some_own(const Table& t, rte_mbuf* const* packets, size_t count, net::Layout layout) noexcept {
  for (size_t k = 0; k < count; ++k)
    if (is_own(t, packets[k], layout)) return true;
  return false;
}

bool port_says_wrong(const Table& t, rte_mbuf* m, net::Layout layout, uint32_t udp_size) noexcept {
  const net::Port& port = t.ports[m->port];
  return layout.ip_version == 4 ? port_says(port, usual_frame<4>(m, layout.start()), udp_size)
                                : port_says(port, usual_frame<6>(m, layout.start()), udp_size);
}

}  // namespace lf::parse
