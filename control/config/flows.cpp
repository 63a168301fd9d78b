// SPDX-License-Identifier: Apache-2.0
// Section `flows`, and what a service's kind rules out: the modes, probes and ports of LCP and flow
// services.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "control/config/sections.hpp"

namespace lf::config {
namespace {

using forward::Mode;

constexpr uint64_t kSecond = 1'000'000;  // in microseconds

struct PortRange {
  uint16_t first, last;
};

Parsed<PortRange> parse_ports(std::string_view text) {
  const size_t dash = text.find('-');
  const auto first = parse_integer(text.substr(0, dash));
  const auto last = parse_integer(dash == std::string_view::npos ? "" : text.substr(dash + 1));
  if (!first || !last || *first < 1 || *last > 65535 || *first > *last)
    return tl::unexpected<std::string>("is not a range of ports such as 16384-65535");
  return PortRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

bool is_prime(uint32_t n) {
  if (n < 2) return false;
  for (uint32_t d = 2; d * d <= n; ++d)
    if (n % d == 0) return false;
  return true;
}

uint32_t next_prime(uint32_t n) {
  while (!is_prime(n)) ++n;
  return n;
}

std::string_view word(Mode mode) {
  switch (mode) {
    case Mode::proxy:
      return "proxy";
    case Mode::dsr_l2:
      return "dsr-l2";
    case Mode::ipip:
      return "ipip";
    case Mode::gue:
      return "gue";
    case Mode::nat:
      break;
  }
  return "nat";
}

void check_lcp(Context& context, const Service& s, const std::string& path) {
  if (s.mode == Mode::nat || s.mode == Mode::ipip || s.mode == Mode::gue)
    context.error_at(path + ".mode",
                     fmt::format("{} is only for services of kind flow; LCP has proxy and dsr-l2",
                                 word(s.mode)));
  if (s.port == 0) context.error_at(path + ".port", "0 is only for services of kind flow");
}

void check_flow(Context& context, const Config& config, const Service& s, const std::string& path) {
  if (s.mode == Mode::proxy)
    context.error_at(path + ".mode", "proxy is only for LCP; a flow service's is nat");
  if (s.probe.kind == ProbeKind::lcp)
    context.error_at(path + ".probe.kind",
                     "lcp is only for LCP; a flow service has tcp, http, udp and icmp");
  if (s.protocol == Protocol::any) {
    if (s.port != 0)
      context.error_at(path + ".port", "protocol any takes every port; leave it out");
    if (s.mode == Mode::nat)
      context.error_at(path + ".protocol", "any has no ports, which mode nat needs");
    if (s.probe.kind != ProbeKind::none && s.probe.kind != ProbeKind::icmp && s.probe.port == 0)
      context.error_at(path + ".probe.port", "protocol any has no port of its own to probe");
  }
  if (s.fragments == Fragments::steer && s.mode == Mode::nat)
    context.error_at(path + ".fragments",
                     "steer cannot be: mode nat needs ports, which only the "
                     "first fragment has");
  if (s.mode != Mode::nat)
    for (size_t k = 0; k < s.nodes.size(); ++k)
      if (s.nodes[k].port != s.port)
        context.error_at(fmt::format("{}.nodes[{}].port", path, k),
                         fmt::format("mode {} cannot change the port; leave it out", word(s.mode)));
  std::set<std::tuple<uint64_t, uint64_t, uint16_t>> seen;
  for (size_t k = 0; k < s.nodes.size(); ++k) {
    const Node& n = s.nodes[k];
    if (!seen.emplace(n.address.hi, n.address.lo, n.port).second)
      context.error_at(fmt::format("{}.nodes[{}].address", path, k),
                       fmt::format("\"{}\" port {} is another node's of this service already",
                                   format_address(n.address), n.port));
  }
  if (s.outer_source) {
    if (s.mode != Mode::ipip && s.mode != Mode::gue)
      context.error_at(path + ".outer_source", "is only for modes ipip and gue");
    for (const Node& node : s.nodes)
      if (node.ip_version != s.outer_source->ip_version)
        return context.error_at(path + ".outer_source",
                                fmt::format("is not of the address family of node {}", node.name));
  }
  const auto named = [&](const Intent& i) { return i.name == s.intent; };
  if (!s.intent.empty() && std::ranges::none_of(config.intents, named))
    context.error_at(path + ".intent", quote(s.intent) + " is not a configured intent");
  if (config.flows.places <= s.nodes.size())
    context.error_at("flows.places", fmt::format("\"{}\" is too small for the {} nodes of {}",
                                                 config.flows.places, s.nodes.size(), s.name));
}

}  // namespace

void read_flows(Context& context, const YAML::Node& node, Flows& out) {
  Map map(context, node, "flows");
  map.integer("cache", out.cache, 1u << 10, 1u << 26);
  map.integer("nat", out.nat, 1u << 10, 1u << 26);
  PortRange ports{out.nat_port_first, out.nat_port_last};
  map.value("nat_ports", ports, "range of ports", fmt::format("{}-{}", ports.first, ports.last),
            parse_ports);
  out.nat_port_first = ports.first;
  out.nat_port_last = ports.last;
  map.integer("places", out.places, 2, 5'000'000);
  map.number("dead_band", out.dead_band, 0, 1);
  map.duration("tcp_idle", out.tcp_idle_s, kSecond, 1, 86'400);
  map.duration("udp_idle", out.udp_idle_s, kSecond, 1, 86'400);
  map.duration("opening", out.opening_s, kSecond, 1, 3'600);
  map.duration("closing", out.closing_s, kSecond, 1, 3'600);
  map.integer("gue_port", out.gue_port, 1, 65535);
  map.finish();
  if (!is_prime(out.places))
    map.error("places", fmt::format("\"{}\" is not a prime number; {} is the next", out.places,
                                    next_prime(out.places)));
}

void check_kinds(Context& context, const Config& config) {
  for (size_t i = 0; i < config.services.size(); ++i) {
    const Service& s = config.services[i];
    const std::string path = fmt::format("services[{}]", i);
    if (s.kind == ServiceKind::flow) {
      check_flow(context, config, s, path);
      continue;
    }
    check_lcp(context, s, path);
    const bool nat = std::ranges::any_of(
        config.services, [](const Service& other) { return other.mode == Mode::nat; });
    if (nat && s.port >= config.flows.nat_port_first && s.port <= config.flows.nat_port_last)
      context.error_at(
          "flows.nat_ports",
          fmt::format("\"{}-{}\" holds port {}, on which {} takes commands",
                      config.flows.nat_port_first, config.flows.nat_port_last, s.port, s.name));
  }
}

}  // namespace lf::config
