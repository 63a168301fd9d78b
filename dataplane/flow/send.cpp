// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/send.hpp"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "dataplane/flow/translate.hpp"
#include "dataplane/net/link.hpp"

namespace lf::flow {
namespace {

bool fits(const rte_mbuf* m, const Meta& meta, uint16_t mtu) noexcept {
  return m->pkt_len <= uint32_t{mtu} + meta.l3_offset;
}

bool ttl_is_over(const rte_mbuf* m, const Meta& meta) noexcept {
  const auto* l3 = rte_pktmbuf_mtod_offset(m, const uint8_t*, meta.l3_offset);
  return (meta.ip_version == 4 ? l3[offsetof(rte_ipv4_hdr, time_to_live)]
                               : l3[offsetof(rte_ipv6_hdr, hop_limits)]) <= 1;
}

void clamp(const Service& service, rte_mbuf* m, const Meta& meta) noexcept {
  if (service.mss != 0 && meta.flow_protocol == IPPROTO_TCP && !meta.flow_quoted)
    clamp_mss(m, meta, service.mss);
}

Verdict translate_to_node(const forward::Node& node, const Look& look, rte_mbuf* m,
                          const Meta& meta) noexcept {
  if (ttl_is_over(m, meta)) return Verdict::ttl_expired;
  const uint16_t port = node.port == 0 ? look.key.port : node.port;
  if (!meta.flow_quoted) {
    translate(m, meta, {node.source, node.address, look.own_port, port});
    return Verdict::none;
  }
  const Ends quoted{node.address, node.source, port, look.own_port};
  return translate_error(m, meta, node.source, node.address, quoted) ? Verdict::none
                                                                     : Verdict::arp_malformed;
}

Verdict translate_to_client(const Mapping& mapping, rte_mbuf* m, const Meta& meta) noexcept {
  if (ttl_is_over(m, meta)) return Verdict::ttl_expired;
  const rewrite::Client& c = mapping.client;
  if (!meta.flow_quoted) {
    translate(m, meta, {c.local, c.address, c.local_port, c.port});
    return Verdict::none;
  }
  const Ends quoted{c.address, c.local, c.port, c.local_port};
  return translate_error(m, meta, c.local, c.address, quoted) ? Verdict::none
                                                              : Verdict::arp_malformed;
}

}  // namespace

void to_nodes(const Table& table, const forward::Table& nodes, State& s, Burst& burst,
              Selection& live, Selection& too_big) noexcept {
  bool all_sent = true;
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    rte_mbuf* m = burst.packets[i];
    const forward::Node& node = nodes.nodes[meta.node];
    const Service& service = table.services[meta.service];
    meta.out_port = node.out_port;
    if (!fits(m, meta, node.mtu)) [[unlikely]] {
      burst.decide(i, Verdict::too_big);
      too_big.add(i);
      all_sent = false;
      continue;
    }
    clamp(service, m, meta);
    if (service.mode == forward::Mode::nat) {
      const Verdict v = translate_to_node(node, s.look[i], m, meta);
      if (v != Verdict::none) [[unlikely]] {
        burst.decide(i, v);
        all_sent = false;
        continue;
      }
    }
    if (service.mode == forward::Mode::ipip || service.mode == forward::Mode::gue) {
      if (!encapsulate(m, meta, service.outer, node, s.look[i].hash)) [[unlikely]] {
        burst.decide(i, Verdict::segmented);
        all_sent = false;
        continue;
      }
    } else {
      net::set_link(m, meta, node.mac, node.source_mac, node.vlan_tci);
    }
    s.nodes[meta.node].flow_packets.add(1);
  }
  if (!all_sent) keep_undecided(burst, live);
}

void to_clients(const Table& table, const net::Ports& ports, State& s, Burst& burst,
                Selection& live, Selection& too_big, Selection& strangers) noexcept {
  for (const uint8_t i : s.returns) {
    if (s.look[i].nat == kNoNat) {
      strangers.add(i);
      continue;
    }
    Meta& meta = burst.meta[i];
    rte_mbuf* m = burst.packets[i];
    const Mapping& mapping = s.mapping[i];
    const net::Port& out = ports[mapping.client.out_port];
    meta.node = mapping.node;
    meta.service = mapping.service;
    meta.out_port = mapping.client.out_port;
    if (!fits(m, meta, out.mtu)) [[unlikely]] {
      burst.decide(i, Verdict::too_big);
      too_big.add(i);
      continue;
    }
    if (meta.service < table.services.size()) clamp(table.services[meta.service], m, meta);
    const Verdict v = translate_to_client(mapping, m, meta);
    if (v != Verdict::none) [[unlikely]] {
      burst.decide(i, v);
      continue;
    }
    net::set_link(m, meta, mapping.client.mac, out.mac, mapping.client.vlan_tci);
    live.add(i);
  }
}

}  // namespace lf::flow
