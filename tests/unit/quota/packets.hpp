// SPDX-License-Identifier: Apache-2.0
// Bursts of commands for tests of the quota stage: metadata and bare mbufs, no pool and no EAL.
#pragma once

#include <rte_mbuf.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "dataplane/core/backoff.hpp"
#include "dataplane/core/burst.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/quota/quota.hpp"

namespace lf::test {

// One tick is a microsecond in these tests, and a step a second.
inline constexpr Tsc kMs = 1000;
inline constexpr Tsc kSecond = 1'000'000;
inline constexpr uint64_t kUnixStart = 1'767'225'600'000'000;

// An mbuf and its private area.
struct alignas(kCacheLine) FakePacket {
  std::byte bytes[sizeof(rte_mbuf) + kMbufPrivateSize] = {};
  rte_mbuf* mbuf() { return reinterpret_cast<rte_mbuf*>(bytes); }
};

class PacketSource {
 public:
  rte_mbuf* take() {
    if (free_.empty()) {
      all_.push_back(std::make_unique<FakePacket>());
      return all_.back()->mbuf();
    }
    rte_mbuf* m = free_.back();
    free_.pop_back();
    return m;
  }
  void give(rte_mbuf* m) { free_.push_back(m); }

  // Adds a command to a burst and its selection; returns its metadata.
  Meta& add(Burst& burst, Selection& live, OrgIndex org, IntentIndex intent,
            uint64_t deadline_us = UINT64_MAX) {
    const uint32_t i = burst.count++;
    burst.packets[i] = take();
    Meta& m = burst.meta[i] = Meta{};
    m.org = org;
    m.intent_index = intent;
    m.deadline_us = deadline_us;
    m.flags = lcp::kFlagWantsReply;
    live.add(i);
    return m;
  }

 private:
  std::vector<std::unique_ptr<FakePacket>> all_;
  std::vector<rte_mbuf*> free_;
};

// A table for `orgs` organisations without limits, with the default tiers and delays.
inline quota::Table unlimited_table(uint32_t orgs) {
  quota::Table t;
  t.us_per_tick_q32 = uint64_t{1} << 32;
  for (uint32_t n = 1; n <= quota::kDelaySteps; ++n)
    t.delay_tsc[n] = static_cast<Tsc>(retry_backoff(n)) * kMs;
  quota::IntentLimits none;
  for (auto& limit : none.by_intent) limit = quota::kUncounted;
  t.org_limits.assign(orgs, quota::kUncounted);
  t.intent_limits.assign(orgs, none);
  return t;
}

}  // namespace lf::test
