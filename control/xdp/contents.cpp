// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/contents.hpp"

#include <netinet/in.h>

#include <algorithm>

#include "dataplane/flow/key.hpp"

namespace lf::xdp {
namespace {

uint32_t flags_of(const parse::OwnAddress& own, const SteeredPort& port,
                  std::span<const HostAddress> host) {
  bool kernel = false, kernel_answers = false;
  for (const HostAddress& h : host) {
    if (h.address != own.address) continue;
    kernel = true;
    kernel_answers |= h.interface == port.interface;
  }
  uint32_t flags = 0;
  if (kernel) flags |= LF_XDP_KERNEL;
  if ((own.ports >> port.id & 1) && !kernel_answers) flags |= LF_XDP_NEIGHBOUR;
  return flags;
}

// What a flow service takes of an address that the kernel has, too.
void add_flow(const parse::FlowAddress& f, Contents& c) {
  if (f.protocol & flow::kFragment)
    c.own[to_key(f.address)] |= LF_XDP_FRAGMENTS;
  else if (f.protocol == 0)
    c.own[to_key(f.address)] |= LF_XDP_ANY;
  else
    c.endpoints.insert({.address = to_key(f.address), .port = f.port, .protocol = f.protocol});
}

}  // namespace

Contents build_contents(const parse::Table& table, const SteeredPort& port,
                        std::span<const HostAddress> host) {
  Contents c;
  c.port.vlan = port.vlan;
  c.port.take_all = port.has_exception;
  if (port.has_exception) host = {};  // they are behind the exception port
  for (const parse::OwnAddress& own : table.own)
    if (own.ip_version != 0) c.own[to_key(own.address)] = flags_of(own, port, host);
  const auto is_shared = [&](const IpAddress& address) {
    const auto own = c.own.find(to_key(address));
    return own != c.own.end() && (own->second & LF_XDP_KERNEL);
  };
  for (const parse::Endpoint& e : table.endpoints)
    if (e.ip_version != 0 && is_shared(e.address))
      c.endpoints.insert({.address = to_key(e.address), .port = e.port, .protocol = IPPROTO_UDP});
  for (const parse::FlowAddress& f : table.flows)
    if (f.ip_version != 0 && is_shared(f.address)) add_flow(f, c);
  c.port.nat_first = table.nat_first;
  c.port.nat_count = table.nat_last < table.nat_first ? 0u : table.nat_last - table.nat_first + 1u;
  return c;
}

Result<void> check_room(const parse::Table& table) {
  const auto used = [](const auto& places) {
    return std::ranges::count_if(places, [](const auto& p) { return p.ip_version != 0; });
  };
  if (const auto own = used(table.own); own > LF_XDP_OWN_MAX)
    return fail(ErrorCode::invalid, "{} addresses are more than an af_xdp port steers ({})", own,
                LF_XDP_OWN_MAX);
  if (const auto all = used(table.endpoints) + used(table.flows); all > LF_XDP_ENDPOINTS_MAX)
    return fail(ErrorCode::invalid,
                "{} addresses and ports are more than an af_xdp port steers ({})", all,
                LF_XDP_ENDPOINTS_MAX);
  return {};
}

}  // namespace lf::xdp
