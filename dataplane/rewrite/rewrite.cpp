// SPDX-License-Identifier: Apache-2.0
#include "dataplane/rewrite/rewrite.hpp"

#include <immintrin.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <bit>
#include <cstddef>
#include <cstring>

#include "dataplane/core/metas.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/link.hpp"
#include "dataplane/net/offsets.hpp"
#include "dataplane/rewrite/usual.hpp"

namespace lf::rewrite {
namespace {

// Both ends of a datagram as they shall be.
struct Ends {
  const IpAddress& source;
  const IpAddress& destination;
  uint32_t ports;  // as they lie in UDP's header
};

uint32_t ports_of(uint16_t source, uint16_t destination) noexcept {  // wire order
  return source | uint32_t{destination} << 16;
}

// Read as one number, they lie the other way round.
uint32_t ports_of(const forward::Node& node) noexcept {
  using forward::Node;
  static_assert(offsetof(Node, source_port) == offsetof(Node, port) + sizeof node.port);
  uint32_t both;
  std::memcpy(&both, reinterpret_cast<const uint8_t*>(&node) + offsetof(Node, port), sizeof both);
  return std::rotl(both, 16);
}

// The checksum field is not what it should be: the sender left it to a NIC that there was not.
bool checksum_is_partial(const rte_mbuf* m) noexcept {
  return (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}

// Makes the UDP checksum anew, in the port where it can.
void complete_checksum(const net::Port& out, rte_mbuf* m, const Meta& meta) noexcept {
  uint8_t* l3 = rte_pktmbuf_mtod(m, uint8_t*) + meta.l3_offset;
  auto& udp = *reinterpret_cast<rte_udp_hdr*>(l3 + meta.l4_offset - meta.l3_offset);
  m->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
  if (!out.tx_checksum) return net::set_udp_checksum(l3, meta.ip_version, udp);
  m->l2_len = meta.l3_offset;
  m->l3_len = meta.l4_offset - meta.l3_offset;
  m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
  if (meta.ip_version == 4) {
    m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(l3);
    ip->hdr_checksum = 0;
    udp.dgram_cksum = rte_ipv4_phdr_cksum(ip, 0);
  } else {
    m->ol_flags |= RTE_MBUF_F_TX_IPV6;
    udp.dgram_cksum = rte_ipv6_phdr_cksum(reinterpret_cast<rte_ipv6_hdr*>(l3), 0);
  }
}

// Of the first `count`.
[[gnu::noinline]] void complete_checksums(const net::Ports& ports, Burst& burst,
                                          const Selection& live, uint32_t count) noexcept {
  for (uint32_t k = 0; k < count; ++k) {
    const uint8_t i = live.index[k];
    if (checksum_is_partial(burst.packets[i]))
      complete_checksum(ports[burst.meta[i].out_port], burst.packets[i], burst.meta[i]);
  }
}

constexpr uint64_t kNothing = uint64_t{0xffff} << 32;  // modulo 0xffff; keeps differences positive

// Checksums are updated by RFC 1624, equation 3, with sums modulo 0xffff: what the datagram lost
// the field gains. `lost`: what the words that changed before the ports add up to less, which is
// negative where it is more.
[[gnu::always_inline]] inline void set_udp_ends(rte_udp_hdr& udp, uint64_t lost,
                                                const Ends& ends) noexcept {
  uint32_t before;
  std::memcpy(&before, &udp, sizeof before);
  std::memcpy(&udp, &ends.ports, sizeof ends.ports);
  static_assert(offsetof(rte_udp_hdr, src_port) == 0 && offsetof(rte_udp_hdr, dst_port) == 2);
  if (udp.dgram_cksum == 0) return;  // over IPv4: the sender made none
  // Folded it is never 0, which would say "none", but 0xffff.
  udp.dgram_cksum = net::fold(lost + udp.dgram_cksum + before - ends.ports);
}

// kHops is added to the TTL: -1 on the way, +1 to take that back.
template <int kHops>
[[gnu::always_inline]] inline void set_ipv4_ends(rte_ipv4_hdr& ip, rte_udp_hdr& udp,
                                                 const Ends& ends) noexcept {
  const uint32_t source = net::to_ipv4(ends.source), destination = net::to_ipv4(ends.destination);
  uint64_t lost = kNothing + ip.src_addr + ip.dst_addr - source - destination;
  asm("" : "+r"(lost));  // or GCC adds all of it up once for each checksum
  ip.src_addr = source;
  ip.dst_addr = destination;
  ip.time_to_live = static_cast<uint8_t>(ip.time_to_live + kHops);  // first byte of its word
  // The complement of a folded number: 0 rather than 0xffff.
  ip.hdr_checksum =
      net::checksum_of(2 * kNothing + static_cast<uint64_t>(kHops) - lost - ip.hdr_checksum);
  set_udp_ends(udp, lost, ends);
}

uint64_t address_sum(const IpAddress& a) noexcept {
  return net::half_sum(a.hi) + net::half_sum(a.lo);
}

template <int kHops>
void set_ipv6_ends(uint8_t* l3, rte_udp_hdr& udp, const Ends& ends) noexcept {
  auto& ip = *reinterpret_cast<rte_ipv6_hdr*>(l3);
  const uint64_t lost = kNothing + address_sum(net::from_ipv6(ip.src_addr)) +
                        address_sum(net::from_ipv6(ip.dst_addr)) - address_sum(ends.source) -
                        address_sum(ends.destination);
  net::to_ipv6(ends.source, ip.src_addr);
  net::to_ipv6(ends.destination, ip.dst_addr);
  ip.hop_limits = static_cast<uint8_t>(ip.hop_limits + kHops);
  set_udp_ends(udp, lost, ends);
}

template <int kHops>
void set_ends_only(rte_mbuf* m, const Meta& meta, const Ends& ends) noexcept {
  uint8_t* l3 = rte_pktmbuf_mtod(m, uint8_t*) + meta.l3_offset;
  auto& udp = *reinterpret_cast<rte_udp_hdr*>(l3 + meta.l4_offset - meta.l3_offset);
  if (meta.ip_version == 4) {
    set_ipv4_ends<kHops>(*reinterpret_cast<rte_ipv4_hdr*>(l3), udp, ends);
  } else {
    set_ipv6_ends<kHops>(l3, udp, ends);
  }
}

void set_ends(const net::Port& out, rte_mbuf* m, const Meta& meta, const Ends& ends) noexcept {
  set_ends_only<-1>(m, meta, ends);
  if (checksum_is_partial(m)) [[unlikely]]
    complete_checksum(out, m, meta);
}

// Only the MAC addresses of an untagged frame, which stays one: what lies behind them in the node
// is left out.
void set_macs(uint8_t* frame, const forward::Node& node) noexcept {
  using forward::Node;
  constexpr size_t kMac = offsetof(Node, mac);
  static_assert(offsetof(Node, source_mac) == kMac + RTE_ETHER_ADDR_LEN &&
                sizeof(Node) >= kMac + sizeof(__m128i));
  const __m128i macs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&node.mac));
  auto* start = reinterpret_cast<__m128i*>(frame);
  _mm_storeu_si128(start, _mm_blend_epi16(macs, _mm_loadu_si128(start), 0xc0));
}

// set_ends() of untagged IPv4, at fixed offsets.
[[gnu::always_inline]] inline void set_usual_ends(const net::Port& out, rte_mbuf* m,
                                                  const Meta& meta, const Ends& ends) noexcept {
  auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
  set_ipv4_ends<-1>(*reinterpret_cast<rte_ipv4_hdr*>(frame + net::Usual<4>::kIp),
                    *reinterpret_cast<rte_udp_hdr*>(frame + net::Usual<4>::kUdp), ends);
  if (checksum_is_partial(m)) [[unlikely]]
    complete_checksum(out, m, meta);
}

// A usual command to an untagged node: the same as set_link() and set_ends(), at fixed offsets.
[[gnu::always_inline]] inline void to_usual_node(const net::Ports& ports, rte_mbuf* m,
                                                 const Meta& meta,
                                                 const forward::Node& node) noexcept {
  set_macs(rte_pktmbuf_mtod(m, uint8_t*), node);
  if (node.mode == forward::Mode::proxy)
    set_usual_ends(ports[meta.out_port], m, meta, {node.source, node.address, ports_of(node)});
}

// Kept out of the loop for usual ones.
[[gnu::noinline]] void to_any_node(const net::Ports& ports, rte_mbuf* m, Meta& meta,
                                   const forward::Node& node) noexcept {
  net::set_link(m, meta, node.mac, node.source_mac, node.vlan_tci);
  if (node.mode == forward::Mode::proxy) {
    set_ends(ports[meta.out_port], m, meta, {node.source, node.address, ports_of(node)});
  }
}

Ends ends_of(const Client& client) noexcept {
  return {client.local, client.address, ports_of(client.local_port, client.port)};
}

// A usual reply to a client without a tag.
[[gnu::always_inline]] inline void to_usual_client(const net::Port& out, rte_mbuf* m,
                                                   const Meta& meta,
                                                   const Client& client) noexcept {
  auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
  std::memcpy(frame, &client.mac, RTE_ETHER_ADDR_LEN);
  std::memcpy(frame + RTE_ETHER_ADDR_LEN, &out.mac, RTE_ETHER_ADDR_LEN);
  set_usual_ends(out, m, meta, ends_of(client));
}

[[gnu::noinline]] void to_any_client(const net::Port& out, rte_mbuf* m, Meta& meta,
                                     const Client& client) noexcept {
  net::set_link(m, meta, client.mac, out.mac, client.vlan_tci);
  set_ends(out, m, meta, ends_of(client));
}

// Of all commands of a burst as many as can be done four at a time.
uint32_t to_usual(const forward::Table& table, const net::Ports& ports, Burst& burst,
                  const Selection& live, net::Layout layout) noexcept {
  constexpr uint64_t kPartial = RTE_MBUF_F_RX_L4_CKSUM_NONE;
  uint64_t ol_flags;
  const uint32_t done = to_usual_nodes(table, burst, live, layout, ol_flags);
  if ((ol_flags & kPartial) == kPartial) [[unlikely]]
    complete_checksums(ports, burst, live, done);
  return done;
}

// What complete_checksum() left to the port is left to whoever sends the packet next.
void take_back_offload(rte_mbuf* m, const Meta& meta) noexcept {
  m->ol_flags &=
      ~(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
  m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
  if (meta.ip_version != 4) return;
  auto* ip = rte_pktmbuf_mtod_offset(m, rte_ipv4_hdr*, meta.l3_offset);
  ip->hdr_checksum = 0;
  ip->hdr_checksum = net::checksum_of(net::ipv4_header_sum(ip));
}

bool fits(const rte_mbuf* m, const Meta& meta, uint16_t mtu) noexcept {
  return m->pkt_len <= uint32_t{mtu} + meta.l3_offset;
}

// All frames' lengths by OR: none is longer.
uint32_t lengths(const Burst& burst, const Selection& live) noexcept {
  uint32_t any = 0;
#pragma GCC unroll 4
  for (uint32_t k = 0; k < live.count; ++k) any |= burst.packets[live.index[k]]->pkt_len;
  return any;
}

// Takes packets that do not fit out of `live`.
void part(Burst& burst, Selection& live, Selection& too_big) noexcept {
  for (const uint8_t i : live)
    if (burst.meta[i].verdict == Verdict::too_big) too_big.add(i);
  keep_undecided(burst, live);
}

}  // namespace

void fit(const forward::Table& table, Burst& burst, uint16_t least_mtu, Selection& live,
         Selection& too_big) noexcept {
  if (lengths(burst, live) <= uint32_t{least_mtu} + sizeof(rte_ether_hdr)) [[likely]]
    return;
  bool some_too_big = false;  // it may be
  for (const uint8_t i : live) {
    if (fits(burst.packets[i], burst.meta[i], table.nodes[burst.meta[i].node].mtu)) continue;
    burst.decide(i, Verdict::too_big);
    some_too_big = true;
  }
  if (some_too_big) part(burst, live, too_big);
}

void to_nodes(const forward::Table& table, const net::Ports& ports, Burst& burst,
              const Selection& live, const choose::Some& some) noexcept {
  const uint32_t done =
      some.all_usual && live.count >= kFour ? to_usual(table, ports, burst, live, some.layout) : 0;
  Meta* const metadata = metas(burst);
  const forward::Node* const nodes = table.nodes.data();
  for (uint32_t k = done; k < live.count; ++k) {
    const size_t i = live.index[k];
    Meta& meta = metadata[i];
    rte_mbuf* m = burst.packets[i];
    const forward::Node& node = nodes[meta.node];
    meta.verdict = Verdict::forwarded;
    if (net::offsets_of(meta) == net::Layout{}.offsets() && node.vlan_tci == 0) [[likely]]
      to_usual_node(ports, m, meta, node);
    else
      to_any_node(ports, m, meta, node);
  }
}

void to_clients(const net::Ports& ports, const Client* clients, Burst& burst, Selection& live,
                Selection& too_big) noexcept {
  Meta* const metadata = metas(burst);
  bool some_too_big = false;
  for (const uint8_t i : live) {
    Meta& meta = metadata[i];
    rte_mbuf* m = burst.packets[i];
    const Client& client = clients[i];
    const net::Port& out = ports[client.out_port];
    meta.out_port = client.out_port;
    if (!fits(m, meta, out.mtu)) [[unlikely]] {
      meta.verdict = Verdict::too_big;
      some_too_big = true;
    } else if (net::offsets_of(meta) == net::Layout{}.offsets() && client.vlan_tci == 0)
        [[likely]] {
      to_usual_client(out, m, meta, client);
    } else {
      to_any_client(out, m, meta, client);
    }
  }
  if (some_too_big) part(burst, live, too_big);
}

void to_received(const net::Ports& ports, const Client& client, rte_mbuf* m, Meta& meta) noexcept {
  if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) != 0) [[unlikely]]
    take_back_offload(m, meta);
  if (client.ip_version == 0) {  // submitted by control: only the hop is taken back
    const Client now = client_of(m, meta);
    return set_ends_only<+1>(m, meta, {now.address, now.local, ports_of(now.port, now.local_port)});
  }
  net::set_link(m, meta, ports[client.out_port].mac, client.mac, client.vlan_tci);
  set_ends_only<+1>(m, meta,
                    {client.address, client.local, ports_of(client.port, client.local_port)});
}

}  // namespace lf::rewrite
