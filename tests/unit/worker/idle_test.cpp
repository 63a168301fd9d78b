// SPDX-License-Identifier: Apache-2.0
#include "dataplane/worker/idle.hpp"

#include <gtest/gtest.h>

namespace lf {
namespace {

using Action = Idle::Step::Action;

TEST(Idle, PausesFirstThenNapsLongerUpToTheBound) {
  Idle idle({.spin_polls = 2, .sleep_us_max = 40});
  EXPECT_EQ(idle.next().action, Action::pause);
  EXPECT_EQ(idle.next().action, Action::pause);
  for (const uint32_t us : {5u, 10u, 20u, 40u, 40u}) {
    const auto step = idle.next();
    EXPECT_EQ(step.action, Action::nap);
    EXPECT_EQ(step.nap_us, us);
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(idle.next().nap_us, 40u);
}

TEST(Idle, TrafficStartsItAnew) {
  Idle idle({.spin_polls = 1, .sleep_us_max = 40});
  idle.next();
  EXPECT_EQ(idle.next().action, Action::nap);
  idle.saw_traffic();
  EXPECT_EQ(idle.next().action, Action::pause);
}

TEST(Idle, WithoutBackoffItOnlyPolls) {
  Idle idle({.backoff = false});
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(idle.next().action, Action::poll);
}

}  // namespace
}  // namespace lf
