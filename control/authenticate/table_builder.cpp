// SPDX-License-Identifier: Apache-2.0
#include "control/authenticate/table_builder.hpp"

#include <sodium.h>

#include <algorithm>
#include <bit>
#include <unordered_set>

namespace lf::authenticate {
namespace {

// A drawn multiplier can make the map too deep; the less the emptier it is. After this many draws
// it is doubled, this often.
constexpr uint32_t kDrawsPerSize = 8;
constexpr uint32_t kDoublingsMax = 6;

uint64_t sodium_random() {
  uint64_t bits;
  randombytes_buf(&bits, sizeof(bits));
  return bits;
}

Mode mode_of(config::Authentication a) {
  switch (a) {
    case config::Authentication::optional:
      return Mode::optional;
    case config::Authentication::off:
      return Mode::off;
    case config::Authentication::required:
      break;
  }
  return Mode::required;
}

// Its index.
uint32_t add_key(const config::Key& key, bool packed, Table& table) {
  const crypto::CmacKey expanded = crypto::expand_cmac_key(key.bytes);
  if (packed)
    table.packed_keys.push_back(crypto::pack(expanded));
  else
    table.keys.push_back(expanded);
  return static_cast<uint32_t>(table.keys.size() + table.packed_keys.size() - 1);
}

// Appends the organisation's keys. `org` is checked.
Result<Place> make_place(const config::Organisation& org, OrgIndex index, bool packed,
                         Table& table) {
  if (org.keys.size() > kKeysMax)
    return fail(ErrorCode::invalid, "organisation {}: {} keys, at most {} can be live", org.name,
                org.keys.size(), kKeysMax);
  if (org.keys.size() == 2 && org.keys[0].id == org.keys[1].id)
    return fail(ErrorCode::invalid, "organisation {}: key id {} twice", org.name, org.keys[0].id);
  Place place{.org_id = org.id, .org = index};
  if (org.keys.empty()) return place;
  place.first_key_id = org.keys.front().id;
  place.second_key_id = org.keys.back().id;
  place.first_key = add_key(org.keys[0], packed, table);
  if (org.keys.size() == 2) add_key(org.keys[1], packed, table);
  return place;
}

// False when a place would be further than kProbesMax from home.
bool fill(Table& table, const std::vector<Place>& places) {
  const uint32_t mask = static_cast<uint32_t>(table.places.size()) - 1;
  for (const Place& place : places) {
    uint32_t at = home(table, place.org_id), probes = 1;
    while (table.places[at].org != kNoOrg) {
      if (++probes > kProbesMax) return false;
      at = (at + 1) & mask;
    }
    table.places[at] = place;
  }
  return true;
}

}  // namespace

Result<std::shared_ptr<const Table>> build_table(const config::Config& config) {
  forward::Slots slots;
  if (auto synced = slots.sync(config); !synced) return tl::unexpected(synced.error());
  return build_table(config, slots);
}

Result<std::shared_ptr<const Table>> build_table(const config::Config& config,
                                                 const forward::Slots& slots) {
  if (sodium_init() < 0) return fail(ErrorCode::unavailable, "libsodium cannot be initialised");
  return build_table(config, slots, sodium_random);
}

Result<std::shared_ptr<const Table>> build_table(const config::Config& config,
                                                 const forward::Slots& slots,
                                                 const Random& random) {
  if (config.organisations.size() > kOrgsMax)
    return fail(ErrorCode::invalid, "{} organisations, at most {} fit", config.organisations.size(),
                kOrgsMax);
  auto table = std::make_shared<Table>();
  table->modes.assign(slots.services.used(), Mode::required);
  for (const config::Service& s : config.services)
    table->modes[slots.service(s.name)] = mode_of(s.authentication);
  table->any_off = std::ranges::find(table->modes, Mode::off) != table->modes.end();

  std::vector<Place> places;
  places.reserve(config.organisations.size());
  size_t keys = 0;
  for (const auto& org : config.organisations) keys += org.keys.size();
  const bool packed = keys > kExpandedKeysMax;
  if (packed)
    table->packed_keys.reserve(keys);
  else
    table->keys.reserve(keys);
  std::unordered_set<uint32_t> ids;
  for (const auto& org : config.organisations) {
    if (!ids.insert(org.id).second)
      return fail(ErrorCode::invalid, "organisation {}: id {} twice", org.name, org.id);
    auto place = make_place(org, slots.organisation(org.id), packed, *table);
    if (!place) return tl::unexpected(place.error());
    places.push_back(*place);
  }

  size_t size = std::bit_ceil(places.size() * 2 + 2);
  for (uint32_t doubled = 0; doubled <= kDoublingsMax; ++doubled, size *= 2) {
    table->shift = 64 - static_cast<uint32_t>(std::countr_zero(size));
    for (uint32_t draw = 0; draw < kDrawsPerSize; ++draw) {
      table->multiplier = random() | 1;
      table->places.assign(size, Place{});
      if (fill(*table, places)) return table;
    }
  }
  return fail(ErrorCode::internal, "no hash found for {} organisations", places.size());
}

}  // namespace lf::authenticate
