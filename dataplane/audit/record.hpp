// SPDX-License-Identifier: Apache-2.0
// The audit record: what was decided about one packet and everything that the decision depended
// on, so that it can be made again. Fixed size, host order, written by workers into their ring,
// stored as it is by control/audit. A change of layout needs a new kFormat.
#pragma once

#include <cstdint>
#include <cstring>

namespace lf::audit {

inline constexpr uint16_t kFormat = 1;

enum class RecordKind : uint8_t {
  decision = 1,  // of a worker, about a packet
  gap = 2,       // of a worker: decisions that were not recorded (GapInfo)
  event = 3,     // of control: `verdict` holds an EventCode
};

enum class EventCode : uint8_t {
  activate = 1,  // policy_version: everybody's, target_id: the candidate, risk_centi: percent
  rollback = 2,
  confirm = 3,
  approval = 4,  // operator_id: who approved the held command
  release = 5,
  refuse = 6,
  expire = 7,
  retention = 8,  // target_id: segment that was removed
  recovered = 9,  // target_id: bytes of an unfinished block that a crash left behind
};

struct Record {
  // kUnkept: a replayable command that was sent, but is not kept for replay. With verdict none: it
  // was, until its deadline passed without an answer.
  static constexpr uint8_t kAuthenticated = 1, kCommsDegraded = 2, kRetry = 4, kReleased = 8,
                           kFromIntake = 16, kEvaluated = 32, kOrgKnown = 64, kUnkept = 128;

  uint64_t time_us;  // Unix time of the burst
  uint8_t trace_id[16];
  uint8_t command_id[16];
  uint32_t org_id, operator_id, target_id;
  uint32_t policy_version;  // the one that decided
  uint32_t role_bits;
  uint32_t pattern_bits;
  uint16_t rule;  // 0: default deny
  uint16_t risk_centi;
  uint16_t group;
  uint16_t node;  // slot; 0xffff: none
  RecordKind kind;
  uint8_t worker;
  uint8_t intent, severity;
  uint8_t clearance_mfa;  // clearance in the low four bits, MFA level in the high four
  uint8_t flags;
  uint8_t outcome;  // PolicyOutcome
  uint8_t verdict;  // and with it the stage, see core/verdicts.hpp
};
static_assert(sizeof(Record) == 80);

// What a gap says. Sequence numbers count a worker's decisions from 0 since its start.
struct GapInfo {
  uint64_t first = 0, last = 0;  // sequence numbers that are missing
  uint64_t time_us = 0, end_time_us = 0;
  uint32_t by_outcome[3] = {};
};

inline Record make_gap(const GapInfo& gap, uint8_t worker) noexcept {
  Record r{};
  r.kind = RecordKind::gap;
  r.worker = worker;
  r.time_us = gap.time_us;
  std::memcpy(r.trace_id, &gap.first, 8);
  std::memcpy(r.trace_id + 8, &gap.last, 8);
  std::memcpy(r.command_id, &gap.end_time_us, 8);
  r.org_id = gap.by_outcome[0];
  r.operator_id = gap.by_outcome[1];
  r.target_id = gap.by_outcome[2];
  return r;
}

inline GapInfo gap_of(const Record& r) noexcept {
  GapInfo gap;
  std::memcpy(&gap.first, r.trace_id, 8);
  std::memcpy(&gap.last, r.trace_id + 8, 8);
  std::memcpy(&gap.end_time_us, r.command_id, 8);
  gap.time_us = r.time_us;
  gap.by_outcome[0] = r.org_id;
  gap.by_outcome[1] = r.operator_id;
  gap.by_outcome[2] = r.target_id;
  return gap;
}

}  // namespace lf::audit
