// SPDX-License-Identifier: Apache-2.0
// The flight of a command that was sent to a node: whom the reply goes to, who owes it, since when.
// One per slot of the ledger, 64 bytes. Written by the worker that sends, read by whichever worker
// gets the reply; slot states say who may write, and readers check the slot again afterwards, so
// the words are relaxed atomics and no lock.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/core/types.hpp"
#include "dataplane/ledger/words.hpp"
#include "dataplane/rewrite/client.hpp"

namespace lf::ledger {

inline constexpr uint32_t kNoReplaySlot = 0xffffffff;

inline constexpr uint8_t kFlightReplayable = 0x01;   // its intent is marked so
inline constexpr uint8_t kFlightFromControl = 0x02;  // no client on the wire: reply goes to control

// What a flight says without the client.
struct Transmission {
  Tsc sent = 0;                          // to a multiple of 256 ticks
  uint32_t replay_slot = kNoReplaySlot;  // place of the kept packet, for whoever keeps packets
  ServiceIndex service = kNoService;
  NodeSlot node = kNoNode;     // to which it was last sent
  uint16_t breaker_epoch = 0;  // of the node, when it was chosen
  uint8_t attempt = 0;         // of the transmission
  uint8_t flags = 0;
};

struct Flight : Transmission {
  rewrite::Client client;
};

// Tells one transmission of a command from the next: its time, in 256 ticks, cut to 32 bits.
constexpr uint32_t stamp_of(Tsc sent) noexcept {
  return static_cast<uint32_t>(sent >> 8);
}

// A flight as its record holds it: the client's addresses, ports and MAC address as in Client, then
// [.. mac:16][vlan tag:16][service:16][port:8][IP version:8]; [node:16][breaker
// epoch:16][attempt:8] [flags:8][sent, bits 40 to 55:16]; and [stamp:32][replay slot:32]. (First
// field lowest.)
struct FlightWords {
  __m256i low, high;

  FlightWords() noexcept = default;
  FlightWords(const Flight& f) noexcept {  // NOLINT: a flight in other words
    const rewrite::Client& c = f.client;
    low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(&c));
    uint64_t ports_and_mac;
    uint16_t mac_end;
    std::memcpy(&ports_and_mac, &c.port, sizeof ports_and_mac);
    std::memcpy(&mac_end, c.mac.addr_bytes + 4, sizeof mac_end);
    set_high(ports_and_mac,
             mac_end | uint64_t{c.vlan_tci} << 16 | uint64_t{f.service} << 32 |
                 uint64_t{c.out_port} << 48 | uint64_t{c.ip_version} << 56,
             uint64_t{f.node} | uint64_t{f.breaker_epoch} << 16 | uint64_t{f.attempt} << 32 |
                 uint64_t{f.flags} << 40 | sent_bits(f.sent),
             stamp_of(f.sent) | uint64_t{f.replay_slot} << 32);
  }
  static constexpr uint64_t sent_bits(Tsc sent) noexcept { return (sent >> 40 & 0xffff) << 48; }
  // Words 4 to 7.
  void set_high(uint64_t w4, uint64_t w5, uint64_t w6, uint64_t w7) noexcept {
    high = _mm256_set_epi64x(word(w7), word(w6), word(w5), word(w4));
  }

 private:
  static long long word(uint64_t w) noexcept { return static_cast<long long>(w); }
};

struct alignas(kCacheLine) FlightRecord {
  std::atomic<uint64_t> word[8]{};

  void store(const FlightWords& f) noexcept {
#ifdef LF_WORDS_ONE_BY_ONE
    uint64_t w[8];
    std::memcpy(w, &f, sizeof w);
    for (int i = 0; i < 8; ++i) word[i].store(w[i], std::memory_order_relaxed);
#else
    auto* to = reinterpret_cast<__m256i*>(this);
    _mm256_store_si256(to, f.low);
    _mm256_store_si256(to + 1, f.high);
    std::atomic_signal_fence(std::memory_order_release);  // before the slot says so
#endif
  }

  Flight load() const noexcept {
    Flight f;
    static_cast<Transmission&>(f) = load(f.client);
    return f;
  }

  // The client where it shall be: a copy of what has just been put together would wait for it.
  Transmission load(rewrite::Client& client) const noexcept {
    using rewrite::Client;
    static_assert(offsetof(Client, mac) == offsetof(Client, port) + 4 &&
                  offsetof(Client, vlan_tci) == offsetof(Client, mac) + 6 &&
                  offsetof(Client, ip_version) == offsetof(Client, out_port) + 1);
    load_addresses(client);
    const uint64_t w4 = load(4), w5 = load(5), w6 = load(6), w7 = load(7);
    const auto mac_end_and_tag = static_cast<uint32_t>(w5);
    const auto port_and_version = static_cast<uint16_t>(w5 >> 48);
    auto* to = reinterpret_cast<uint8_t*>(&client);
    std::memcpy(to + offsetof(Client, port), &w4, sizeof w4);
    std::memcpy(to + offsetof(Client, mac) + 4, &mac_end_and_tag, sizeof mac_end_and_tag);
    std::memcpy(to + offsetof(Client, out_port), &port_and_version, sizeof port_and_version);
    return {.sent = (w6 >> 48) << 40 | (w7 & 0xffffffff) << 8,
            .replay_slot = static_cast<uint32_t>(w7 >> 32),
            .service = static_cast<ServiceIndex>(w5 >> 32),
            .node = static_cast<NodeSlot>(w6),
            .breaker_epoch = static_cast<uint16_t>(w6 >> 16),
            .attempt = static_cast<uint8_t>(w6 >> 32),
            .flags = static_cast<uint8_t>(w6 >> 40)};
  }

  uint64_t load(size_t i) const noexcept {
    return word[i].load(std::memory_order_acquire);
  }

  // A client's first 32 bytes.
  void load_addresses(rewrite::Client& client) const noexcept {
    static_assert(offsetof(rewrite::Client, port) == 4 * sizeof word[0]);
#ifdef LF_WORDS_ONE_BY_ONE
    uint64_t w[4];
    for (size_t i = 0; i < 4; ++i) w[i] = load(i);
    std::memcpy(static_cast<void*>(&client), w, sizeof w);
#else
    const __m256i addresses = _mm256_load_si256(reinterpret_cast<const __m256i*>(this));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(&client), addresses);
    std::atomic_signal_fence(std::memory_order_acquire);
#endif
  }

  NodeSlot node() const noexcept {
    return static_cast<NodeSlot>(word[6].load(std::memory_order_relaxed));
  }
  uint32_t stamp() const noexcept {
    return static_cast<uint32_t>(word[7].load(std::memory_order_relaxed));
  }
};
static_assert(sizeof(FlightRecord) == kCacheLine);

}  // namespace lf::ledger
