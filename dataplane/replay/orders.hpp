// SPDX-License-Identifier: Apache-2.0
// What control wants done with the commands that workers keep of a node whose breaker opened. One
// order a node, shared by all workers: count them, send them again as long as there are tokens,
// refuse them. Control writes an order and raises its ticket; a worker walks its kept commands of
// that node once and then reports under that ticket (KeepPool::report). Tokens are taken with a
// compare-and-swap over the whole word, so of N exactly N are taken and none of an older order.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf::replay {

enum class Phase : uint8_t { none, count, send, refuse };

struct Order {
  Phase phase = Phase::none;
  uint8_t batch = 1;    // send: at most so many a loop
  uint16_t ticket = 0;  // of the order; control raises it with each
  uint32_t tokens = 0;  // send: commands that may still be sent, over all workers
  bool operator==(const Order&) const = default;
};

// Which of a node's kept commands an order is about.
struct Scope {
  uint16_t before_epoch = 0;  // sent in an epoch of its breaker before this one
  uint64_t deadline_us = 0;   // refuse: those whose deadline is not after this
};

class Orders {
 public:
  // Thread: control. Gives the order a new ticket and returns it.
  uint16_t give(NodeSlot slot, Order order, const Scope& scope) noexcept {
    const auto ticket = static_cast<uint16_t>(read(slot).ticket + 1);
    order.ticket = ticket;
    // While the scope changes there is no order: see read().
    words_[slot].store(pack({.phase = Phase::none, .ticket = ticket}), std::memory_order_relaxed);
    epochs_[slot].store(scope.before_epoch, std::memory_order_release);
    deadlines_us_[slot].store(scope.deadline_us, std::memory_order_release);
    words_[slot].store(pack(order), std::memory_order_release);
    set_active(slot, order.phase != Phase::none);
    return ticket;
  }

  // Thread: any.
  Order read(NodeSlot slot) const noexcept {
    return unpack(words_[slot].load(std::memory_order_acquire));
  }

  // Thread: worker. The order with its scope; phase none when it is just being changed.
  Order read(NodeSlot slot, Scope& scope) const noexcept {
    const Order order = read(slot);
    scope.before_epoch = epochs_[slot].load(std::memory_order_acquire);
    scope.deadline_us = deadlines_us_[slot].load(std::memory_order_acquire);
    const Order again = read(slot);
    return again.ticket == order.ticket && again.phase == order.phase ? order : Order{};
  }

  // Thread: worker. Takes up to `wanted` tokens of the order `seen`; returns how many.
  uint32_t take(NodeSlot slot, const Order& seen, uint32_t wanted) noexcept {
    uint64_t word = words_[slot].load(std::memory_order_acquire);
    for (;;) {
      Order order = unpack(word);
      if (order.phase != Phase::send || order.ticket != seen.ticket) return 0;
      const uint32_t taken = wanted < order.tokens ? wanted : order.tokens;
      if (taken == 0) return 0;
      order.tokens -= taken;
      if (words_[slot].compare_exchange_weak(word, pack(order), std::memory_order_acq_rel,
                                             std::memory_order_acquire))
        return taken;
    }
  }

  // Thread: worker, once a loop. Nodes with an order; 0: nothing to do.
  uint32_t active() const noexcept { return active_count_.load(std::memory_order_relaxed); }
  // The first slot from `from` on with an order, or kNoNode.
  NodeSlot next_active(uint32_t from) const noexcept {
    for (uint32_t w = from / 64; w < kWords; ++w) {
      uint64_t bits = active_[w].load(std::memory_order_acquire);
      if (w == from / 64) bits &= ~uint64_t{0} << from % 64;
      if (bits != 0) return static_cast<NodeSlot>(w * 64 + __builtin_ctzll(bits));
    }
    return kNoNode;
  }

 private:
  static constexpr uint32_t kWords = kNodesMax / 64;

  // [ticket:16][phase:8][batch:8][tokens:32]
  static constexpr uint64_t pack(const Order& o) noexcept {
    return uint64_t{o.ticket} << 48 | static_cast<uint64_t>(o.phase) << 40 |
           uint64_t{o.batch} << 32 | o.tokens;
  }
  static constexpr Order unpack(uint64_t word) noexcept {
    return {static_cast<Phase>(word >> 40 & 0xff), static_cast<uint8_t>(word >> 32),
            static_cast<uint16_t>(word >> 48), static_cast<uint32_t>(word)};
  }

  void set_active(NodeSlot slot, bool on) noexcept {
    std::atomic<uint64_t>& word = active_[slot / 64];
    const uint64_t bit = uint64_t{1} << slot % 64;
    const uint64_t before = word.load(std::memory_order_relaxed);
    const uint64_t after = on ? before | bit : before & ~bit;
    if (after == before) return;
    word.store(after, std::memory_order_release);
    active_count_.store(active_count_.load(std::memory_order_relaxed) + (on ? 1 : -1),
                        std::memory_order_release);
  }

  alignas(kCacheLine) std::atomic<uint32_t> active_count_{0};
  alignas(kCacheLine) std::atomic<uint64_t> active_[kWords] = {};
  alignas(kCacheLine) std::atomic<uint64_t> words_[kNodesMax] = {};
  alignas(kCacheLine) std::atomic<uint64_t> deadlines_us_[kNodesMax] = {};
  alignas(kCacheLine) std::atomic<uint16_t> epochs_[kNodesMax] = {};
};

}  // namespace lf::replay
