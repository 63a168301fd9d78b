// SPDX-License-Identifier: Apache-2.0
// What makes a flow: both ends and the protocol, as the client's packets carry them. Always
// compared whole. The hash has no secret: every machine of a fleet gives a flow the same place in
// the Maglev table. Pure; used by the flow stage on workers and by control's tests.
#pragma once

#include <immintrin.h>
#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/core/burst.hpp"

namespace lf::flow {

inline constexpr uint8_t kFragment = 0x80;  // in Key::protocol: fragments, told by addresses alone

struct Key {
  IpAddress client;
  IpAddress local;           // the service's address
  uint16_t client_port = 0;  // wire order, 0 where the protocol has none
  uint16_t port = 0;
  uint8_t protocol = 0;
  uint8_t ip_version = 0;
  uint16_t zero = 0;

  bool operator==(const Key& o) const noexcept {
    const __m256i differ = _mm256_xor_si256(addresses(), o.addresses());
    return _mm256_testz_si256(differ, differ) != 0 && ends() == o.ends();
  }
  // Ports, protocol and version, as they lie in memory.
  uint64_t ends() const noexcept {
    uint64_t e;
    std::memcpy(&e, &client_port, sizeof e);
    return e;
  }
  // `ports`: client's and service's as they follow each other in a header to the service.
  void set_ends(uint32_t ports, uint8_t new_protocol, uint8_t version) noexcept {
    const uint64_t e = ports | uint64_t{new_protocol} << 32 | uint64_t{version} << 40;
    std::memcpy(&client_port, &e, sizeof e);
  }

 private:
  __m256i addresses() const noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(&client));
  }
};
static_assert(sizeof(Key) == 40 && offsetof(Key, local) == 16 && offsetof(Key, client_port) == 32);

constexpr bool has_ports(uint8_t protocol) noexcept {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

constexpr uint64_t fold_product(uint64_t a, uint64_t b) noexcept {
  const auto product = static_cast<UInt128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t hash_of(const Key& k) noexcept {
  uint64_t h = fold_product(k.client.lo ^ 0x2d358dccaa6c78a5, k.client.hi ^ 0x8bb84b93962eacc9);
  h ^= fold_product(k.local.lo ^ 0x4b33a62ed433d4a3, k.local.hi ^ 0x4d5a2da51de1aa47);
  h = fold_product(h ^ 0xa0761d6478bd642f, k.ends() ^ 0xe7037ed1a0b428db);
  // Once more: one product is linear in the port, and a client's ports would lie in a few rows.
  return fold_product(h ^ 0x8ebc6af09c88c6e3, 0x589965cc75374cc3);
}

// A place in a table of `places` by the hash's upper half, without a division.
constexpr uint32_t place_in(uint64_t hash, uint32_t places) noexcept {
  return static_cast<uint32_t>(((hash >> 32) * places) >> 32);
}

}  // namespace lf::flow
