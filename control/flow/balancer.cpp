// SPDX-License-Identifier: Apache-2.0
#include "control/flow/balancer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "control/base/address.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"

namespace lf::flow {
namespace {

constexpr double kWhole = 65535;  // weight of a node of weight 1 that takes all of it
constexpr uint64_t kResetMs = 2'000;

Stamp stamps(uint64_t ms, uint64_t tsc_hz) {
  const auto ticks = static_cast<UInt128>(ms) * tsc_hz / 1000;
  return static_cast<Stamp>(std::max<uint64_t>(static_cast<uint64_t>(ticks >> kStampShift), 1));
}

Ages ages_of(const config::Flows& f, uint64_t tsc_hz) {
  return {.tcp_idle = stamps(f.tcp_idle_s * 1000ull, tsc_hz),
          .udp_idle = stamps(f.udp_idle_s * 1000ull, tsc_hz),
          .opening = stamps(f.opening_s * 1000ull, tsc_hz),
          .closing = stamps(f.closing_s * 1000ull, tsc_hz),
          .reset = stamps(kResetMs, tsc_hz)};
}

// Each node's share of the service's traffic. The failover pool counts as far as the primary one
// spills over to it.
std::vector<double> shares_of(const BalancerInput& in, const config::Service& s,
                              const forward::PoolPlan& plan) {
  std::vector<double> by_slot(in.forward.nodes.size());
  double spill = plan.primary.empty() ? 1 : 0;
  const auto add = [&](const forward::Share& share, double of) {
    if (share.slot < by_slot.size() && in.forward.nodes[share.slot].resolved)
      by_slot[share.slot] += of * share.weight;
  };
  for (const forward::Share& share : plan.primary) {
    if (share.slot == kNoNode) spill = share.weight;
    add(share, 1);
  }
  for (const forward::Share& share : plan.failover) add(share, spill);
  std::vector<double> shares;
  for (const config::Node& n : s.nodes) {
    const NodeSlot slot = in.slots.node(s.name, n.name);
    shares.push_back(slot < by_slot.size() ? by_slot[slot] : 0);
  }
  return shares;
}

Outer outer_of(const config::Service& s, const config::Flows& flows) {
  Outer outer{.mode = s.mode, .gue_port = lcp::be16(flows.gue_port), .source = {}, .vary = {}};
  if (!s.outer_source) return outer;
  const config::Prefix& p = *s.outer_source;
  // Bytes of an address are in wire order, host bits last.
  uint8_t mask[16] = {};
  const uint32_t first = p.ip_version == 4 ? 96 + p.length : p.length;
  for (uint32_t bit = first; bit < 128; ++bit)
    mask[bit / 8] = static_cast<uint8_t>(mask[bit / 8] | 0x80 >> bit % 8);
  outer.vary = net::from_ipv6(mask);
  outer.source = {p.address.hi & ~outer.vary.hi, p.address.lo & ~outer.vary.lo};
  return outer;
}

// 0, which no intent has: any other.
uint8_t code_of(const config::Config& config, const std::string& intent) {
  const auto it = std::ranges::find(config.intents, intent, &config::Intent::name);
  return it == config.intents.end() ? uint8_t{0} : it->code;
}

bool same(const Table& a, const Table& b) {
  const auto same_service = [](const Service& x, const Service& y) {
    return x.first == y.first && x.count == y.count && x.mode == y.mode &&
           x.configured == y.configured && x.mss == y.mss && x.outer == y.outer &&
           x.intent == y.intent && x.intent_code == y.intent_code && x.operator_id == y.operator_id;
  };
  return a.places == b.places && a.keeps == b.keeps && a.organisations == b.organisations &&
         a.nat_first == b.nat_first && a.nat_last == b.nat_last &&
         std::ranges::equal(a.services, b.services, same_service) &&
         std::memcmp(&a.ages, &b.ages, sizeof(Ages)) == 0;
}

void add_keeps(const BalancerInput& in, const config::Service& s, Table& t) {
  for (const config::Node& n : s.nodes) {
    const auto place = in.slots.nodes.find(forward::node_key(s.name, n.name));
    if (!place) continue;
    const bool alive = place->index >= in.alive.size() || in.alive[place->index] != 0;
    if (alive && in.forward.nodes[place->index].resolved) t.keeps[place->index] = place->epoch;
  }
}

}  // namespace

std::string maglev_key(const config::Node& node) {
  return fmt::format("{}|{}", format_address(node.address), node.port);
}

std::vector<uint32_t> weights_of(const config::Service& service, std::span<const double> shares) {
  double most = 0;
  for (size_t i = 0; i < shares.size(); ++i)
    if (service.nodes[i].weight > 0) most = std::max(most, shares[i] / service.nodes[i].weight);
  std::vector<uint32_t> weights;
  for (size_t i = 0; i < shares.size(); ++i) {
    const double base = service.nodes[i].weight;
    const bool takes = base > 0 && shares[i] > 0 && std::isfinite(shares[i]) && most > 0;
    const double part = takes ? shares[i] / base / most : 0;
    // In whole steps, so that rounding noise in the shares is none in the weights.
    const auto steps = static_cast<uint32_t>(std::lround(part * kWhole));
    weights.push_back(takes ? std::max(steps, 1u) * service.nodes[i].weight : 0);
  }
  return weights;
}

std::vector<MaglevNode> damp(std::span<const MaglevNode> before, std::vector<MaglevNode> wanted,
                             double dead_band) {
  std::map<std::string_view, uint32_t> known;
  for (const MaglevNode& n : before) known.emplace(n.key, n.weight);
  for (MaglevNode& n : wanted) {
    const auto it = known.find(n.key);
    if (it == known.end() || it->second == 0 || n.weight == 0) continue;
    const double was = it->second, is = n.weight;
    if (std::abs(is - was) <= dead_band * std::max(is, was)) n.weight = it->second;
  }
  return wanted;
}

const Balancer::Known& Balancer::follow(const config::Service& service,
                                        std::vector<MaglevNode> wanted,
                                        const config::Flows& settings) {
  Known& known = services_[service.name];
  std::vector<MaglevNode> nodes = damp(known.nodes, std::move(wanted), settings.dead_band);
  const auto same_node = [](const MaglevNode& a, const MaglevNode& b) {
    return a.key == b.key && a.weight == b.weight;
  };
  if (known.places.size() == settings.places && std::ranges::equal(known.nodes, nodes, same_node))
    return known;
  known.places = maglev(nodes, settings.places);
  known.nodes = std::move(nodes);
  ++tables_made_;
  return known;
}

std::shared_ptr<const Table> Balancer::build(const BalancerInput& in) {
  Table t;
  t.organisations = in.organisations;
  t.ages = ages_of(in.config.flows, in.tsc_hz);
  t.services.resize(in.slots.services.used());
  t.keeps.assign(in.slots.nodes.used(), 0);
  std::set<std::string> gone;
  for (const auto& [name, known] : services_) gone.insert(name);
  bool any = false;
  for (const config::Service& s : in.config.services) {
    if (s.kind != config::ServiceKind::flow) continue;
    any = true;
    const ServiceIndex index = in.slots.service(s.name);
    const auto plan = index < in.pool_plans.size() ? in.pool_plans[index] : forward::PoolPlan{};
    const std::vector<uint32_t> weights = weights_of(s, shares_of(in, s, plan));
    std::vector<MaglevNode> wanted;
    for (size_t i = 0; i < s.nodes.size(); ++i)
      wanted.push_back({maglev_key(s.nodes[i]), weights[i]});
    const Known& known = follow(s, std::move(wanted), in.config.flows);
    gone.erase(s.name);
    Service& service = t.services[index];
    service.configured = true;
    service.mode = s.mode;
    service.mss = s.mss;
    service.intent = in.slots.intent(s.intent);
    service.intent_code = code_of(in.config, s.intent);
    service.operator_id = s.operator_id;
    service.outer = outer_of(s, in.config.flows);
    if (s.mode == forward::Mode::nat) {
      t.nat_first = in.config.flows.nat_port_first;
      t.nat_last = in.config.flows.nat_port_last;
    }
    add_keeps(in, s, t);
    if (known.places.empty() || known.places[0] == kNobody) continue;
    service.first = static_cast<uint32_t>(t.places.size());
    service.count = static_cast<uint32_t>(known.places.size());
    for (const uint16_t node : known.places)
      t.places.push_back(in.slots.node(s.name, s.nodes[node].name));
  }
  for (const std::string& name : gone) services_.erase(name);
  if (!any) return last_ = nullptr;
  if (!last_ || !same(*last_, t)) last_ = std::make_shared<const Table>(std::move(t));
  return last_;
}

}  // namespace lf::flow
