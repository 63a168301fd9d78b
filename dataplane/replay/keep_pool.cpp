// SPDX-License-Identifier: Apache-2.0
#include "dataplane/replay/keep_pool.hpp"

namespace lf::replay {

KeepPool::KeepPool(uint32_t capacity)
    : places_(capacity),
      lists_(kNodesMax),
      reports_(kNodesMax),
      free_(capacity > 0 ? 0 : kEnd),
      sweep_from_(capacity - capacity / 4) {
  for (uint32_t i = 0; i < capacity; ++i) places_[i].next = i + 1 < capacity ? i + 1 : kEnd;
}

KeepPool::~KeepPool() {
  clear();
}

void KeepPool::clear() noexcept {
  for (const List& list : lists_)
    while (list.head != kEnd) drop(list.head);
}

void KeepPool::append(uint32_t place) noexcept {
  Kept& k = places_[place];
  List& list = lists_[k.node];
  k.next = kEnd;
  k.previous = list.tail;
  (list.tail == kEnd ? list.head : places_[list.tail].next) = place;
  list.tail = place;
}

void KeepPool::unlink(uint32_t place) noexcept {
  const Kept& k = places_[place];
  List& list = lists_[k.node];
  (k.previous == kEnd ? list.head : places_[k.previous].next) = k.next;
  (k.next == kEnd ? list.tail : places_[k.next].previous) = k.previous;
  if (job_.cursor == place) job_.cursor = k.next;
}

void KeepPool::done(uint32_t place) noexcept {
  unlink(place);
  places_[place] = {.next = free_};
  free_ = place;
  resize(-1);
}

void KeepPool::drop(uint32_t place) noexcept {
  if (places_[place].mbuf) rte_pktmbuf_free(places_[place].mbuf);
  done(place);
}

rte_mbuf* KeepPool::take_out(uint32_t place, rte_mempool* copies) noexcept {
  Kept& k = places_[place];
  rte_mbuf* m = k.mbuf;
  if (rte_mbuf_refcnt_read(m) > 1) {
    rte_mbuf* copy = copies ? rte_pktmbuf_copy(m, copies, 0, UINT32_MAX) : nullptr;
    if (!copy) return nullptr;
    note_of(copy) = note_of(m);
    rte_pktmbuf_free(m);
    m = copy;
  }
  k.mbuf = nullptr;
  return m;
}

// Goes on with the order at hand, or looks for one that this worker has not reported on.
bool KeepPool::find_job(const Orders& orders) noexcept {
  if (job_.node != kNoNode) return true;
  const uint32_t start = search_from_;
  bool around = false;
  for (uint32_t looks = 0; looks < kSearchPerPoll; ++looks) {
    const NodeSlot node = orders.next_active(search_from_);
    if (node == kNoNode || (around && node >= start)) {
      search_from_ = 0;
      if (around || start == 0) return false;
      around = true;
      continue;
    }
    search_from_ = node + 1;
    const Order order = orders.read(node);
    if (order.phase == Phase::none || report(node).ticket == order.ticket) continue;
    job_ = {.node = node, .ticket = order.ticket, .cursor = lists_[node].head};
    return true;
  }
  return false;
}

// Takes tokens for what was found, and reports when the walk is over.
void KeepPool::finish_poll(Orders& orders, const Order& order, Work& work) noexcept {
  if (order.phase == Phase::send && work.count > 0) {
    const uint32_t granted = orders.take(job_.node, order, work.count);
    if (granted < work.count) {
      job_.cursor = kEnd;
      job_.at_end = true;
      job_.left += work.count - granted;
      work.count = static_cast<uint16_t>(granted);
    }
  }
  if (work.count > 0) {
    work.phase = order.phase;
    work.node = job_.node;
  }
  if (!job_.at_end) return;
  reports_[job_.node].store(uint64_t{job_.ticket} << 32 | job_.left, std::memory_order_release);
  leave_job();
}

}  // namespace lf::replay
