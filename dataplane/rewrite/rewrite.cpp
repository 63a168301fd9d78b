// SPDX-License-Identifier: Apache-2.0
#include "dataplane/rewrite/rewrite.hpp"

#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_udp.h>

#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/link.hpp"

namespace lf::rewrite {
namespace {

// Both ends of a datagram as they shall be.
struct Ends {
  const IpAddress& source;
  const IpAddress& destination;
  uint16_t source_port, destination_port;  // wire order
};

uint64_t ports_sum(const rte_udp_hdr& udp) noexcept {
  return uint64_t{udp.src_port} + udp.dst_port;
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

void set_udp_ends(rte_udp_hdr& udp, uint64_t before, uint64_t after, const Ends& ends) noexcept {
  before += ports_sum(udp);
  udp.src_port = ends.source_port;
  udp.dst_port = ends.destination_port;
  after += ports_sum(udp);
  if (udp.dgram_cksum == 0) return;  // over IPv4: the sender made none
  const uint16_t checksum = net::updated(udp.dgram_cksum, before, after);
  udp.dgram_cksum = checksum == 0 ? 0xffff : checksum;
}

// kHops is added to the TTL: -1 on the way, +1 to take that back.
template <int kHops>
void set_ipv4_ends(uint8_t* l3, rte_udp_hdr& udp, const Ends& ends) noexcept {
  auto& ip = *reinterpret_cast<rte_ipv4_hdr*>(l3);
  const uint64_t before = uint64_t{ip.src_addr} + ip.dst_addr;
  ip.src_addr = net::to_ipv4(ends.source);
  ip.dst_addr = net::to_ipv4(ends.destination);
  const uint64_t after = uint64_t{ip.src_addr} + ip.dst_addr;
  ip.time_to_live = static_cast<uint8_t>(ip.time_to_live + kHops);  // first byte of its word
  ip.hdr_checksum = net::updated(ip.hdr_checksum, before + (kHops < 0), after + (kHops > 0));
  set_udp_ends(udp, before, after, ends);
}

uint64_t address_sum(const IpAddress& a) noexcept {
  return net::half_sum(a.hi) + net::half_sum(a.lo);
}

template <int kHops>
void set_ipv6_ends(uint8_t* l3, rte_udp_hdr& udp, const Ends& ends) noexcept {
  auto& ip = *reinterpret_cast<rte_ipv6_hdr*>(l3);
  const uint64_t before =
      address_sum(net::from_ipv6(ip.src_addr)) + address_sum(net::from_ipv6(ip.dst_addr));
  net::to_ipv6(ends.source, ip.src_addr);
  net::to_ipv6(ends.destination, ip.dst_addr);
  ip.hop_limits = static_cast<uint8_t>(ip.hop_limits + kHops);
  set_udp_ends(udp, before, address_sum(ends.source) + address_sum(ends.destination), ends);
}

template <int kHops>
void set_ends_only(rte_mbuf* m, const Meta& meta, const Ends& ends) noexcept {
  uint8_t* l3 = rte_pktmbuf_mtod(m, uint8_t*) + meta.l3_offset;
  auto& udp = *reinterpret_cast<rte_udp_hdr*>(l3 + meta.l4_offset - meta.l3_offset);
  if (meta.ip_version == 4) {
    set_ipv4_ends<kHops>(l3, udp, ends);
  } else {
    set_ipv6_ends<kHops>(l3, udp, ends);
  }
}

void set_ends(const net::Port& out, rte_mbuf* m, const Meta& meta, const Ends& ends) noexcept {
  set_ends_only<-1>(m, meta, ends);
  if (checksum_is_partial(m)) [[unlikely]]
    complete_checksum(out, m, meta);
}

// What complete_checksum() left to the port is left to whoever sends the packet next.
void take_back_offload(rte_mbuf* m, const Meta& meta) noexcept {
  m->ol_flags &= ~(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4 |
                   RTE_MBUF_F_TX_IPV6);
  m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
  if (meta.ip_version != 4) return;
  auto* ip = rte_pktmbuf_mtod_offset(m, rte_ipv4_hdr*, meta.l3_offset);
  ip->hdr_checksum = 0;
  ip->hdr_checksum = net::checksum_of(net::ipv4_header_sum(ip));
}

bool fits(const rte_mbuf* m, const Meta& meta, uint16_t mtu) noexcept {
  return m->pkt_len <= uint32_t{mtu} + meta.l3_offset;
}

// Takes packets that do not fit out of `live`.
void part(Burst& burst, Selection& live, Selection& too_big) noexcept {
  for (const uint8_t i : live)
    if (burst.meta[i].verdict == Verdict::too_big) too_big.add(i);
  keep_undecided(burst, live);
}

}  // namespace

void fit(const forward::Table& table, Burst& burst, Selection& live, Selection& too_big) noexcept {
  bool some_too_big = false;
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    const forward::Node& node = table.nodes[meta.node];
    meta.out_port = node.out_port;
    if (fits(burst.packets[i], meta, node.mtu)) [[likely]]
      continue;
    burst.decide(i, Verdict::too_big);
    some_too_big = true;
  }
  if (some_too_big) part(burst, live, too_big);
}

void to_nodes(const forward::Table& table, const net::Ports& ports, Burst& burst,
              const Selection& live) noexcept {
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    rte_mbuf* m = burst.packets[i];
    const forward::Node& node = table.nodes[meta.node];
    net::set_link(m, meta, node.mac, node.source_mac, node.vlan_tci);
    if (node.mode == forward::Mode::proxy) {
      set_ends(ports[meta.out_port], m, meta,
               {node.source, node.address, node.source_port, node.port});
    }
  }
}

void to_clients(const net::Ports& ports, const Client* clients, Burst& burst, Selection& live,
                Selection& too_big) noexcept {
  bool some_too_big = false;
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    rte_mbuf* m = burst.packets[i];
    const Client& client = clients[i];
    const net::Port& out = ports[client.out_port];
    meta.out_port = client.out_port;
    if (!fits(m, meta, out.mtu)) [[unlikely]] {
      burst.decide(i, Verdict::too_big);
      some_too_big = true;
      continue;
    }
    net::set_link(m, meta, client.mac, out.mac, client.vlan_tci);
    set_ends(out, m, meta, {client.local, client.address, client.local_port, client.port});
  }
  if (some_too_big) part(burst, live, too_big);
}

void to_received(const net::Ports& ports, const Client& client, rte_mbuf* m, Meta& meta) noexcept {
  if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) != 0) [[unlikely]]
    take_back_offload(m, meta);
  if (client.ip_version == 0) {  // submitted by control: only the hop is taken back
    const Client now = client_of(m, meta);
    return set_ends_only<+1>(m, meta, {now.address, now.local, now.port, now.local_port});
  }
  net::set_link(m, meta, ports[client.out_port].mac, client.mac, client.vlan_tci);
  set_ends_only<+1>(m, meta, {client.address, client.local, client.port, client.local_port});
}

}  // namespace lf::rewrite
