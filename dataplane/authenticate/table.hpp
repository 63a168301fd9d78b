// SPDX-License-Identifier: Apache-2.0
// Who may sign what: organisations, their live keys, and how strict each service is. Built by
// control/authenticate, read by the authenticate and answer stages. Immutable once published.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/core/types.hpp"
#include "dataplane/crypto/cmac_key.hpp"

namespace lf::authenticate {

enum class Mode : uint8_t {
  required,  // no tag: refused
  optional,  // no tag: passes unauthenticated; a tag must be right
  off,       // the organisation is what the packet claims
};

inline constexpr uint32_t kKeysMax = 2;  // live at once in an organisation
inline constexpr uint32_t kNoKey = 0xffffffff;
// Of more keys than these, whose expanded form fills a second-level cache, a table has packed ones.
inline constexpr uint32_t kExpandedKeysMax = 2048;

// One place of the open-addressed map, 16 bytes: a miss or a hit costs one cache line. An
// organisation with one key has its id twice. The first key signs what nobody asked a key for; its
// id and the organisation's are neighbours as in Meta, and compared together.
struct Place {
  uint16_t second_key_id = 0, first_key_id = 0;
  uint32_t org_id = 0;
  OrgIndex org = kNoOrg;        // kNoOrg: free place
  uint32_t first_key = kNoKey;  // into the Table's keys; kNoKey: none
};
static_assert(sizeof(Place) == 16);

struct Table {
  uint64_t multiplier = 1;  // odd and random: the hash is drawn anew for every table
  uint32_t shift = 63;      // 64 - log2(places.size())
  std::vector<Place> places = std::vector<Place>(2);  // a power of two, at most half full
  std::vector<crypto::CmacKey> keys;               // none when there are packed ones
  std::vector<crypto::PackedCmacKey> packed_keys;  // expanded for each packet
  std::vector<Mode> modes;  // by ServiceIndex; a service that is not there requires a tag
  bool any_off = false;     // some service's mode is off
};

inline Mode mode_of(const Table& t, ServiceIndex service) noexcept {
  return service < t.modes.size() ? t.modes[service] : Mode::required;
}

// Longest way from a place's home that control builds into a table: the bound of find()'s loop.
inline constexpr uint32_t kProbesMax = 16;

inline bool has_packed_keys(const Table& t) noexcept { return !t.packed_keys.empty(); }

inline uint32_t home(const Table& t, uint32_t org_id) noexcept {
  return static_cast<uint32_t>(org_id * t.multiplier >> t.shift);
}

// The organisation's place, or null.
inline const Place* find(const Table& t, uint32_t org_id) noexcept {
  const uint32_t mask = static_cast<uint32_t>(t.places.size()) - 1;
  uint32_t at = home(t, org_id);
  for (uint32_t probe = 0; probe < kProbesMax; ++probe, at = (at + 1) & mask) {
    const Place& place = t.places[at];
    if (place.org == kNoOrg) return nullptr;
    if (place.org_id == org_id) return &place;
  }
  return nullptr;
}

// Index into the Table's keys of a live key, or kNoKey.
inline uint32_t find_key(const Place& place, uint16_t key_id) noexcept {
  if (place.first_key == kNoKey) return kNoKey;
  if (place.first_key_id == key_id) return place.first_key;
  if (place.second_key_id == key_id) return place.first_key + 1;
  return kNoKey;
}

}  // namespace lf::authenticate
