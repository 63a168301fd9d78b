// SPDX-License-Identifier: Apache-2.0
#include "dataplane/core/metas.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <vector>

namespace lf {
namespace {

// Any selection: runs of neighbours and others.
Selection any_selection() {
  Selection live;
  const uint32_t first = *rc::gen::inRange(0u, kBurstMax);
  const uint32_t end = *rc::gen::inRange(first, kBurstMax + 1);
  const bool gaps = *rc::gen::arbitrary<bool>();
  for (uint32_t i = first; i < end; ++i)
    if (!gaps || *rc::gen::arbitrary<bool>()) live.add(i);
  return live;
}

RC_GTEST_PROP(Metas, EachOfASelectionInItsOrder, ()) {
  const auto burst = std::make_unique<Burst>();
  const Selection live = any_selection();
  std::vector<uint8_t> met;
  for_each(*burst, live, [&](Meta& m) { met.push_back(position_of(*burst, m)); });
  RC_ASSERT(met == std::vector<uint8_t>(live.begin(), live.end()));
}

RC_GTEST_PROP(Metas, UntilItIsToldToStop, ()) {
  const auto burst = std::make_unique<Burst>();
  const Selection live = any_selection();
  const uint32_t stop = *rc::gen::inRange(0u, kBurstMax);
  uint32_t calls = 0;
  const bool all = while_each(*burst, live, [&](Meta&) { return calls++ != stop; });
  RC_ASSERT(all == (stop >= live.count));
  RC_ASSERT(calls == (all ? live.count : stop + 1));
}

}  // namespace
}  // namespace lf
