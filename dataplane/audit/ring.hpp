// SPDX-License-Identifier: Apache-2.0
// A worker's ring of audit records: one writer (that worker), one reader (control's collector).
// The writer publishes once a burst; the reader copies out what is published. Records are written
// in place, which rte_ring does not offer for 80-byte elements without a copy.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/audit/record.hpp"
#include "dataplane/core/types.hpp"

namespace lf::audit {

class Ring {
 public:
  // records: a power of two, at least 2.
  explicit Ring(uint32_t records) : mask_(records - 1), records_(new Record[records]()) {}

  uint32_t capacity() const noexcept { return mask_ + 1; }
  Record& at(uint64_t place) noexcept { return records_[place & mask_]; }

  // Writer.
  void publish(uint64_t head) noexcept { head_.store(head, std::memory_order_release); }
  uint64_t taken() const noexcept { return tail_.load(std::memory_order_acquire); }

  // Reader: published records, in at most two pieces; done(n) gives their places back.
  uint64_t published() const noexcept { return head_.load(std::memory_order_acquire); }
  uint64_t tail() const noexcept { return tail_.load(std::memory_order_relaxed); }
  void done(uint64_t tail) noexcept { tail_.store(tail, std::memory_order_release); }

  // Control switches a worker's recording on and off; the worker looks once a burst.
  void set_enabled(bool on) noexcept { enabled_.store(on, std::memory_order_relaxed); }
  bool enabled() const noexcept { return enabled_.load(std::memory_order_relaxed); }

 private:
  const uint32_t mask_;
  std::unique_ptr<Record[]> records_;
  std::atomic<bool> enabled_{true};
  alignas(kCacheLine) std::atomic<uint64_t> head_{0};
  alignas(kCacheLine) std::atomic<uint64_t> tail_{0};
};

}  // namespace lf::audit
