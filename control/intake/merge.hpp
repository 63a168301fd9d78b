// SPDX-License-Identifier: Apache-2.0
// The output's order, and the merge of sorted chunks: the keys are split into ranges that threads
// merge on their own, each into its place. Pure but for the threads.
#pragma once

#include <vector>

#include "control/intake/batch.hpp"

namespace lf::intake {

// (deadline, command_id), then the row: no two keys are equal.
class Before {
 public:
  explicit Before(const Pieces& pieces) : pieces_(pieces) {}
  bool operator()(const Key& a, const Key& b) const {
    if (a.deadline_us != b.deadline_us) return a.deadline_us < b.deadline_us;
    if (a.id_head != b.id_head) return a.id_head < b.id_head;
    return by_id_and_row(a, b);
  }

 private:
  bool by_id_and_row(const Key& a, const Key& b) const;
  const Pieces& pieces_;
};

// First eight bytes, zeros behind a shorter text.
uint64_t head_of(std::string_view text);

// Runs in the arena of the caller. Takes the pieces' runs.
std::vector<Key> merge(Pieces& pieces);

}  // namespace lf::intake
