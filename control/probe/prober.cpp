// SPDX-License-Identifier: Apache-2.0
#include "control/probe/prober.hpp"

#include <algorithm>
#include <utility>

namespace lf::probe {
namespace {

using config::ProbeKind;

constexpr MonoNs kMs = 1'000'000;
constexpr MonoNs kRetryNs = 20 * kMs;  // after a probe that could not be sent

double ms_of(MonoNs ns) {
  return static_cast<double>(ns) * 1e-6;
}

bool same(const KernelTarget& a, const KernelTarget& b) {
  return a.address == b.address && a.ip_version == b.ip_version && a.port == b.port;
}

}  // namespace

Result<std::unique_ptr<Prober>> Prober::create(Send send, Report report, uint64_t seed) {
  std::unique_ptr<Prober> prober(new Prober(std::move(send), std::move(report), seed));
  auto kernel = KernelProbes::create([p = prober.get()](NodeSlot slot, bool ok, MonoNs took_ns) {
    p->report_(slot, ok, ms_of(took_ns));
  });
  if (!kernel) return tl::unexpected(kernel.error());
  prober->kernel_ = std::move(*kernel);
  return prober;
}

Prober::Prober(Send send, Report report, uint64_t seed)
    : send_(std::move(send)), report_(std::move(report)), random_(seed), lcp_(random_.next()) {}

void Prober::configure(const config::Config& config, const forward::Slots& slots, MonoNs now) {
  std::vector<Target> next(std::max<size_t>(slots.nodes.used(), targets_.size()));
  targets_.resize(next.size());
  for (const config::Service& s : config.services) {
    if (s.probe.kind == ProbeKind::none) continue;
    for (const config::Node& n : s.nodes) {
      const auto place = slots.nodes.find(forward::node_key(s.name, n.name));
      if (!place) continue;
      Target& t = next[place->index];
      t.active = true;
      t.epoch = place->epoch;
      t.settings = s.probe;
      t.where = {s.probe.kind,
                 n.address,
                 n.ip_version,
                 s.probe.port != 0 && s.probe.kind != ProbeKind::lcp ? s.probe.port : n.port,
                 s.probe.path,
                 s.probe.send,
                 s.probe.expect};
      const double phase = static_cast<double>(random_.next() >> 11) * 0x1p-53;
      t.next = now + static_cast<MonoNs>(phase * static_cast<double>(s.probe.interval_ms) * kMs);
    }
  }
  for (size_t slot = 0; slot < next.size(); ++slot) {
    const Target& old = targets_[slot];
    Target& t = next[slot];
    const bool stays = t.active && old.active && t.epoch == old.epoch &&
                       t.settings == old.settings && same(t.where, old.where);
    if (stays) {
      t.next = old.next;
      continue;
    }
    lcp_.forget(static_cast<NodeSlot>(slot));
    kernel_->forget(static_cast<NodeSlot>(slot));
  }
  targets_ = std::move(next);
}

void Prober::tick(MonoNs now, UnixUs unix_us) {
  kernel_->expire(now);
  for (size_t i = 0; i < targets_.size(); ++i) {
    const auto slot = static_cast<NodeSlot>(i);
    Target& t = targets_[i];
    if (!t.active) continue;
    if (lcp_.timed_out(slot, now)) report_(slot, false, t.settings.timeout_ms);
    if (now < t.next || is_out(slot)) continue;
    if (!start(slot, t, now, unix_us)) {
      t.next = now + kRetryNs;
      continue;
    }
    const MonoNs interval = t.settings.interval_ms * kMs;
    t.next += interval;
    if (t.next <= now) t.next = now + interval;  // late by more than one: does not catch up
  }
}

bool Prober::start(NodeSlot slot, const Target& target, MonoNs now, UnixUs unix_us) {
  const MonoNs timeout_ns = target.settings.timeout_ms * kMs;
  if (target.settings.kind != ProbeKind::lcp)
    return kernel_->start(slot, target.where, now, timeout_ns);
  const auto deadline_us = static_cast<uint64_t>(unix_us) + target.settings.timeout_ms * 1000ull;
  if (send_(slot, lcp_.begin(slot, now, timeout_ns, deadline_us))) return true;
  lcp_.forget(slot);
  return false;
}

bool Prober::on_reply(NodeSlot source, std::span<const uint8_t, 16> command_id, MonoNs now) {
  lcp::Id id;
  std::ranges::copy(command_id, id.begin());
  if (source >= targets_.size()) return false;
  const auto probed = LcpProbes::slot_of(id);
  // A machine may stand behind several slots; its answers come from the address that they share.
  if (probed >= targets_.size() || !same(targets_[probed].where, targets_[source].where))
    return false;
  const auto answer = lcp_.answered(id, now);
  if (!answer) return false;
  report_(answer->slot, true, ms_of(answer->took_ns));
  return true;
}

}  // namespace lf::probe
