// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/push.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "control/base/address.hpp"
#include "control/config/values.hpp"
#include "control/xdp/deny_list.hpp"

namespace lf::xdp {
namespace {

constexpr MonoNs kSecond = 1'000'000'000;

bool holds(const config::Prefix& network, const IpAddress& address, uint8_t ip_version) {
  return network.ip_version == ip_version &&
         network_of({address, network.length, ip_version}) == network;
}

bool holds(const config::Prefix& outer, const config::Prefix& inner) {
  return outer.length <= inner.length && holds(outer, inner.address, inner.ip_version);
}

// Who else may be in it; nothing: nobody.
std::optional<std::string> stranger_in(const config::Prefix& network, const config::Config& config,
                                       uint32_t org_id) {
  for (const config::Organisation& o : config.organisations)
    for (const config::Prefix& p : o.prefixes)
      if (o.id != org_id && holds(network, network_of(p)))
        return fmt::format("{} of {}", config::format_prefix(p), o.name);
  for (const config::Service& s : config.services)
    for (const config::Node& n : s.nodes)
      if (holds(network, n.address, n.ip_version)) return fmt::format("node {}", n.name);
  for (const config::Port& port : config.ports)
    for (const IpAddress& gateway : port.gateways)
      for (const uint8_t version : {4, 6})
        if (holds(network, gateway, version))
          return fmt::format("gateway {}", format_address(gateway));
  return std::nullopt;
}

MonoNs seconds(uint32_t n) {
  return MonoNs{n} * kSecond;
}

// Since when it has been so without a break.
void follow(std::optional<MonoNs>& since, bool is_so, MonoNs now) {
  if (!is_so)
    since.reset();
  else if (!since)
    since = now;
}

}  // namespace

std::string_view name(PushReason reason) {
  return reason == PushReason::quota ? "quota" : "policy";
}

PushPrefixes find_pushable(const config::Config& config) {
  PushPrefixes found;
  for (const config::Organisation& o : config.organisations) {
    PushPrefixes::Owner owner{.org_id = o.id, .organisation = o.name, .prefixes = {}};
    for (const config::Prefix& p : o.prefixes) {
      const config::Prefix network = network_of(p);
      if (const auto stranger = stranger_in(network, config, o.id))
        found.left_out.push_back(
            fmt::format("{} of {}: {} is in it", config::format_prefix(p), o.name, *stranger));
      else
        owner.prefixes.push_back(network);
    }
    if (!owner.prefixes.empty()) found.owners.push_back(std::move(owner));
  }
  return found;
}

void Pusher::configure(const config::XdpPush& settings, std::vector<PushPrefixes::Owner> owners) {
  settings_ = settings;
  std::vector<Watched> next;
  for (PushPrefixes::Owner& owner : owners) {
    const auto known = std::ranges::find_if(
        watched_, [&](const Watched& w) { return w.owner.org_id == owner.org_id; });
    Watched w = known != watched_.end() ? std::move(*known) : Watched{};
    w.owner = std::move(owner);
    next.push_back(std::move(w));
  }
  watched_ = is_on() ? std::move(next) : std::vector<Watched>{};
}

void Pusher::tick(MonoNs now, const StandingOf& standing_of) {
  for (Watched& w : watched_) step(w, standing_of(w.owner.org_id), now);
}

bool Pusher::is_refused_by_quota(const Watched& w, const Standing& standing, MonoNs now) const {
  if (settings_.quota && standing.quota_is_zero) return true;  // whatever comes
  if (!settings_.quota || !standing.quota_is_used_up || !w.rejected) return false;
  const double passed_s = static_cast<double>(now - w.ticked) / kSecond;
  const auto refused = static_cast<double>(standing.rejected - *w.rejected);
  return refused >= settings_.above_per_s * passed_s;
}

void Pusher::step(Watched& w, const Standing& standing, MonoNs now) const {
  const bool by_policy = settings_.policy && standing.policy_denies_all;
  const bool by_quota = is_refused_by_quota(w, standing, now);
  w.rejected = standing.rejected;
  w.ticked = now;
  follow(w.policy_since, by_policy, now);
  // While it is denied nothing arrives that a quota could refuse: then only time ends it.
  follow(w.quota_since, by_quota, now);
  if (w.reason) {
    const bool has_room = !standing.quota_is_zero && !standing.quota_is_used_up;
    const bool gone = w.reason == PushReason::policy ? !by_policy : !settings_.quota || has_room;
    if (!gone && now < w.until) return;
    w.reason.reset();
  }
  if (now < w.left_alone_until) return;
  const auto lasts = [&](const std::optional<MonoNs>& since) {
    return since && now - *since >= seconds(settings_.after_s);
  };
  if (lasts(w.policy_since)) {
    w.reason = PushReason::policy;
    w.until = now + seconds(settings_.for_s);
  } else if (lasts(w.quota_since)) {
    w.reason = PushReason::quota;
    const uint32_t room_in_s = standing.reset_seconds > 0 ? standing.reset_seconds : UINT32_MAX;
    w.until = now + seconds(std::min(settings_.for_s, room_in_s));
  }
}

void Pusher::take_back(const config::Prefix& network, MonoNs now) {
  for (Watched& w : watched_) {
    if (!w.reason || std::ranges::find(w.owner.prefixes, network) == w.owner.prefixes.end())
      continue;
    w.reason.reset();
    w.left_alone_until = now + seconds(settings_.for_s);
  }
}

std::vector<Pushed> Pusher::pushed(MonoNs now) const {
  std::vector<Pushed> out;
  for (const Watched& w : watched_) {
    if (!w.reason) continue;
    const MonoNs left = std::max<MonoNs>(w.until - now, 0);
    for (const config::Prefix& p : w.owner.prefixes)
      out.push_back({p, w.owner.organisation, *w.reason,
                     static_cast<uint32_t>((left + kSecond - 1) / kSecond)});
  }
  return out;
}

}  // namespace lf::xdp
