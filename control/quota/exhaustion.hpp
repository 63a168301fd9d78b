// SPDX-License-Identifier: Apache-2.0
// Tells repeated exhaustion of a quota from a single one. An exhaustion begins with a rejected
// command; further rejections belong to it until the key is back in the allow tier, or for a
// window's length, after which a key that still rejects is exhausted once more. So a key that
// hovers at its limit counts once a minute and not once a second.
// Pure: time and what workers saw come in as arguments. Thread: control.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "control/base/clock.hpp"
#include "control/notify/event.hpp"
#include "control/quota/quotas.hpp"

namespace lf::quota {

class ExhaustionTracker {
 public:
  ExhaustionTracker(uint32_t times, MonoNs within_ns) : times_(times), within_ns_(within_ns) {}

  // From now on; what was counted stays counted.
  void set_limits(uint32_t times, MonoNs within_ns) {
    times_ = times;
    within_ns_ = within_ns;
  }

  // A key rejected commands. True when that makes it the n-th exhaustion within the time: to be
  // notified. Counting starts anew after that.
  bool rejected(Key key, MonoNs now);

  // To be called at each tick: looks at the keys that were exhausted lately, whether they are back
  // in the allow tier, and forgets those that are and have been quiet for long.
  void tick(MonoNs now, const std::function<bool(Key)>& is_allowed);

  size_t tracked() const { return keys_.size(); }
  uint64_t exhaustions() const { return exhaustions_; }

 private:
  struct Exhausted {
    bool over = true;          // the last exhaustion
    MonoNs last = 0;           // when it began
    std::deque<MonoNs> began;  // those that count towards the next notification
  };

  uint32_t times_;
  MonoNs within_ns_;
  uint64_t exhaustions_ = 0;
  std::unordered_map<Key, Exhausted> keys_;
};

// One tick of the daemon: what workers rejected since the last one, as events to notify.
std::vector<notify::Event> watch_exhaustion(Quotas& quotas, ExhaustionTracker& tracker, Tsc now,
                                            MonoNs mono_now);

}  // namespace lf::quota
