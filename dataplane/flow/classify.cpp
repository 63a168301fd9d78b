// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/classify.hpp"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "dataplane/flow/key.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/unaligned.hpp"

namespace lf::flow {
namespace {

using net::load16;
using parse::FlowAddress;
using parse::Table;

// The most particular service first. `port` in wire order.
const FlowAddress* service_at(const Table& t, const IpAddress& a, uint16_t port, uint8_t protocol,
                              uint8_t version) noexcept {
  if (has_ports(protocol)) {
    if (const auto* f = parse::find_flow(t, a, port, protocol, version)) return f;
    if (const auto* f = parse::find_flow(t, a, 0, protocol, version)) return f;
  }
  return parse::find_flow(t, a, 0, 0, version);
}

const FlowAddress* fragments_at(const Table& t, const IpAddress& a, uint8_t protocol,
                                uint8_t version) noexcept {
  if (const auto* f = parse::find_flow(t, a, 0, protocol | kFragment, version)) return f;
  return parse::find_flow(t, a, 0, kFragment, version);
}

bool is_nat_port(const Table& t, uint16_t wire) noexcept {
  const uint16_t port = lcp::be16(wire);
  return port >= t.nat_first && port <= t.nat_last;
}

bool is_error(uint8_t version, uint8_t type) noexcept {
  return version == 4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

bool is_icmp(uint8_t version, uint8_t protocol) noexcept {
  return version == 4 ? protocol == IPPROTO_ICMP : protocol == IPPROTO_ICMPV6;
}

void set(Meta& meta, Kind kind, ServiceIndex service, uint8_t protocol) noexcept {
  meta.kind = kind;
  meta.service = service;
  meta.flow_protocol = protocol;
}

// The packet that an error quotes was sent from the address that the error came to.
void classify_error(const Table& t, const Transport& p, Meta& meta) noexcept {
  constexpr uint32_t kPorts = 4;
  const bool v4 = meta.ip_version == 4;
  const uint32_t header = v4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
  if (p.size < sizeof(rte_icmp_hdr) + header + kPorts) return;
  const uint8_t* quoted = p.l4 + sizeof(rte_icmp_hdr);
  if (v4 ? quoted[0] != RTE_IPV4_VHL_DEF : quoted[0] >> 4 != 6) return;
  IpAddress source, destination;
  net::load_addresses(quoted, meta.ip_version, source, destination);
  if (!(source == p.destination)) return;
  const uint8_t protocol =
      v4 ? quoted[offsetof(rte_ipv4_hdr, next_proto_id)] : quoted[offsetof(rte_ipv6_hdr, proto)];
  const uint16_t port = has_ports(protocol) ? load16(quoted + header) : 0;
  if (const auto* f = service_at(t, source, port, protocol, meta.ip_version)) {
    set(meta, Kind::flow, f->service, protocol);
  } else if (has_ports(protocol) && is_nat_port(t, port)) {
    set(meta, Kind::flow_return, kNoService, protocol);
  }
  meta.flow_quoted = meta.kind != Kind::undecided;
}

}  // namespace

Verdict classify(const Table& t, const Transport& p, Meta& meta) noexcept {
  const uint8_t version = meta.ip_version;
  if (p.fragment) {
    if (const auto* f = fragments_at(t, p.destination, p.protocol, version))
      set(meta, Kind::flow, f->service, p.protocol | kFragment);
    return Verdict::none;
  }
  if (is_icmp(version, p.protocol)) {
    if (p.size >= sizeof(rte_icmp_hdr) && is_error(version, p.l4[0])) classify_error(t, p, meta);
    return Verdict::none;
  }
  if (!has_ports(p.protocol)) {
    if (const auto* f = parse::find_flow(t, p.destination, 0, 0, version))
      set(meta, Kind::flow, f->service, p.protocol);
    return Verdict::none;
  }
  const bool tcp = p.protocol == IPPROTO_TCP;
  if (p.size < (tcp ? sizeof(rte_tcp_hdr) : sizeof(rte_udp_hdr)))
    return tcp ? Verdict::tcp_truncated : Verdict::udp_truncated;
  const uint16_t port = load16(p.l4 + 2);
  if (const auto* f = service_at(t, p.destination, port, p.protocol, version)) {
    set(meta, Kind::flow, f->service, p.protocol);
  } else if (is_nat_port(t, port)) {
    set(meta, Kind::flow_return, kNoService, p.protocol);
  }
  return Verdict::none;
}

}  // namespace lf::flow
