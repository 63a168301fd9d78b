// SPDX-License-Identifier: Apache-2.0
// The limited quotas that are used most, in per cent of their limit, kept up to date by a walk over
// all windows, a part of it at each call, so that no call takes long. Thread: control.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "control/quota/quotas.hpp"

namespace lf::quota {

class Ranking {
 public:
  explicit Ranking(size_t size) : size_(size) {}

  // Looks at the next `keys` windows.
  void walk(const Quotas& quotas, uint32_t keys, Tsc now);

  // Of the last whole walk, the highest first; what has used nothing and rejected nothing is not
  // in it.
  const std::vector<TopKey>& top() const { return top_; }

 private:
  void offer(const TopKey& key);

  size_t size_;
  uint32_t next_ = 0;         // window that the walk goes on with
  std::vector<TopKey> heap_;  // of this walk so far, the lowest first
  std::vector<TopKey> top_;
};

}  // namespace lf::quota
