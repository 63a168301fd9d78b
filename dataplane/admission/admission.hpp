// SPDX-License-Identifier: Apache-2.0
// Admission control: the decision on backlog and commands in flight, and the stage that sheds
// commands of a burst when there is no room for all of them.
// The stage is called by the pipeline on workers after authenticate and before dedup, so that what
// it sheds has left no trace in the ledger. It looks at commands only: REPORTs, APPROVALs and
// replies make room or decide about it, and are never shed. Nor is a command that policy held: it
// was taken in once already.
#pragma once

#include <cstdint>

#include "dataplane/admission/table.hpp"
#include "dataplane/core/burst.hpp"

namespace lf::admission {

enum class Reason : uint8_t { nominal, degraded, hard_limit };

struct Decision {
  bool accepted = true;
  Reason reason = Reason::nominal;
  double ratio = 0;  // rounded to 4 decimals
};

constexpr const char* name_of(Reason r) noexcept {
  return r == Reason::nominal ? "nominal" : r == Reason::degraded ? "degraded" : "hard-limit";
}

// ratio = (max(backlog, 0) + max(inflight, 0)) / max(hard_limit, 1): from 1 on refused, from 0.85
// on degraded. Compared in integers; any thread.
Decision admission_control(int64_t backlog, int64_t inflight, int64_t hard_limit) noexcept;

// How busy the data plane is, as the worker knows it at this burst.
struct Load {
  uint64_t in_flight = 0;   // entries in flight in the ledger
  uint64_t rx_backlog = 0;  // packets waiting in receive queues
  uint64_t delayed = 0;     // packets in delay wheels that the ledger does not count
};

// The same three levels, for stats and for what else wants to know.
Reason level(const Table& table, const Load& load) noexcept;

// Commands that may still come in before the hard limit is reached.
uint64_t room(const Table& table, const Load& load) noexcept;

// Sheds commands of `live` until the rest fits into room(): duplicates first, then the
// unauthenticated, then the lowest severity; within the same rank the later ones. `duplicates` has
// the bit of every position whose command the ledger knows to be in flight or answered with this
// attempt (retries are not).
// Answers go out as busy with a time to wait.
void run(const Table& table, const Load& load, uint64_t duplicates, Burst& burst,
         Selection& live) noexcept;

inline constexpr uint32_t kRetryAfterMs = 80;  // of the answer to a command that was shed

}  // namespace lf::admission
