// SPDX-License-Identifier: Apache-2.0
#include "control/intake/dedup.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace lf::intake {
namespace {

constexpr size_t kPlacesMin = 1u << 10;
constexpr size_t kAhead = 12;  // places asked for before they are looked at

__extension__ typedef unsigned __int128 Wide;

uint64_t mixed(uint64_t a, uint64_t b) noexcept {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

TextHasher::TextHasher() {
  randombytes_buf(secret_, sizeof secret_);
  secret_[0] |= 1;
  secret_[1] |= 1;
}

uint64_t TextHasher::operator()(uint64_t org, std::string_view text) const noexcept {
  uint64_t h = mixed(org ^ secret_[0], text.size() ^ secret_[1]);
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    h = mixed(h ^ word, secret_[1]);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, text.data() + at, text.size() - at);
  return mixed(h ^ rest, secret_[0]);
}

Dedup::Dedup(const OrgNames& orgs) : reader_(orgs), places_(kPlacesMin) {}

// As the row says it. For organisations that nobody has configured.
std::string Dedup::org_text(const Item& item) {
  return std::string(reader_.read(item.row, INT64_MIN).org);
}

void Dedup::grow() {
  std::vector<Place> old(places_.size() * 2);
  old.swap(places_);
  const size_t mask = places_.size() - 1;
  for (const Place& place : old) {
    if (place.number == 0) continue;
    size_t at = place.tag & mask;
    while (places_[at].number != 0) at = (at + 1) & mask;
    places_[at] = place;
  }
}

bool Dedup::is_same(const Pieces& pieces, uint32_t number, const Item& item) {
  const auto piece = std::upper_bound(first_.begin(), first_.end(), number) - first_.begin() - 1;
  const auto p = static_cast<size_t>(piece);
  const Item& other = pieces[p]->items[number - first_[p]];
  if (other.org != item.org || other.command_id != item.command_id) return false;
  return item.org != kUnknownOrg || org_text(other) == org_text(item);
}

size_t Dedup::run(const Pieces& pieces, Piece& piece) {
  const auto first =
      first_.empty()
          ? 0u
          : first_.back() + static_cast<uint32_t>(pieces[first_.size() - 1]->items.size());
  first_.push_back(first);
  while (places_.size() < 2 * (count_ + piece.items.size())) grow();
  const size_t mask = places_.size() - 1;
  size_t duplicates = 0;
  for (size_t i = 0; i < piece.items.size(); ++i) {
    if (i + kAhead < piece.items.size())
      __builtin_prefetch(&places_[piece.hashes[i + kAhead] & mask], 1);
    Item& item = piece.items[i];
    const auto tag = static_cast<uint32_t>(piece.hashes[i]);
    size_t at = tag & mask;
    while (places_[at].number != 0 &&
           (places_[at].tag != tag || !is_same(pieces, places_[at].number - 1, item)))
      at = (at + 1) & mask;
    item.duplicate = places_[at].number != 0;
    if (item.duplicate)
      ++duplicates;
    else
      places_[at] = {tag, first + static_cast<uint32_t>(i) + 1};
  }
  count_ += piece.items.size() - duplicates;
  return duplicates;
}

}  // namespace lf::intake
