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

#include "dataplane/crypto/cmac_kernels.hpp"

namespace lf::crypto {
namespace {

// Shuffles that move the last n bytes of a block to its front and clear the rest, and the padding
// bit behind them; both are read from position 16 - n.
alignas(32) constexpr uint8_t kShift[32] = {
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
alignas(32) constexpr uint8_t kPad[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80};

uint32_t payload_blocks(uint32_t length) noexcept {
  return (length + 15) / 16;
}

// How payloads of one length, of at least one byte, become last blocks.
struct Ending {
  __m128i shift, pad;
  uint32_t length, subkey;

  explicit Ending(uint32_t payload_length) noexcept : length(payload_length) {
    const uint32_t missing = -payload_length % 16;
    shift = load_block(kShift + missing);
    pad = load_block(kPad + missing);
    subkey = missing != 0;
  }
  // The last block, padded and masked with its subkey. Reads 16 bytes that end with the payload:
  // what precedes it is the datagram's own header.
  __m128i of(const CmacBatch& batch, uint32_t i) const noexcept {
    const uint8_t* end = batch.datagram[i] + kPayloadOffset + length;
    const __m128i moved = _mm_shuffle_epi8(load_block(end - 16), shift);
    return _mm_xor_si128(_mm_or_si128(moved, pad), load_block(batch.key[i]->subkey[subkey]));
  }
};

// The header's last block; masked when the message ends there.
__m128i header_end(const CmacBatch& batch, uint32_t i) noexcept {
  const __m128i ends_here = _mm_set1_epi32(batch.payload_length[i] ? 0 : -1);
  return _mm_xor_si128(load_block(batch.datagram[i] + (kHeaderBlocks - 1) * 16),
                       _mm_and_si128(load_block(batch.key[i]->subkey[0]), ends_here));
}

// kLanes messages from `first` on. True: their tags are set. False: those of messages without
// payload; of the others they are the states after the header.
template <typename Kernel>
bool run_group(CmacBatch& batch, uint32_t first) noexcept {
  constexpr uint32_t kLanes = Kernel::kLanes;
  alignas(kCacheLine) __m128i last[kLanes];
  const uint32_t* const lengths = batch.payload_length + first;
  const uint32_t length = lengths[0];
  uint32_t lengths_differ = 0, blocks_differ = 0;
  for (uint32_t l = 0; l < kLanes; ++l) {
    lengths_differ |= lengths[l] ^ length;
    blocks_differ |= (lengths[l] + 15) ^ (length + 15);
  }
  const bool in_lockstep = blocks_differ < 16;
  const uint32_t blocks = in_lockstep ? payload_blocks(length) : 0;
  if (blocks == 0) {
    for (uint32_t l = 0; l < kLanes; ++l) last[l] = header_end(batch, first + l);
  } else if (lengths_differ == 0) {
    const Ending ending(length);
    for (uint32_t l = 0; l < kLanes; ++l) last[l] = ending.of(batch, first + l);
  } else {
    for (uint32_t l = 0; l < kLanes; ++l) last[l] = Ending(lengths[l]).of(batch, first + l);
  }
  Kernel::run_messages({batch.key + first, batch.datagram + first}, last, blocks,
                       batch.tag + first);
  return in_lockstep;
}

// The payloads, of at least one byte, of the messages that `which` has bits for. Their tags are
// their states after the header until then.
template <typename Kernel>
class Payloads {
 public:
  Payloads(CmacBatch& batch, uint64_t which) noexcept : batch_(batch), which_(which) {}

  void run() noexcept {
    for (uint32_t l = 0; l < kLanes; ++l) start_next(l);
    while (busy_ > 0) {
      const uint32_t steps = fill_idle_lanes();
      Kernel::run_steps({key_, from_}, keys_, steps, states_);
      for (uint32_t l = 0; l < kLanes; ++l) {
        if (left_[l] == kIdle) continue;
        from_[l] += size_t{steps} * 16;
        left_[l] -= steps;
        if (left_[l] == 0) finish_segment(l);
      }
    }
  }

 private:
  static constexpr uint32_t kLanes = Kernel::kLanes;
  static constexpr uint32_t kIdle = ~0u;

  void start_next(uint32_t l) noexcept {
    if (which_ == 0) {
      left_[l] = kIdle;
      return;
    }
    const auto i = static_cast<uint32_t>(__builtin_ctzll(which_));
    which_ &= which_ - 1;
    const uint32_t length = batch_.payload_length[i];
    message_[l] = i;
    ++busy_;
    Kernel::take_key(keys_, l, batch_.key[i]);
    states_[l] = load_block(batch_.tag[i].bytes);
    last_[l] = Ending(length).of(batch_, i);
    key_[l] = batch_.key[i];
    from_[l] = batch_.datagram[i] + kPayloadOffset;
    left_[l] = payload_blocks(length) - 1;
    in_last_[l] = false;
    if (left_[l] == 0) start_last(l);
  }

  void start_last(uint32_t l) noexcept {
    from_[l] = reinterpret_cast<const uint8_t*>(&last_[l]);
    left_[l] = 1;
    in_last_[l] = true;
  }

  void finish_segment(uint32_t l) noexcept {
    if (!in_last_[l]) return start_last(l);
    _mm_store_si128(reinterpret_cast<__m128i*>(batch_.tag[message_[l]].bytes), states_[l]);
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
      key_[l] = key_[shortest];
      from_[l] = from_[shortest];
    }
    return steps;
  }

  CmacBatch& batch_;
  uint64_t which_;
  uint32_t busy_ = 0;
  const CmacKey* key_[kLanes];
  const uint8_t* from_[kLanes];
  alignas(kCacheLine) __m128i states_[kLanes]{};
  alignas(kCacheLine) __m128i last_[kLanes];
  typename Kernel::Keys keys_{};
  uint32_t left_[kLanes];  // blocks left in the lane's segment
  uint32_t message_[kLanes];
  bool in_last_[kLanes];
};

// Apart, and not inlined: the stack that it needs is no cost to messages of the same length.
template <typename Kernel>
[[gnu::noinline]] void run_payloads(CmacBatch& batch, uint64_t which) noexcept {
  Payloads<Kernel>(batch, which).run();
}

// The last lanes of the last group have no message of their own: they repeat one.
void fill_up(CmacBatch& batch, uint32_t count, uint32_t end) noexcept {
  for (uint32_t i = count; i < end; ++i)
    batch.set(i, batch.key[count - 1], batch.datagram[count - 1], batch.payload_length[count - 1]);
}

// `Small` takes the groups that it has lanes enough for.
template <typename Kernel, typename Small>
void run_all(CmacBatch& batch, uint32_t count) noexcept {
  static_assert(kCmacBatchMax <= 64 && kCmacBatchMax % Kernel::kLanes == 0 &&
                kCmacBatchMax % Small::kLanes == 0);
  uint64_t mixed = 0;
  for (uint32_t first = 0; first < count;) {
    const bool small = count - first <= Small::kLanes;
    const uint32_t end = first + (small ? Small::kLanes : Kernel::kLanes);
    fill_up(batch, count, end);
    const bool done = small ? run_group<Small>(batch, first) : run_group<Kernel>(batch, first);
    for (uint32_t i = first; !done && i < std::min(end, count); ++i)
      mixed |= uint64_t{batch.payload_length[i] != 0} << i;
    first = end;
  }
  if (mixed == 0) return;
  if (static_cast<uint32_t>(__builtin_popcountll(mixed)) <= Small::kLanes)
    run_payloads<Small>(batch, mixed);
  else
    run_payloads<Kernel>(batch, mixed);
}

// Clang 14 does not know the feature's name: CPUID leaf 7, ECX bit 9.
bool has_vaes() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c >> 9 & 1) != 0;
}

CmacPath choose() noexcept {
  for (const CmacPath path : {CmacPath::vaes512, CmacPath::vaes256})
    if (supported(path)) return path;
  return CmacPath::aesni;
}

const CmacPath kChosen = choose();

}  // namespace

bool supported(CmacPath path) noexcept {
  switch (path) {
    case CmacPath::aesni:
      return true;  // the build's baseline
    case CmacPath::vaes256:
      return has_vaes();  // AVX2 is in the baseline
    case CmacPath::vaes512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && has_vaes();
  }
  return false;
}

const char* name_of(CmacPath path) noexcept {
  switch (path) {
    case CmacPath::aesni:
      return "aesni";
    case CmacPath::vaes256:
      return "vaes256";
    case CmacPath::vaes512:
      return "vaes512";
  }
  return "?";
}

CmacPath chosen_cmac_path() noexcept {
  return kChosen;
}

void cmac_lanes(CmacBatch& batch, uint32_t count) noexcept {
  cmac_lanes(kChosen, batch, count);
}

void cmac_lanes(CmacPath path, CmacBatch& batch, uint32_t count) noexcept {
  switch (path) {
    case CmacPath::aesni:
      return run_all<AesniKernel, AesniKernel>(batch, count);
    case CmacPath::vaes256:
      return run_all<Vaes256Kernel, AesniKernel>(batch, count);
    case CmacPath::vaes512:
      return run_all<Vaes512Kernel, AesniKernel>(batch, count);
  }
}

}  // namespace lf::crypto
