// SPDX-License-Identifier: Apache-2.0
// What lf-send reports at the end: one thread's numbers, added up, as JSON or as text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/common/histogram.hpp"
#include "tools/lf_send/options.hpp"
#include "tools/lf_send/tracker.hpp"

namespace lf::send {

// One second of the run, counted when things happened.
struct Second {
  uint64_t sent = 0, answered = 0, ok = 0;
  tools::Histogram latency;
};

struct Results {
  uint64_t sent = 0;    // datagrams, of all kinds
  uint64_t unique = 0;  // commands, spoiled ones apart
  uint64_t answered = 0, lost = 0;
  uint64_t retries = 0, duplicates = 0;  // datagrams among `sent`
  uint64_t duplicate_answers = 0;        // deciding answers after the first
  uint64_t duplicate_notices = 0;        // DUPLICATE replies
  uint64_t interim = 0;                  // HELD, DELAYED, and refusals that were retried
  uint64_t late = 0;                     // answered after they had been given up
  uint64_t from_data_plane = 0;          // deciding answers that no node gave
  uint64_t tagged_answers = 0, bad_tags = 0;
  uint64_t foreign = 0;        // datagrams that answer nothing of ours
  uint64_t malformed = 0;      // datagrams that are no LCP
  uint64_t refused_sends = 0;  // by the kernel
  std::array<uint64_t, 256> by_status{};
  std::array<uint64_t, kFaults> spoiled{}, spoiled_answered{};
  tools::Histogram latency;
  std::vector<Second> series;
  double seconds = 0;         // from the first to the last command
  int64_t behind_ns_max = 0;  // the most that a command left after it was due

  void add(const Results& other);
  // From the tracker's final states.
  void count_commands(const Tracker& tracker);
};

std::string to_json(const Results& results);
std::string to_text(const Results& results);

}  // namespace lf::send
