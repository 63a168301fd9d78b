// SPDX-License-Identifier: Apache-2.0
// What one worker counts. Writer: that worker alone, with relaxed stores (no read-modify-write
// instruction, no reset). Reader: control, which sums over workers and subtracts for rates.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/core/verdicts.hpp"

namespace lf {

// A counter with one writer.
class Counter {
 public:
  void add(uint64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t read() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Latency histogram: log-linear, 4 buckets an octave of microseconds, 0..~16 s.
inline constexpr uint32_t kLatencyBuckets = 96;

constexpr uint32_t latency_bucket(uint64_t us) noexcept {
  if (us < 4) return static_cast<uint32_t>(us);
  const uint32_t octave = 63 - static_cast<uint32_t>(__builtin_clzll(us));
  const uint32_t bucket = (octave - 1) * 4 + static_cast<uint32_t>((us >> (octave - 2)) & 3);
  return bucket < kLatencyBuckets ? bucket : kLatencyBuckets - 1;
}
// Smallest latency in microseconds that falls into a bucket.
constexpr uint64_t latency_bucket_floor_us(uint32_t bucket) noexcept {
  if (bucket < 4) return bucket;
  const uint32_t octave = bucket / 4 + 1;
  return (uint64_t{4} + bucket % 4) << (octave - 2);
}

// Per node, what one worker saw. The first line alone gives what is in flight, summed over workers:
// sent - ok - failed - busy - other - timeouts - left. `outcomes_in_epoch` packs what the breaker
// needs into one word: [epoch:16][successes:24][failures:24], restarted when the node's breaker
// epoch changes.
struct alignas(kCacheLine) NodeStats {
  Counter sent;      // commands sent (retries and replays too)
  Counter ok;        // REPLY status ok
  Counter failed;    // REPLY status failed
  Counter busy;      // REPLY status busy
  Counter other;     // any other REPLY status: counts as an answer
  Counter timeouts;  // in flight longer than the service's time-out
  Counter left;      // no longer in flight here, without an answer or a time-out: sent again (to
                     // this or another node), or its ledger entry went
  std::atomic<uint64_t> outcomes_in_epoch{0};
  Counter unreachable;     // ICMP unreachable from the node
  Counter answered_late;   // REPLY after its time-out had been counted
  Counter latency_sum_us;  // over replies and time-outs; one that is no success counts at least the
                           // time-out, so that quick failures do not look like speed
  Counter slow;            // replies slower than the service's slow-call limit
  Counter latency[kLatencyBuckets];
  Counter flows_opened;  // flows that the worker began to remember for the node
  Counter flows_closed;  // and forgot
  Counter flow_packets;  // packets of flows sent to the node
};
static_assert(offsetof(NodeStats, unreachable) == kCacheLine);

struct alignas(kCacheLine) WorkerStats {
  Counter verdicts[kVerdictCodes];
  alignas(kCacheLine) Counter received;  // packets taken from ports and control's rings
  Counter transmitted;
  Counter bursts;     // bursts with at least one packet
  Counter polls;      // receive calls, empty ones too
  Counter busy_tsc;   // ticks spent on bursts with packets
  Counter total_tsc;  // ticks since the loop started
  Counter
      answers_sent;  // REPLYs that the data plane itself made for refused, held, delayed commands
  Counter parked;    // packets put into a delay wheel or handed to control, to come back
  Counter unparked;  // packets that came back
  Counter quota_delayed;       // commands that the delay tier held
  Counter retries_passed;      // retries of commands in flight sent on
  Counter replays;             // kept commands sent again after a breaker opened
  Counter replay_unkept;       // replayable commands that could not be kept (pool full)
  Counter replay_refused;      // kept commands refused, for they could not be sent again
  Counter timeouts_untracked;  // commands whose time-out could not be watched (wheel full)
  Counter handoff_lost;        // frames that another worker's transmit queue did not take
  std::atomic<uint64_t> generation_since{0};  // TSC when `generation` was first used
  std::atomic<uint64_t> generation{0};        // of the snapshot last used; written before quiescent
  std::atomic<uint64_t> heartbeat{0};         // loop iterations; a watchdog reads it
};

}  // namespace lf
