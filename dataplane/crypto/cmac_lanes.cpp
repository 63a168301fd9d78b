// SPDX-License-Identifier: Apache-2.0
// Messages of as many blocks as their neighbours' run in lockstep from first block to last. Others
// run the header's four blocks in lockstep; then each has whole payload blocks, then a last one,
// and a lane that ran out takes the next segment or the next message, so that lanes stay full
// whatever the mix of lengths. The kernel does the blocks: it is what differs between CPUs.
#include "dataplane/crypto/cmac_lanes.hpp"

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "dataplane/crypto/cmac_kernel_aesni.hpp"
#include "dataplane/crypto/cmac_kernel_vaes.hpp"

namespace lf::crypto {
namespace {

// Shuffles that move the last n bytes of a block to its front and clear the rest, and the padding
// bit behind them; both are read from position 16 - n.
alignas(32) constexpr uint8_t kShift[32] = {
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
alignas(32) constexpr uint8_t kPad[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80};

uint32_t payload_blocks(const CmacJob& job) noexcept {
  return (job.payload_length + 15) / 16;
}

// The last block of a payload of at least one byte, padded and masked with its subkey. Reads 16
// bytes that end with the payload: what precedes it is the datagram's own header.
__m128i last_block(const CmacJob& job) noexcept {
  const uint32_t n = (job.payload_length - 1) % 16 + 1;
  const uint8_t* end = job.datagram + kPayloadOffset + job.payload_length;
  const __m128i moved = _mm_shuffle_epi8(load_block(end - 16), load_block(kShift + 16 - n));
  return _mm_xor_si128(_mm_or_si128(moved, load_block(kPad + 16 - n)),
                       load_block(job.key->subkey[n != 16]));
}

void store_tag(CmacTag& tag, __m128i state) noexcept {
  _mm_store_si128(reinterpret_cast<__m128i*>(tag.bytes), state);
}

// kLanes messages. True: tags[] are the tags. False: of those without payload; of the others they
// are the states after the header.
template <typename Kernel>
bool run_full_group(const CmacJob* jobs, CmacTag* tags) noexcept {
  constexpr uint32_t kLanes = Kernel::kLanes;
  typename Kernel::Data data;
  typename Kernel::Keys keys;
  const uint32_t blocks = payload_blocks(jobs[0]);
  uint32_t differing = 0;
  for (uint32_t l = 0; l < kLanes; ++l) {
    data.key[l] = jobs[l].key;
    data.from[l] = jobs[l].datagram;
    differing |= payload_blocks(jobs[l]) ^ blocks;
  }
  Kernel::take_keys(keys, data);
  if (differing) {
    for (uint32_t l = 0; l < kLanes; ++l) {
      const __m128i ends_here = _mm_set1_epi32(jobs[l].payload_length ? 0 : -1);
      data.last[l] = _mm_and_si128(load_block(data.key[l]->subkey[0]), ends_here);
    }
    Kernel::run_headers(data, keys);
  } else if (blocks == 0) {
    for (uint32_t l = 0; l < kLanes; ++l) data.last[l] = load_block(data.key[l]->subkey[0]);
    Kernel::run_headers(data, keys);
  } else {
    for (uint32_t l = 0; l < kLanes; ++l) data.last[l] = last_block(jobs[l]);
    Kernel::run_messages(data, keys, blocks);
  }
  std::memcpy(tags, data.state, sizeof(data.state));
  return !differing;
}

// 1 to kLanes messages: lanes without one repeat the first.
template <typename Kernel>
bool run_group(const CmacJob* jobs, uint32_t count, CmacTag* tags) noexcept {
  if (count >= Kernel::kLanes) return run_full_group<Kernel>(jobs, tags);
  CmacJob padded[Kernel::kLanes];
  CmacTag padded_tags[Kernel::kLanes];
  for (uint32_t l = 0; l < Kernel::kLanes; ++l) padded[l] = jobs[l < count ? l : 0];
  const bool done = run_full_group<Kernel>(padded, padded_tags);
  for (uint32_t l = 0; l < count; ++l) tags[l] = padded_tags[l];
  return done;
}

// The payloads, of at least one byte, of messages whose states after the header are in tags[].
template <typename Kernel>
class Payloads {
 public:
  Payloads(const CmacJob* jobs, uint32_t count, CmacTag* tags) noexcept
      : jobs_(jobs), count_(count), tags_(tags) {}

  void run() noexcept {
    for (uint32_t l = 0; l < kLanes; ++l) start_next(l);
    while (busy_ > 0) {
      const uint32_t steps = fill_idle_lanes();
      Kernel::run_steps(data_, keys_, steps);
      for (uint32_t l = 0; l < kLanes; ++l) {
        if (left_[l] == kIdle) continue;
        data_.from[l] += size_t{steps} * 16;
        left_[l] -= steps;
        if (left_[l] == 0) finish_segment(l);
      }
    }
  }

 private:
  static constexpr uint32_t kLanes = Kernel::kLanes;
  static constexpr uint32_t kIdle = ~0u;

  void start_next(uint32_t l) noexcept {
    if (next_ == count_) {
      left_[l] = kIdle;
      return;
    }
    const CmacJob& job = jobs_[next_];
    job_[l] = next_++;
    ++busy_;
    data_.key[l] = job.key;
    Kernel::take_key(keys_, l, job.key);
    data_.state[l] = load_block(tags_[job_[l]].bytes);
    data_.last[l] = last_block(job);
    data_.from[l] = job.datagram + kPayloadOffset;
    left_[l] = payload_blocks(job) - 1;
    in_last_[l] = false;
    if (left_[l] == 0) start_last(l);
  }

  void start_last(uint32_t l) noexcept {
    data_.from[l] = reinterpret_cast<const uint8_t*>(&data_.last[l]);
    left_[l] = 1;
    in_last_[l] = true;
  }

  void finish_segment(uint32_t l) noexcept {
    if (!in_last_[l]) return start_last(l);
    store_tag(tags_[job_[l]], data_.state[l]);
    --busy_;
    start_next(l);
  }

  // Idle lanes shadow a busy one, so that all they read is readable. Returns how many steps every
  // busy lane can take.
  uint32_t fill_idle_lanes() noexcept {
    uint32_t steps = kIdle, shortest = 0;
    for (uint32_t l = 0; l < kLanes; ++l)
      if (left_[l] < steps) steps = left_[l], shortest = l;
    if (busy_ == kLanes) return steps;
    for (uint32_t l = 0; l < kLanes; ++l) {
      if (left_[l] != kIdle) continue;
      data_.key[l] = data_.key[shortest];
      data_.from[l] = data_.from[shortest];
    }
    return steps;
  }

  const CmacJob* jobs_;
  uint32_t count_;
  CmacTag* tags_;
  uint32_t next_ = 0, busy_ = 0;
  typename Kernel::Data data_{};
  typename Kernel::Keys keys_{};
  uint32_t left_[kLanes];  // blocks left in the lane's segment
  uint32_t job_[kLanes];
  bool in_last_[kLanes];
};

// `Small` takes the groups that it has lanes enough for.
template <typename Kernel, typename Small>
void run_all(const CmacJob* jobs, uint32_t count, CmacTag* tags) noexcept {
  CmacJob left[kCmacJobsMax];
  CmacTag states[kCmacJobsMax];
  uint8_t position[kCmacJobsMax];
  uint32_t lefts = 0;
  for (uint32_t first = 0; first < count;) {
    const uint32_t n = std::min(count - first, Kernel::kLanes);
    const bool done = n <= Small::kLanes ? run_group<Small>(jobs + first, n, tags + first)
                                         : run_group<Kernel>(jobs + first, n, tags + first);
    for (uint32_t i = first; !done && i < first + n; ++i) {
      if (jobs[i].payload_length == 0) continue;
      left[lefts] = jobs[i];
      states[lefts] = tags[i];
      position[lefts++] = static_cast<uint8_t>(i);
    }
    first += n;
  }
  if (lefts == 0) return;
  if (lefts <= Small::kLanes)
    Payloads<Small>(left, lefts, states).run();
  else
    Payloads<Kernel>(left, lefts, states).run();
  for (uint32_t i = 0; i < lefts; ++i) tags[position[i]] = states[i];
}

CmacPath choose() noexcept {
  return supported(CmacPath::vaes512) ? CmacPath::vaes512 : CmacPath::aesni;
}

const CmacPath kChosen = choose();

// Clang 14 does not know the feature's name: CPUID leaf 7, ECX bit 9.
bool has_vaes() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c >> 9 & 1) != 0;
}

}  // namespace

bool supported(CmacPath path) noexcept {
  if (path == CmacPath::aesni) return true;  // the build's baseline
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         has_vaes();
}

CmacPath chosen_cmac_path() noexcept {
  return kChosen;
}

void cmac_lanes(const CmacJob* jobs, uint32_t count, CmacTag* tags) noexcept {
  cmac_lanes(kChosen, jobs, count, tags);
}

void cmac_lanes(CmacPath path, const CmacJob* jobs, uint32_t count, CmacTag* tags) noexcept {
  if (path == CmacPath::vaes512)
    run_all<VaesKernel, AesniKernel>(jobs, count, tags);
  else
    run_all<AesniKernel, AesniKernel>(jobs, count, tags);
}

}  // namespace lf::crypto
