// SPDX-License-Identifier: Apache-2.0
// Messages of as many blocks as their neighbours' run in lockstep from first block to last. Others
// run the header's four blocks in lockstep; then their payloads do, in groups of similar length.
// The kernel does the blocks: it is what differs between CPUs.
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
  __m128i of(const uint8_t* datagram, const CmacKey& key) const noexcept {
    const uint8_t* end = datagram + kPayloadOffset + length;
    const __m128i moved = _mm_shuffle_epi8(load_block(end - 16), shift);
    return _mm_xor_si128(moved, _mm_xor_si128(pad, load_block(key.subkey[subkey])));
  }
  __m128i of(const CmacBatch& batch, uint32_t i) const noexcept {
    return of(batch.datagram[i], *batch.key[i]);
  }
};

// The header's last block; masked when the message ends there.
__m128i header_end(const CmacBatch& batch, uint32_t i) noexcept {
  const __m128i ends_here = _mm_set1_epi32(batch.payload_length[i] ? 0 : -1);
  return _mm_xor_si128(load_block(batch.datagram[i] + (kHeaderBlocks - 1) * 16),
                       _mm_and_si128(load_block(batch.key[i]->subkey[0]), ends_here));
}

// Whether all of an array's are as `one` says, which is the first one in each place of a vector.
template <typename T>
bool all_are(__m256i one, const T* all, uint32_t count) noexcept {
  __m256i differing = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (uint32_t i = 0; i < count; i += sizeof(__m256i) / sizeof(T)) {
    const __m256i some = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(all + i));
    differing = _mm256_or_si256(differing, _mm256_xor_si256(some, one));
  }
  return _mm256_testz_si256(differing, differing) != 0;
}

// Last blocks of kLanes messages of one length. How many blocks their payloads have.
template <uint32_t kLanes>
uint32_t end_alike(const CmacBatch& batch, uint32_t first, bool one_key, __m128i* last) noexcept {
  const uint32_t length = batch.payload_length[first];
  if (length == 0) {
    for (uint32_t l = 0; l < kLanes; ++l) last[l] = header_end(batch, first + l);
    return 0;
  }
  const Ending ending(length);
  const uint8_t* const* const datagrams = batch.datagram + first;
  const CmacKey* const* const keys = batch.key + first;
  if (one_key) {
#pragma GCC unroll 16
    for (uint32_t l = 0; l < kLanes; ++l) last[l] = ending.of(datagrams[l], *keys[0]);
  } else {
#pragma GCC unroll 16
    for (uint32_t l = 0; l < kLanes; ++l) last[l] = ending.of(datagrams[l], *keys[l]);
  }
  return payload_blocks(length);
}

// The same of any lengths; `in_lockstep`: whether all payloads have that many blocks. Otherwise it
// says 0, and the last ones are the header's.
template <uint32_t kLanes>
[[gnu::noinline]] uint32_t end_each(const CmacBatch& batch, uint32_t first, __m128i* last,
                                    bool& in_lockstep) noexcept {
  const uint32_t* const lengths = batch.payload_length + first;
  uint32_t blocks_differ = 0;
  for (uint32_t l = 0; l < kLanes; ++l) blocks_differ |= (lengths[l] + 15) ^ (lengths[0] + 15);
  in_lockstep = blocks_differ < 16;
  const uint32_t blocks = in_lockstep ? payload_blocks(lengths[0]) : 0;
  for (uint32_t l = 0; l < kLanes; ++l)
    last[l] = blocks != 0 ? Ending(lengths[l]).of(batch, first + l) : header_end(batch, first + l);
  return blocks;
}

// kLanes messages from `first` on. True: their tags are set. False: those of messages without
// payload; of the others they are the states after the header.
template <typename Kernel>
bool run_group(CmacBatch& batch, uint32_t first) noexcept {
  constexpr uint32_t kLanes = Kernel::kLanes;
  alignas(kCacheLine) __m128i last[kLanes];
  const CmacKey* const* const keys = batch.key + first;
  const uint32_t* const lengths = batch.payload_length + first;
  const bool one_key =
      all_are(_mm256_set1_epi64x(reinterpret_cast<intptr_t>(keys[0])), keys, kLanes);
  bool in_lockstep = true;
  const uint32_t blocks = all_are(_mm256_set1_epi32(static_cast<int>(lengths[0])), lengths, kLanes)
                              ? end_alike<kLanes>(batch, first, one_key, last)
                              : end_each<kLanes>(batch, first, last, in_lockstep);
  Kernel::run_messages({keys, batch.datagram + first}, one_key, last, blocks, batch.tag + first);
  return in_lockstep;
}

// The payloads, of at least one byte, of messages of a batch, as many as a kernel has lanes or
// fewer, in order of their lengths in blocks. Their tags are their states after the header until
// then.
template <typename Kernel>
class Payloads {
 public:
  Payloads(CmacBatch& batch, const uint8_t* messages, uint32_t count) noexcept
      : batch_(batch), messages_(messages), count_(count) {
    for (uint32_t l = 0; l < kLanes; ++l) {
      const uint32_t i = message(l), length = batch.payload_length[i];
      key_[l] = batch.key[i];
      from_[l] = batch.datagram[i] + kPayloadOffset;
      whole_[l] = payload_blocks(length) - 1;
      last_[l] = Ending(length).of(batch, i);
      state_[l] = load_block(batch.tag[i].bytes);
      Kernel::take_key(keys_, l, batch.key[i]);
    }
  }

  // Whole blocks in lockstep: as the shortest end first, a step's lanes are those from some lane
  // on. Then all last blocks at once.
  void run() noexcept {
    uint32_t done = 0;  // blocks
    for (uint32_t l = 0; l < kLanes; ++l) {
      if (whole_[l] != done) advance(l, done);
      before_last_[l] = state_[l];
    }
    for (uint32_t l = 0; l < kLanes; ++l) from_[l] = reinterpret_cast<const uint8_t*>(&last_[l]);
    Kernel::run_steps({key_, from_}, keys_, 1, before_last_);
    for (uint32_t l = 0; l < count_; ++l)
      _mm_store_si128(reinterpret_cast<__m128i*>(batch_.tag[messages_[l]].bytes), before_last_[l]);
  }

 private:
  static constexpr uint32_t kLanes = Kernel::kLanes;

  // Lanes without a message repeat the longest.
  uint32_t message(uint32_t lane) const noexcept {
    return messages_[lane < count_ ? lane : count_ - 1];
  }

  // To the end of lane l's whole blocks. Lanes before it shadow the longest, so that all they read
  // is readable.
  void advance(uint32_t l, uint32_t& done) noexcept {
    for (uint32_t ended = 0; ended < l; ++ended) from_[ended] = from_[kLanes - 1];
    const uint32_t steps = whole_[l] - done;
    Kernel::run_steps({key_, from_}, keys_, steps, state_);
    for (uint32_t k = l; k < kLanes; ++k) from_[k] += size_t{steps} * 16;
    done = whole_[l];
  }

  CmacBatch& batch_;
  const uint8_t* messages_;
  uint32_t count_;
  const CmacKey* key_[kLanes];
  const uint8_t* from_[kLanes];
  uint32_t whole_[kLanes];
  alignas(kCacheLine) __m128i state_[kLanes];
  alignas(kCacheLine) __m128i before_last_[kLanes];
  alignas(kCacheLine) __m128i last_[kLanes];
  typename Kernel::Keys keys_{};
};

// Positions of the messages that `which` has bits for, the shortest first. Returns how many.
uint32_t by_length(const CmacBatch& batch, uint64_t which, uint8_t* order) noexcept {
  uint32_t blocks[kCmacBatchMax];
  uint32_t count = 0;
  for (; which != 0; which &= which - 1) {
    const auto i = static_cast<uint32_t>(__builtin_ctzll(which));
    const uint32_t length = payload_blocks(batch.payload_length[i]);
    uint32_t at = count++;
    for (; at > 0 && blocks[at - 1] > length; --at) {
      blocks[at] = blocks[at - 1];
      order[at] = order[at - 1];
    }
    blocks[at] = length;
    order[at] = static_cast<uint8_t>(i);
  }
  return count;
}

// Apart, and not inlined: the stack that it needs is no cost to messages of the same length.
template <typename Kernel, typename Small>
[[gnu::noinline]] void run_payloads(CmacBatch& batch, uint64_t which) noexcept {
  uint8_t order[kCmacBatchMax];
  const uint32_t count = by_length(batch, which, order);
  for (uint32_t first = 0; first < count;) {
    const uint32_t left = count - first;
    if (left <= Small::kLanes) return Payloads<Small>(batch, order + first, left).run();
    Payloads<Kernel>(batch, order + first, std::min(left, Kernel::kLanes)).run();
    first += Kernel::kLanes;
  }
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
  if (mixed != 0) run_payloads<Kernel, Small>(batch, mixed);
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
