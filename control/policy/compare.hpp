// SPDX-License-Identifier: Apache-2.0
// Compare mode: decides what was decided again, by the plain functions or by another version, and
// keeps each disagreement. Live decisions come from the audit collector's tap (its thread), the
// comparing is done on the control thread; history comes from the audit log. Workers know nothing
// of it.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/base/clock.hpp"
#include "control/policy/engine.hpp"
#include "dataplane/audit/record.hpp"

namespace lf::policy {

struct CompareOptions {
  std::optional<uint32_t> version;  // none: the plain functions
  uint32_t one_in = 1;              // of the live decisions
};

struct Disagreement {
  audit::Record record;  // inputs and the answer that was given
  Decision other;        // rule 0 and no meaning in it for the functions
};

struct CompareReport {
  bool running = false;
  CompareOptions options;
  UnixUs since_us = 0;
  uint64_t compared = 0, agreed = 0, disagreed = 0;
  uint64_t skipped = 0;                // not sampled
  uint64_t dropped = 0;                // the queue to the control thread was full
  std::vector<Disagreement> examples;  // the first ones
};

class Compare {
 public:
  explicit Compare(Engine& engine) : engine_(engine) {}

  Result<void> start(const CompareOptions& options, UnixUs now_us);
  void stop();

  // Any thread: the tap of the collector.
  void offer(std::span<const audit::Record> records);
  // Control thread: compares what was offered, at most `limit` records. Returns how many.
  size_t tick(size_t limit = 50'000);
  // Control thread: one record, now (history).
  void compare(const audit::Record& record);

  CompareReport report() const;
  bool running() const;

  // What the other path says to the inputs.
  static Decision by_functions(const Inputs& inputs, const Vocabulary& vocabulary);

 private:
  Engine& engine_;
  mutable std::mutex mutex_;
  std::deque<audit::Record> queue_;
  CompareReport report_;
  uint64_t offered_ = 0;
};

}  // namespace lf::policy
