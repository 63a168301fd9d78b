// SPDX-License-Identifier: Apache-2.0
#include "control/parse/table_builder.hpp"

#include <netinet/in.h>

#include <algorithm>

#include "dataplane/flow/key.hpp"
#include "dataplane/net/address.hpp"

namespace lf::parse {
namespace {

const config::Port* find_port(const config::Config& config, const std::string& name) {
  const auto it = std::ranges::find(config.ports, name, &config::Port::name);
  return it == config.ports.end() ? nullptr : &*it;
}

bool same_endpoint(const config::Service& a, const config::Service& b) {
  return a.address == b.address && a.port == b.port && a.ip_version == b.ip_version;
}

bool is_command_service(const config::Service& service) {
  return service.kind == config::ServiceKind::lcp;
}

// The service that takes an intent's commands on the endpoint of `first`.
const config::Service& service_of(const config::Config& config, const config::Intent& intent,
                                  const config::Service& first) {
  for (const config::Service& service : config.services) {
    if (is_command_service(service) && !intent.chain.empty() &&
        service.name == intent.chain.back() && same_endpoint(service, first))
      return service;
  }
  return first;
}

Endpoint service_endpoint(const config::Config& config, const forward::Slots& slots,
                          const config::Service& first) {
  Endpoint e{.address = first.address,
             .port = lcp::be16(first.port),
             .ip_version = first.ip_version,
             .takes_commands = true,
             .service = {}};
  std::ranges::fill(e.service, slots.service(first.name));
  for (const config::Intent& intent : config.intents)
    e.service[slots.intent(intent.name)] = slots.service(service_of(config, intent, first).name);
  return e;
}

void add_intents(const config::Config& config, const forward::Slots& slots, Table& t) {
  for (const config::Intent& intent : config.intents) {
    const IntentIndex index = slots.intent(intent.name);
    t.intent_index[intent.code] = index;
    if (intent.replayable) t.replayable |= 1u << index;
  }
}

Result<void> add_port(const config::Config& config, const ports::PortInfo& info, Table& t) {
  const config::Port* port = find_port(config, info.name);
  if (!port) return fail(ErrorCode::internal, "started port {} is not configured", info.name);
  const bool has_kernel = info.exception_id != kNoPort;
  if (info.id >= kPortsMax || (has_kernel && info.exception_id >= kPortsMax))
    return fail(ErrorCode::unavailable, "port {}: more than {} DPDK ports", info.name, kPortsMax);
  const bool trust = port->offload_checksums && info.rx_checksum;
  net::Port& p = t.ports[info.id];
  p.mac = info.mac;
  p.vlan_tci = port->vlan;
  p.mtu = port->mtu;
  p.rx_ip_checksum = p.rx_udp_checksum = trust;
  p.tx_checksum = port->offload_checksums && info.tx_checksum;
  if (has_kernel) {
    p.kernel_port = static_cast<uint8_t>(info.exception_id);
    t.ports[info.exception_id].kernel_of = static_cast<uint8_t>(info.id);
  }
  for (const config::Prefix& prefix : port->addresses)
    add_own(t, prefix.address, prefix.ip_version, static_cast<uint16_t>(1u << info.id));
  return {};
}

void add_reply_endpoint(const OwnAddress& own, uint16_t port, Table& t) {
  Endpoint e{.address = own.address,
             .port = lcp::be16(port),
             .ip_version = own.ip_version,
             .takes_commands = false,
             .service = {}};
  std::ranges::fill(e.service, kNoService);
  add_endpoint(t, e);
}

bool is_flow(const Table& t, const OwnAddress& own, uint16_t port) {
  return find_flow(t, own.address, lcp::be16(port), IPPROTO_UDP, own.ip_version) != nullptr ||
         find_flow(t, own.address, 0, IPPROTO_UDP, own.ip_version) != nullptr ||
         find_flow(t, own.address, 0, 0, own.ip_version) != nullptr;
}

// Where nodes answer and report: own addresses that are no service's, on the ports of command
// services. Nodes of flow services alone report to LCP's own port, where no flow goes.
void add_reply_endpoints(const config::Config& config, Table& t) {
  const bool has_commands = std::ranges::any_of(config.services, &is_command_service);
  for (const OwnAddress& own : std::vector(t.own)) {
    if (own.ip_version == 0) continue;
    for (const config::Service& service : config.services)
      if (is_command_service(service)) add_reply_endpoint(own, service.port, t);
    if (!has_commands && !is_flow(t, own, lcp::kDefaultPort))
      add_reply_endpoint(own, lcp::kDefaultPort, t);
  }
}

uint8_t protocol_of(const config::Service& s) {
  switch (s.protocol) {
    case config::Protocol::tcp:
      return IPPROTO_TCP;
    case config::Protocol::udp:
      return IPPROTO_UDP;
    case config::Protocol::any:
      break;
  }
  return 0;
}

void add_flow_service(const config::Config& config, const config::Service& s, ServiceIndex index,
                      Table& t) {
  FlowAddress f{.address = s.address,
                .port = lcp::be16(s.port),
                .protocol = protocol_of(s),
                .ip_version = s.ip_version,
                .service = index};
  add_flow(t, f);
  if (s.mode == forward::Mode::nat) {
    t.nat_first = config.flows.nat_port_first;
    t.nat_last = config.flows.nat_port_last;
  }
  if (s.fragments != config::Fragments::steer) return;
  f.port = 0;
  f.protocol |= flow::kFragment;
  add_flow(t, f);  // of several services on an address, the first one takes its fragments
}

}  // namespace

Result<Table> build_table(const config::Config& config, std::span<const ports::PortInfo> ports) {
  forward::Slots slots;
  if (auto synced = slots.sync(config); !synced) return tl::unexpected(synced.error());
  return build_table(config, slots, ports);
}

Result<Table> build_table(const config::Config& config, const forward::Slots& slots,
                          std::span<const ports::PortInfo> ports) {
  if (config.intents.size() >= kIntentsMax || config.services.size() > kServicesMax)
    return fail(ErrorCode::invalid, "{}: at most {} intents and {} services", config.path,
                kIntentsMax - 1, kServicesMax);
  Table t;
  t.clock_skew_us = uint64_t{config.control.clock_skew_ms} * 1000;
  add_intents(config, slots, t);
  for (const ports::PortInfo& info : ports)
    if (auto added = add_port(config, info, t); !added) return tl::unexpected(added.error());
  for (const config::Service& service : config.services) {
    add_own(t, service.address, service.ip_version, 0);
    if (!is_command_service(service)) {
      add_flow_service(config, service, slots.service(service.name), t);
      continue;
    }
    // The first service declared on an endpoint is its default; later ones are in its list.
    add_endpoint(t, service_endpoint(config, slots, service));
  }
  add_reply_endpoints(config, t);
  return t;
}

}  // namespace lf::parse
