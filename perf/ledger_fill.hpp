// SPDX-License-Identifier: Apache-2.0
// Fills the ledger before pipeline_bench measures, so that commands meet a table that is half or
// wholly full of live ids of others, or in which their organisation has its share of every bucket.
#pragma once

#include <rte_cycles.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "dataplane/ledger/ledger.hpp"

namespace lf::bench {

// `orgs` organisations from index `first` on enter new ids by turns; delayed, as it were, so that
// they hold no slot against newer ones.
inline void enter_ids(ledger::Ledger& ledger, uint64_t ids, uint32_t first, uint32_t orgs) {
  constexpr uint32_t kAtOnce = 32;
  uint8_t bytes[kAtOnce][16] = {};
  ledger::Name names[kAtOnce];
  ledger::Hash hashes[kAtOnce];
  ledger::Command commands[kAtOnce];
  ledger::Admission admissions[kAtOnce];
  ledger::Counts counts;
  for (uint64_t n = 0; n < ids; n += kAtOnce) {
    for (uint32_t k = 0; k < kAtOnce; ++k) {
      const uint64_t id = n + k + 1;
      std::memcpy(bytes[k] + 8, &id, sizeof id);  // the frames' ids are elsewhere
      names[k] = {bytes[k], ledger::space_of(1'000'000 + first, true)};
    }
    ledger.hasher().run(names, kAtOnce, hashes);
    for (uint32_t k = 0; k < kAtOnce; ++k) {
      const auto org = first + static_cast<uint32_t>((n + k + 1) % orgs);
      commands[k] = {hashes[k], ledger::Ledger::group_of(org, true), 0};
      ledger.prefetch(hashes[k]);
    }
    ledger.admit(commands, kAtOnce, rte_rdtsc(), counts, admissions);
    for (const ledger::Admission& a : admissions)
      if (a.result == ledger::Lookup::fresh) ledger.park(a.ref);
  }
}

// `what`: empty, half, full, flooded. The frames are of organisation 0 on.
inline void fill_ledger(ledger::Ledger& ledger, const std::string& what) {
  constexpr uint32_t kOthers = 64, kFirstOther = 2000;
  if (what == "half") enter_ids(ledger, ledger.capacity() / 2, kFirstOther, kOthers);
  if (what != "full" && what != "flooded") return;
  enter_ids(ledger, 2 * ledger.capacity(), kFirstOther, kOthers);
  if (what == "flooded") enter_ids(ledger, ledger.capacity(), 0, 1);
}

}  // namespace lf::bench
