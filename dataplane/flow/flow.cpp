// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/flow.hpp"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include <algorithm>

#include "dataplane/core/inline.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/unaligned.hpp"

namespace lf::flow {
namespace {

using net::load16;

// Stamps between two words to the NAT table that a flow lives: seldom, since its line is shared and
// mostly far away; before the shortest time is over that a silent mapping is kept.
Stamp nat_every(const Ages& ages) noexcept {
  return std::min({ages.opening / 8, ages.udp_idle / 8, ages.tcp_idle / 8, ages.reset / 2});
}

// The flow of a packet; of an ICMP error, that of the packet it quotes, which went the other way.
LF_INLINE void read_key(const rte_mbuf* m, const Meta& meta, Look& look) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  const uint8_t* l3 = frame + meta.l3_offset;
  const uint8_t* l4 = frame + meta.l4_offset;
  Key& k = look.key;
  const uint8_t protocol = meta.flow_protocol;
  look.tcp_flags = 0;
  uint32_t ports = 0;
  if (meta.flow_quoted) [[unlikely]] {
    l3 = l4 + sizeof(rte_icmp_hdr);
    l4 = l3 + (meta.ip_version == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr));
    net::load_addresses(l3, meta.ip_version, k.local, k.client);
    if (has_ports(protocol)) ports = load16(l4 + 2) | uint32_t{load16(l4)} << 16;
  } else {
    net::load_addresses(l3, meta.ip_version, k.client, k.local);
    if (has_ports(protocol)) std::memcpy(&ports, l4, sizeof ports);
    if (protocol == IPPROTO_TCP) look.tcp_flags = l4[offsetof(rte_tcp_hdr, tcp_flags)];
  }
  k.set_ends(ports, protocol, meta.ip_version);
}

uint32_t nat_flags(const Look& look) noexcept {
  if (look.tcp_flags & RTE_TCP_RST_FLAG) return kNatReset;
  return look.tcp_flags & RTE_TCP_FIN_FLAG ? kNatClientEnded : 0;
}

bool starts(const Look& look) noexcept {
  return (look.tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
}

void follow(Entry& e, const Look& look) noexcept {
  if (look.tcp_flags & RTE_TCP_RST_FLAG) {
    e.phase = Phase::reset;
  } else if (look.tcp_flags & RTE_TCP_FIN_FLAG) {
    e.phase = Phase::closing;
  } else if (e.phase == Phase::opening && !starts(look)) {
    e.phase = Phase::open;
  }
}

// What the NAT table must know of the flow's client; taken before the packet is changed.
rewrite::Client client_of(const rte_mbuf* m, const Meta& meta, const Key& key) noexcept {
  rewrite::Client c;
  c.address = key.client;
  c.local = key.local;
  c.port = key.client_port;
  c.local_port = key.port;
  std::memcpy(&c.mac, rte_pktmbuf_mtod(m, const uint8_t*) + RTE_ETHER_ADDR_LEN, RTE_ETHER_ADDR_LEN);
  c.vlan_tci = meta.vlan_tci;
  c.out_port = meta.in_port;
  c.ip_version = meta.ip_version;
  return c;
}

// Tells the NAT table now and then that the flow lives, and at once that it ends.
bool keep_mapping(const Ages& ages, Nat& nat, Entry& e, const Look& look, const rte_mbuf* m,
                  const Meta& meta, Stamp now) noexcept {
  const uint32_t flags = nat_flags(look);
  if (now - e.nat_touched < nat_every(ages) && flags == 0 && !starts(look)) [[likely]]
    return true;
  e.nat_touched = now;
  return nat.touch(e.nat, e.nat_port, client_of(m, meta, look.key), flags, now);
}

// Whether a remembered flow goes on as it is.
LF_INLINE bool goes_on(const Table& t, bool translated, const Look& look, const Entry& e) noexcept {
  if (e.node >= t.keeps.size() || t.keeps[e.node] != e.node_epoch) return false;
  if (translated != (e.nat != kNoNat)) return false;
  // The client uses a port again: another connection.
  return !(starts(look) && e.phase >= Phase::closing);
}

bool is_translated(const Table& t, const Meta& meta) noexcept {
  return t.services[meta.service].mode == forward::Mode::nat;
}

// The remembered flow of a packet, made ready to be sent; nullptr: it is to be opened.
LF_INLINE Entry* remembered(const Table& t, bool translated, Nat& nat, State& s, uint8_t i,
                            const rte_mbuf* m, const Meta& meta, Stamp now) noexcept {
  Look& look = s.look[i];
  uint32_t way = 0;
  Entry* e = s.cache.find(look.place, look.ways, look.key, way);
  if (e == nullptr) return nullptr;
  if (s.cache.is_expired(look.place, way, *e, t.ages, now) || !goes_on(t, translated, look, *e) ||
      (translated && !meta.flow_quoted && !keep_mapping(t.ages, nat, *e, look, m, meta, now)))
      [[unlikely]] {
    s.cache.erase(look.place, way, s.nodes);
    return nullptr;
  }
  if (!meta.flow_quoted) [[likely]] {
    s.cache.touch(look.place, way, now);
    constexpr uint32_t kTurning = RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG;
    if ((look.tcp_flags & kTurning) != 0 || e->phase != Phase::open) [[unlikely]]
      follow(*e, look);
  }
  if (translated) {
    look.nat = e->nat;
    look.own_port = e->nat_port;
  }
  return e;
}

NodeSide side_of(const rte_mbuf* m, const Meta& meta, Look& look) noexcept {
  read_key(m, meta, look);
  const Key& k = look.key;
  // A node's error quotes our packet to it: read_key has turned that round, so for a return the
  // node is the client of the key.
  return {.node = k.client,
          .own = k.local,
          .node_port = k.client_port,
          .own_port = k.port,
          .protocol = k.protocol,
          .ip_version = k.ip_version};
}

void find_returns(const Table& t, Nat& nat, State& s, const Burst& burst, Stamp now) noexcept {
  for (const uint8_t i : s.returns) {
    s.mapping[i].side = side_of(burst.packets[i], burst.meta[i], s.look[i]);
    nat.prefetch(s.mapping[i].side);
  }
  for (const uint8_t i : s.returns) {
    Look& look = s.look[i];
    const NodeSide side = s.mapping[i].side;
    look.nat = nat.find_back(t, side, now, s.mapping[i]);
    if (look.nat == kNoNat || burst.meta[i].flow_quoted) continue;
    uint32_t flags = kNatAnswered;
    if (look.tcp_flags & RTE_TCP_FIN_FLAG) flags |= kNatNodeEnded;
    if (look.tcp_flags & RTE_TCP_RST_FLAG) flags |= kNatReset;
    nat.mark(look.nat, flags, now);
  }
}

// The node that the Maglev table gives.
NodeSlot place_flow(const Table& t, const Service& service, uint64_t hash) noexcept {
  if (service.count == 0) return kNoNode;
  return t.places[service.first + place_in(hash, service.count)];
}

Mapping wanted_mapping(const forward::Node& node, const rte_mbuf* m, const Meta& meta,
                       const Look& look) noexcept {
  return {.side = {.node = node.address,
                   .own = node.source,
                   .node_port = node.port == 0 ? look.key.port : node.port,
                   .own_port = 0,
                   .protocol = look.key.protocol,
                   .ip_version = look.key.ip_version},
          .client = client_of(m, meta, look.key),
          .node = meta.node,
          .service = meta.service};
}

Verdict open_one(const Table& t, const forward::Table& nodes, Nat& nat, State& s, uint8_t i,
                 const rte_mbuf* m, Meta& meta, Stamp now) noexcept {
  Look& look = s.look[i];
  look.ways = s.cache.ways(look.place);
  // A packet before this one in the burst may have opened it.
  if (const Entry* e = remembered(t, is_translated(t, meta), nat, s, i, m, meta, now)) {
    meta.node = e->node;
    return Verdict::none;
  }
  const Service& service = t.services[meta.service];
  meta.node = place_flow(t, service, look.hash);
  if (meta.node == kNoNode) return Verdict::flow_unroutable;
  look.nat = kNoNat;
  if (service.mode == forward::Mode::nat) {
    const Mapping wanted = wanted_mapping(nodes.nodes[meta.node], m, meta, look);
    const Nat::Opened mapping = meta.flow_quoted
                                    ? nat.find(t, wanted, look.hash, now)
                                    : nat.open(t, wanted, look.hash, starts(look), now);
    if (mapping.index == Nat::kNone)
      return meta.flow_quoted ? Verdict::flow_unknown : Verdict::flow_table_full;
    (mapping.fresh ? s.nat_opened : s.nat_again).add(1);
    look.nat = mapping.index;
    look.own_port = mapping.own_port;
  }
  if (meta.flow_quoted) return Verdict::none;
  Entry& e = s.cache.insert(look.place, look.key, meta.node, t.ages, now, s.nodes);
  e.node_epoch = t.keeps[meta.node];
  e.nat = look.nat;
  e.nat_port = look.own_port;
  e.nat_touched = now;
  follow(e, look);
  return Verdict::none;
}

// What an audit record says of a flow: the client's address for the command's id; protocol, IP
// version, both ports and the second half of the service's address for the trace.
void describe(const Key& k, lcp::Header& h) noexcept {
  static_assert(sizeof(h.command_id) == sizeof(k.client) && sizeof(h.trace_id) == 16);
  std::memcpy(h.command_id, &k.client, sizeof(k.client));
  std::memset(h.trace_id, 0, sizeof(h.trace_id));
  h.trace_id[0] = k.protocol;
  h.trace_id[1] = k.ip_version;
  std::memcpy(h.trace_id + 2, &k.client_port, 2);
  std::memcpy(h.trace_id + 4, &k.port, 2);
  std::memcpy(h.trace_id + 8, &k.local.lo, 8);
}

// Neighbours in a burst mostly are of one service.
struct LastService {
  ServiceIndex index = kNoService;
  bool translated = false, encapsulated = false;

  void look_up(const Table& t, ServiceIndex service) noexcept {
    if (service == index) [[likely]]
      return;
    index = service;
    const forward::Mode mode = t.services[service].mode;
    translated = mode == forward::Mode::nat;
    encapsulated = mode == forward::Mode::ipip || mode == forward::Mode::gue;
  }
};

}  // namespace

void find(const Table& table, Nat& nat, State& s, Burst& burst, Selection& live, Tsc now) noexcept {
  s.fresh.count = s.returns.count = 0;
  const Stamp stamp = stamp_of(now);
  LastService last;
  Selection forth;
  forth.count = 0;
  for (const uint8_t i : live) {
    const Meta& meta = burst.meta[i];
    if (meta.kind == Kind::flow_return) {
      s.returns.add(i);
      continue;
    }
    forth.add(i);
    Look& look = s.look[i];
    read_key(burst.packets[i], meta, look);
    look.hash = hash_of(look.key);
    look.place = s.cache.place_of(look.hash);
    s.cache.prefetch(look.place);
    last.look_up(table, meta.service);
    if (last.encapsulated)  // the outer headers go there
      __builtin_prefetch(rte_pktmbuf_mtod(burst.packets[i], const uint8_t*) - kCacheLine, 1);
  }
  for (const uint8_t i : forth) s.look[i].ways = s.cache.ways(s.look[i].place);
  uint16_t known = 0;
  for (const uint8_t i : forth) {
    Meta& meta = burst.meta[i];
    last.look_up(table, meta.service);
    const Entry* e =
        remembered(table, last.translated, nat, s, i, burst.packets[i], meta, stamp);
    if (e == nullptr) [[unlikely]] {
      s.fresh.add(i);
      continue;
    }
    meta.node = e->node;
    live.index[known++] = i;
  }
  live.count = known;
  if (s.returns.count != 0) find_returns(table, nat, s, burst, stamp);
}

void gather_new(const Table& table, State& s, Burst& burst, const Selection& fresh,
                Selection& judged, Selection& counted) noexcept {
  Selection flows{};
  for (const uint8_t i : fresh) {
    Meta& meta = burst.meta[i];
    const Look& look = s.look[i];
    const Service& service = table.services[meta.service];
    if (meta.flow_quoted || (!table.organisations && service.operator_id == 0)) continue;
    const auto same_flow = [&](uint8_t k) { return s.look[k].key == look.key; };
    if (std::any_of(flows.begin(), flows.end(), same_flow)) continue;
    flows.add(i);
    if (table.organisations) {
      const auto [org, id] = table.organisations->find(look.key.client, look.key.ip_version);
      meta.org = org;
      meta.org_id = id;
    }
    meta.intent_index = service.intent;
    meta.intent = service.intent_code;
    meta.operator_id = service.operator_id;
    meta.severity = lcp::kSeverityMin;
    meta.deadline_us = UINT64_MAX;
    if (service.operator_id != 0) {
      describe(look.key, s.said[i]);
      meta.lcp = &s.said[i];
      judged.add(i);
    }
    const bool begins = look.key.protocol != IPPROTO_TCP || starts(look);
    if (begins && meta.org != kNoOrg) counted.add(i);
  }
}

void refuse(const State& s, Burst& burst, const Selection& fresh, uint8_t refused,
            Verdict verdict) noexcept {
  for (const uint8_t i : fresh)
    if (s.look[i].key == s.look[refused].key) burst.decide(i, verdict);
}

void open(const Table& table, const forward::Table& nodes, Nat& nat, State& s, Burst& burst,
          const Selection& fresh, Selection& live, Tsc now) noexcept {
  const Stamp stamp = stamp_of(now);
  for (const uint8_t i : fresh) {
    Meta& meta = burst.meta[i];
    const Verdict v = open_one(table, nodes, nat, s, i, burst.packets[i], meta, stamp);
    if (v == Verdict::none) {
      live.add(i);
    } else {
      burst.decide(i, v);
    }
  }
}

void sweep(const Table& table, State& s, Tsc now) noexcept {
  s.cache.sweep(table.ages, stamp_of(now), s.nodes);
}

}  // namespace lf::flow
