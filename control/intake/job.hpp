// SPDX-License-Identifier: Apache-2.0
// One `intake.submit` from its call to the last answer. Each part says who writes it; a job moves
// from one thread to the next through a mutex, so none of them needs to be atomic but the progress.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/base/clock.hpp"
#include "control/intake/batch.hpp"
#include "control/intake/directory.hpp"
#include "control/rpc/command.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::intake {

inline constexpr uint8_t kNoAnswer = 255, kUnsendable = 254;  // in Job::answers

struct Job {
  // The caller's, written by control at first.
  uint64_t number = 0;
  std::string path, text;  // one of them is used
  Options options;
  bool dry_run = false, wait = false, summary = false;
  int64_t wait_ns = 0;
  MonoNs started = 0;
  rpc::Reply reply;
  std::shared_ptr<const Directory> directory;

  // The sorter's.
  std::optional<Batch> batch;  // given up when the last packet is made
  std::optional<Error> error;
  rpc::Json result;
  size_t accepted = 0;
  uint64_t sorted_us = 0;
  std::vector<std::string> ids;  // of a caller who waits, in output order

  // The packet maker's.
  std::atomic<uint64_t> unsendable{0};

  // Control's.
  std::atomic<uint64_t> sent{0};
  size_t answered = 0;
  std::vector<uint8_t> answers;  // a status a command, when the caller waits
  std::optional<MonoNs> wait_until;
  bool finished = false;
  std::atomic<bool> sorted{false};

  Progress progress;
};

// What the caller is told. Helper threads: it may be long.
rpc::Json result_of(const Job& job, const Batch& batch, const Urgency& urgency);
// With the answers that have come.
rpc::Json with_answers(const Job& job);
// A line of `intake.status`.
rpc::Json progress_of(const Job& job);

}  // namespace lf::intake
