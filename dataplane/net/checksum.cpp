// SPDX-License-Identifier: Apache-2.0
#include "dataplane/net/checksum.hpp"

#include <immintrin.h>
#include <netinet/in.h>

namespace lf::net {
namespace {

// 32 bytes at kLastBytes + n select the last n bytes of a vector.
alignas(64) constexpr auto kLastBytes = [] {
  struct {
    uint8_t byte[64] = {};
  } mask;
  for (int i = 32; i < 64; ++i) mask.byte[i] = 0xff;
  return mask;
}();

__m256i half_sums(__m256i words) noexcept {
  const __m256i low = _mm256_and_si256(words, _mm256_set1_epi64x(0xffffffff));
  return _mm256_add_epi64(low, _mm256_srli_epi64(words, 32));
}

__m256i load(const uint8_t* p) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

uint64_t horizontal(__m256i v) noexcept {
  const __m128i x = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(x)) +
         static_cast<uint64_t>(_mm_extract_epi64(x, 1));
}

// Fewer than 32 bytes, an even number of them.
uint64_t sum_short(const uint8_t* p, size_t length) noexcept {
  uint64_t sum = 0;
  for (; length >= 8; p += 8, length -= 8) {
    uint64_t words;
    std::memcpy(&words, p, 8);
    sum += half_sum(words);
  }
  if (length >= 4) {
    uint32_t words;
    std::memcpy(&words, p, 4);
    sum += words;
    p += 4;
    length -= 4;
  }
  if (length >= 2) {
    uint16_t word;
    std::memcpy(&word, p, 2);
    sum += word;
  }
  return sum;
}

}  // namespace

uint64_t sum_bytes(const void* bytes, size_t length) noexcept {
  const auto* p = static_cast<const uint8_t*>(bytes);
  const uint64_t last = length % 2 ? p[length - 1] : 0;
  length &= ~size_t{1};
  if (length < 32) return last + sum_short(p, length);

  const uint8_t* end = p + length;
  __m256i sum = _mm256_setzero_si256();
  __m256i sum2 = _mm256_setzero_si256();
  for (; end - p >= 64; p += 64) {
    sum = _mm256_add_epi64(sum, half_sums(load(p)));
    sum2 = _mm256_add_epi64(sum2, half_sums(load(p + 32)));
  }
  if (end - p >= 32) {
    sum = _mm256_add_epi64(sum, half_sums(load(p)));
    p += 32;
  }
  // The rest again with bytes that have been counted, which the mask takes out. The distance is
  // even, so words stay words.
  const __m256i rest = _mm256_and_si256(load(end - 32), load(kLastBytes.byte + (end - p)));
  sum2 = _mm256_add_epi64(sum2, half_sums(rest));
  return last + horizontal(_mm256_add_epi64(sum, sum2));
}

void set_udp_checksum(const uint8_t* l3, uint8_t ip_version, rte_udp_hdr& udp) noexcept {
  IpAddress source, destination;
  load_addresses(l3, ip_version, source, destination);
  udp.dgram_cksum = 0;
  const uint16_t length = __builtin_bswap16(udp.dgram_len);
  udp.dgram_cksum = udp_checksum_of(pseudo_sum(source, destination, IPPROTO_UDP, length) +
                                    sum_bytes(&udp, length));
}

}  // namespace lf::net
