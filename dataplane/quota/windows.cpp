// SPDX-License-Identifier: Apache-2.0
#include "dataplane/quota/windows.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace lf::quota {
namespace {

// Zeroed memory that becomes resident as it is touched; huge pages where it is large.
template <typename T>
T* reserve_memory(uint64_t count) noexcept {
  constexpr uint64_t kHugeFrom = 8u << 20;
  const uint64_t bytes = count * sizeof(T);
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  if (bytes >= kHugeFrom) madvise(p, bytes, MADV_HUGEPAGE);
  return static_cast<T*>(p);
}

template <typename T>
void release_memory(T* p, uint64_t count) noexcept {
  if (p != nullptr) munmap(p, count * sizeof(T));
}

}  // namespace

std::unique_ptr<Windows> Windows::create(const Options& options) {
  std::unique_ptr<Windows> w(new (std::nothrow) Windows());
  if (!w) return nullptr;
  w->keys_ = std::clamp(options.orgs, 1u, kOrgsMax) * kKeysPerOrg;
  w->rings_ = std::clamp(options.rings, 1u, w->keys_);
  w->start_ = options.start;
  w->alone_ = options.alone;
  w->step_tsc_ = std::max<Tsc>(options.step_tsc, 1);
  w->heads_ = reserve_memory<Head>(w->keys_);
  w->details_ = reserve_memory<Details>(w->keys_);
  w->ring_memory_ = reserve_memory<Ring>(w->rings_);
  w->marked_ = reserve_memory<std::atomic<uint64_t>>((w->rings_ + 63) / 64);
  w->key_of_ring_ = reserve_memory<Key>(w->rings_);
  if (!w->heads_ || !w->details_ || !w->ring_memory_ || !w->marked_ || !w->key_of_ring_)
    return nullptr;
  return w;
}

Windows::~Windows() {
  release_memory(heads_, keys_);
  release_memory(details_, keys_);
  release_memory(ring_memory_, rings_);
  release_memory(marked_, (rings_ + 63) / 64);
  release_memory(key_of_ring_, rings_);
}

uint64_t Windows::bytes_reserved() const noexcept {
  return uint64_t{keys_} * (sizeof(Head) + sizeof(Details)) +
         uint64_t{rings_} * (sizeof(Ring) + sizeof(Key)) + (rings_ + 63) / 64 * 8;
}

bool Windows::is_open(Key key) const noexcept {
  return key < keys_ && details_[key].ring.load(std::memory_order_acquire) != 0;
}

bool Windows::open(Key key, Step now) noexcept {
  if (key >= keys_) return false;
  if (is_open(key)) return true;
  if (rings_used_ == rings_) return false;
  const uint32_t r = rings_used_++;
  key_of_ring_[r] = key;
  for (Step s = now - kRingSteps + 1; s <= now; ++s)
    ring_memory_[r].begin[s % kRingSteps].store(word_of(s, 0), std::memory_order_relaxed);
  details_[key].ring.store(r + 1, std::memory_order_release);
  if (alone_) return true;  // its worker alone writes the head, and begins when it first counts
  heads_[key].base.store(word_of(now, 0), std::memory_order_release);
  heads_[key].count.store(word_of(now, 0), std::memory_order_release);
  return true;
}

void Windows::reset(Key key, Step now) noexcept {
  if (!is_open(key)) return;
  Head& h = heads_[key];
  if (step_in(h.count.load(std::memory_order_acquire)) == 0) return;  // nothing was counted yet
  reserve_slowly(key, now, 0, 0, false);  // brings the key to this step
  const uint64_t word = h.count.load(std::memory_order_acquire);
  const Step step = step_in(word);
  Ring& ring = ring_of(key);
  for (Step s = step - kWindowSteps; s <= step; ++s)
    ring.begin[s % kRingSteps].store(word_of(s, total_in(word)), std::memory_order_release);
  h.base.store(word_of(step, total_in(word)), std::memory_order_release);
  details_[key].last_due.store(0, std::memory_order_relaxed);
}

// T when a step began, from its own entry.
std::optional<uint32_t> Windows::total_at(const Ring& ring, Step step) noexcept {
  const uint64_t entry = ring.begin[step % kRingSteps].load(std::memory_order_acquire);
  if (step_in(entry) != step) return std::nullopt;
  return total_in(entry);
}

// T when the window of `step` began, for a key that is at `from` with `total`. Nothing when a
// stalled worker has not yet written what is needed.
std::optional<uint32_t> Windows::base_of(const Ring& ring, Step from, uint32_t total,
                                         Step step) noexcept {
  const Step oldest = step - kWindowSteps;
  if (oldest > from) return total;
  for (Step s = oldest; s + (kRingSteps - kWindowSteps) > oldest; --s)
    if (const auto found = total_at(ring, s)) return found;  // an older one counts more
  return std::nullopt;
}

// Writes down T for the steps that have begun since `from`. Only for who moved the key there.
void Windows::begin_steps(Ring& ring, Step from, Step to, uint32_t total, bool alone) noexcept {
  const Step first = to - from > kRingSteps ? to - kRingSteps + 1 : from + 1;
  for (Step s = first; s <= to; ++s) {
    std::atomic<uint64_t>& entry = ring.begin[s % kRingSteps];
    uint64_t old = entry.load(std::memory_order_relaxed);
    // A newer entry is there when this worker was stalled for a whole ring: leave it.
    while (step_in(old) < s && !replace(entry, old, word_of(s, total), alone)) {
    }
  }
}

Reservation Windows::reserve_slowly(Key key, Step now, uint32_t want, uint32_t admit_max,
                                    bool alone) noexcept {
  Head& h = heads_[key];
  uint64_t word = h.count.load(std::memory_order_acquire);
  if (step_in(word) == 0) {
    if (!alone || !is_open(key)) return {now, admit_max, 0};
    begin_alone(key, now);
    word = h.count.load(std::memory_order_relaxed);
  }
  Ring& ring = ring_of(key);
  for (;;) {
    const Step from = step_in(word);
    const Step step = std::max(from, now);
    const uint32_t total = total_in(word);
    const uint64_t cached = h.base.load(std::memory_order_acquire);
    uint32_t base = total_in(cached);
    if (step_in(cached) != step) {
      const auto found = base_of(ring, from, total, step);
      if (!found) return {step, admit_max, 0};
      base = *found;
    }
    const uint32_t used = total - base;
    const uint32_t granted = used >= admit_max ? 0 : std::min(want, admit_max - used);
    if (granted == 0 && step == from && step_in(cached) == step) return {step, used, 0};
    if (!replace(h.count, word, word_of(step, total + granted), alone)) continue;
    if (step != from) begin_steps(ring, from, step, total, alone);
    if (step_in(cached) != step) h.base.store(word_of(step, base), std::memory_order_release);
    return {step, used, granted};
  }
}

// The first look at a key that was opened: nothing has been counted in any step so far.
void Windows::begin_alone(Key key, Step now) noexcept {
  Ring& ring = ring_of(key);
  // open() wrote those up to its own step.
  for (Step s = now; s > now - kRingSteps; --s) {
    std::atomic<uint64_t>& entry = ring.begin[s % kRingSteps];
    if (step_in(entry.load(std::memory_order_relaxed)) >= s) break;
    entry.store(word_of(s, 0), std::memory_order_release);
  }
  heads_[key].base.store(word_of(now, 0), std::memory_order_relaxed);
  heads_[key].count.store(word_of(now, 0), std::memory_order_release);
}

uint32_t Windows::room(Key key, Step now, uint32_t allow_max, uint64_t era) noexcept {
  Head& h = heads_[key];
  uint64_t base = h.base.load(std::memory_order_relaxed);
  if (base > era) return static_cast<uint32_t>(base - era);
  uint64_t word = h.count.load(std::memory_order_relaxed);
  if (step_in(word) != now || step_in(base) != now) {
    reserve_slowly(key, now, 0, 0, true);  // brings the key to this step
    word = h.count.load(std::memory_order_relaxed);
    base = h.base.load(std::memory_order_relaxed);
    // It is ahead, or has no window, or control has just moved it on.
    if (step_in(word) != now || step_in(base) != now) return 0;
  }
  const uint32_t used = total_in(word) - total_in(base);
  return used < allow_max ? allow_max - used : 0;
}

uint32_t Windows::room_uncounted(Key key) noexcept {
  std::atomic<uint64_t>& count = heads_[key].count;
  const uint64_t word = count.load(std::memory_order_relaxed);
  if (step_in(word) != 0) return 0;
  if (total_in(word) > kLimitMax) count.store(0, std::memory_order_relaxed);
  return kLimitMax;
}

void Windows::grant(Key key, uint32_t room, uint64_t era) noexcept {
  Head& h = heads_[key];
  const uint32_t until_round = UINT32_MAX - total_in(h.count.load(std::memory_order_relaxed));
  h.base.store(era | std::min(room, until_round), std::memory_order_relaxed);
}

void Windows::give_back(Key key, Step step, uint32_t count) noexcept {
  std::atomic<uint64_t>& word = heads_[key].count;
  uint64_t old = word.load(std::memory_order_relaxed);
  while (step_in(old) == step &&
         !replace(word, old, word_of(step, total_in(old) - count), alone_)) {
  }
}

uint32_t Windows::used(Key key, Step now) const noexcept {
  if (!is_open(key)) return 0;
  const Head& h = heads_[key];
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    const uint64_t word = h.count.load(std::memory_order_acquire);
    const auto base =
        base_of(ring_of(key), step_in(word), total_in(word), std::max(step_in(word), now));
    if (base) return total_in(word) - *base;
    // A worker moved the key on and has not written the ring yet; or it moved on since we looked.
  }
  // That worker stands still: count all that the ring still knows of.
  const uint64_t word = h.count.load(std::memory_order_acquire);
  const Ring& ring = ring_of(key);
  uint32_t most = 0;
  for (const auto& entry : ring.begin)
    most = std::max(most, total_in(word) - total_in(entry.load(std::memory_order_acquire)));
  return most;
}

Step Windows::room_at(Key key, Step now, uint32_t target) const noexcept {
  if (!is_open(key)) return now + 1;
  const Head& h = heads_[key];
  const uint64_t word = h.count.load(std::memory_order_acquire);
  const Step at = std::max(step_in(word), now);
  const Ring& ring = ring_of(key);
  // The window of step x begins with step x - 60, and T at a step's begin grows with the step.
  Step low = at + 1 - kWindowSteps, high = at + 1;
  while (low < high) {
    const Step middle = low + (high - low) / 2;
    const auto begun = middle > step_in(word) ? total_in(word) : total_at(ring, middle);
    if (begun && total_in(word) - *begun <= target)
      high = middle;
    else
      low = middle + 1;
  }
  return low + kWindowSteps;
}

void Windows::raise_last_due(Key key, Tsc due) noexcept {
  for (std::atomic<Tsc>* last : {&details_[key].last_due, &latest_due_}) {
    Tsc old = last->load(std::memory_order_relaxed);
    while (old < due && !last->compare_exchange_weak(old, due, std::memory_order_relaxed)) {
    }
  }
}

void Windows::note_rejected(Key key, Step now, uint32_t count) noexcept {
  Details& h = details_[key];
  const uint32_t ring = h.ring.load(std::memory_order_relaxed);
  if (ring == 0) return;
  h.rejected.fetch_add(count, std::memory_order_relaxed);
  if (h.rejected_step.load(std::memory_order_relaxed) == now) return;
  h.rejected_step.store(now, std::memory_order_relaxed);
  marked_[(ring - 1) / 64].fetch_or(uint64_t{1} << ((ring - 1) % 64), std::memory_order_release);
}

uint64_t Windows::rejected(Key key) const noexcept {
  return is_open(key) ? details_[key].rejected.load(std::memory_order_relaxed) : 0;
}

}  // namespace lf::quota
