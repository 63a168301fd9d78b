// SPDX-License-Identifier: Apache-2.0
#include "control/health/telemetry.hpp"

#include <algorithm>
#include <cmath>

namespace lf::health {

std::optional<double> sample(const Outcomes& commands, const Outcomes& probes, bool degraded,
                             uint64_t min_samples) {
  const bool enough = commands.total() >= std::max<uint64_t>(min_samples, 1);
  const Outcomes& used = enough ? commands : probes;
  if (used.total() == 0) return std::nullopt;
  const double share = static_cast<double>(used.successes) / static_cast<double>(used.total());
  return degraded ? share / 2 : share;
}

HealthWindow::HealthWindow(MonoNs window_ns, size_t capacity, double alpha)
    : window_ns_(window_ns), alpha_(alpha), ring_(std::max<size_t>(capacity, 1)) {}

void HealthWindow::add(MonoNs now, double value) {
  while (size_ > 0 && at(0).at < now - window_ns_) drop_oldest();
  if (size_ == ring_.size()) drop_oldest();
  health_ = size_ == 0 ? value : *health_ + alpha_ * (value - *health_);
  ring_[(first_ + size_) % ring_.size()] = {now, static_cast<float>(value),
                                            static_cast<float>(*health_)};
  ++size_;
}

// With n samples the oldest weighs (1 - alpha)^(n - 1), for it is what the average started with;
// without it, the next one takes over that weight.
void HealthWindow::drop_oldest() {
  if (size_ > 1)
    *health_ += std::pow(1 - alpha_, static_cast<double>(size_ - 1)) *
                (static_cast<double>(at(1).value) - static_cast<double>(at(0).value));
  first_ = (first_ + 1) % ring_.size();
  --size_;
}

void HealthWindow::clear() {
  size_ = 0;
  health_.reset();
}

double HealthWindow::trend(MonoNs now) const {
  const MonoNs start = now - window_ns_;
  if (size_ == 0 || at(size_ - 1).at < start) return 0;
  size_t k = 0;
  while (at(k).at < start) ++k;  // the newest is not older
  return *health_ - static_cast<double>(at(k).health);
}

std::optional<MonoNs> HealthWindow::newest() const {
  if (size_ == 0) return std::nullopt;
  return at(size_ - 1).at;
}

}  // namespace lf::health
