// SPDX-License-Identifier: Apache-2.0
#include "control/flow/maglev.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace lf::flow {
namespace {

// Where a node's walk over the places begins, and its stride.
struct Walk {
  uint16_t node;  // position in the caller's list
  uint32_t weight;
  uint32_t at;      // the place that it wants next
  uint32_t stride;  // 1..places-1, so that the walk meets every place
  uint64_t credit = 0;
};

// SipHash under fixed keys: known to everybody, the same everywhere.
uint64_t hash(const std::string& text, uint8_t which) {
  const unsigned char key[crypto_shorthash_KEYBYTES] = {'l', 'f', 'm', 'a',  'g',
                                                        'l', 'e', 'v', which};
  unsigned char out[crypto_shorthash_BYTES];
  crypto_shorthash(out, reinterpret_cast<const unsigned char*>(text.data()), text.size(), key);
  uint64_t value;
  std::memcpy(&value, out, sizeof(value));
  return value;
}

std::vector<Walk> walks_of(std::span<const MaglevNode> nodes, uint32_t places) {
  std::vector<Walk> walks;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].weight == 0) continue;
    walks.push_back({.node = static_cast<uint16_t>(i),
                     .weight = nodes[i].weight,
                     .at = static_cast<uint32_t>(hash(nodes[i].key, 1) % places),
                     .stride = static_cast<uint32_t>(hash(nodes[i].key, 2) % (places - 1)) + 1});
  }
  std::ranges::sort(walks, {},
                    [&](const Walk& w) -> const std::string& { return nodes[w.node].key; });
  return walks;
}

}  // namespace

// In rounds: the heaviest node takes a place in each, the others as often as their weight's share
// of the heaviest one's has added up to a whole place.
std::vector<uint16_t> maglev(std::span<const MaglevNode> nodes, uint32_t places) {
  std::vector<uint16_t> table(places, kNobody);
  std::vector<Walk> walks = walks_of(nodes, places);
  if (walks.empty()) return table;
  const uint64_t whole = std::ranges::max(walks, {}, &Walk::weight).weight;
  for (uint32_t filled = 0; filled < places;) {
    for (Walk& w : walks) {
      w.credit += w.weight;
      if (w.credit < whole) continue;
      w.credit -= whole;
      while (table[w.at] != kNobody) w.at = (w.at + w.stride) % places;
      table[w.at] = w.node;
      if (++filled == places) break;
    }
  }
  return table;
}

}  // namespace lf::flow
