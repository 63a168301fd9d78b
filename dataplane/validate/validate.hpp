// SPDX-License-Identifier: Apache-2.0
// Refuses commands whose deadline has passed, with the configured tolerance for clock skew.
// Called by the pipeline on a worker for the commands of a burst, with the time of the burst.
#pragma once

#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/hold_end.hpp"
#include "dataplane/core/metas.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::validate {

// The first deadline that still holds.
constexpr uint64_t first_deadline(uint64_t unix_us, uint64_t skew_us) noexcept {
  return unix_us > skew_us ? unix_us - skew_us : 0;
}
constexpr bool expired(uint64_t deadline_us, uint64_t unix_us, uint64_t skew_us) noexcept {
  return deadline_us < first_deadline(unix_us, skew_us);
}

// unix_us 0: the clock has not been set yet, nothing is refused. `expect` is called for each command:
// what later stages will read of it is asked for in the same loop.
template <typename Expect>
[[gnu::always_inline]] inline void run(const parse::Table& table, Burst& burst, Selection& live,
                                       uint64_t unix_us, Expect&& expect) noexcept {
  const uint64_t first = first_deadline(unix_us, table.clock_skew_us);
  bool some_expired = false;
  for_each(burst, live, [&](Meta& meta) __attribute__((always_inline)) {
    expect(meta);
    if (meta.deadline_us >= first) [[likely]]
      return;
    if (meta.origin == kHoldExpired) return;  // policy says what became of it
    meta.reply_status = lcp::Status::expired;
    meta.verdict = Verdict::deadline_expired;
    some_expired = true;
  });
  if (some_expired) keep_undecided(burst, live);
}
inline void run(const parse::Table& table, Burst& burst, Selection& live,
                uint64_t unix_us) noexcept {
  run(table, burst, live, unix_us, [](const Meta&) {});
}

}  // namespace lf::validate
