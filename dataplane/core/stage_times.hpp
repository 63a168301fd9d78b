// SPDX-License-Identifier: Apache-2.0
// How long the stages of the pipeline take, on a sample of bursts. Writer: one worker; control
// reads. A burst that is not sampled costs one predictable branch a stage.
#pragma once

#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"

namespace lf {

// In the order of a command's way. `burst`: from the first stage to the last, all packets.
#define LF_STAGES(X)                                                                          \
  X(parse)        /* headers, checksums, whose packet it is */                                \
  X(authenticate) /* organisation's key, tag */                                               \
  X(validate)     /* deadline, draining, admission control */                                 \
  X(dedup)        /* command ledger */                                                        \
  X(policy)       /* operator, target, rules, room in the audit ring */                       \
  X(quota)        /* windows of the organisation and intent */                                \
  X(choose)       /* node */                                                                  \
  X(record)       /* flight into the ledger, its time-out */                                  \
  X(rewrite)      /* addresses, checksums, transmit lists */                                  \
  X(audit)        /* record of the decision */                                                \
  X(answer)       /* replies to refused, held and delayed commands */                         \
  X(replies)      /* nodes' replies: tag, ledger, rewrite */                                  \
  X(flows)        /* packets of flow services */                                              \
  X(others)       /* reports, approvals, probes, exceptions */                                \
  X(burst)

enum class Stage : uint8_t {
#define LF_STAGE(name) name,
  LF_STAGES(LF_STAGE)
#undef LF_STAGE
};
inline constexpr const char* kStageNames[] = {
#define LF_STAGE(name) #name,
    LF_STAGES(LF_STAGE)
#undef LF_STAGE
};
inline constexpr uint32_t kStages = static_cast<uint32_t>(Stage::burst) + 1;

struct StageTimes {
  struct Times {
    Counter bursts, packets, ticks;
    Counter bucket[kLatencyBuckets];  // bursts by ticks; see latency_bucket()
  };
  Times stage[kStages];

  void add(Stage which, uint32_t packets, Tsc ticks) noexcept {
    Times& t = stage[static_cast<uint32_t>(which)];
    t.bursts.add(1);
    t.packets.add(packets);
    t.ticks.add(ticks);
    t.bucket[latency_bucket(ticks)].add(1);
  }
};

// Times the stages of one burst in `every`.
class StageClock {
 public:
  explicit StageClock(StageTimes& times) noexcept : times_(times) {}

  // every: 0 for no burst at all.
  void begin(uint32_t every) noexcept {
    if (++since_ < every || every == 0) [[likely]]
      return;
    since_ = 0;
    running_ = true;
    began_ = last_ = __builtin_ia32_rdtsc();
  }
  // The stage has just ended, for so many packets; the next one begins.
  void mark(Stage stage, uint32_t packets) noexcept {
    if (running_) [[unlikely]]
      record(stage, packets);
  }
  void end(uint32_t packets) noexcept {
    if (!running_) [[likely]]
      return;
    times_.add(Stage::burst, packets, __builtin_ia32_rdtsc() - began_);
    running_ = false;
  }

 private:
  [[gnu::noinline]] void record(Stage stage, uint32_t packets) noexcept {
    const Tsc now = __builtin_ia32_rdtsc();
    if (packets != 0) times_.add(stage, packets, now - last_);
    last_ = now;
  }

  StageTimes& times_;
  Tsc began_ = 0, last_ = 0;
  uint32_t since_ = 0;
  bool running_ = false;
};

}  // namespace lf
