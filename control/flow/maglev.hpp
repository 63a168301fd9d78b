// SPDX-License-Identifier: Apache-2.0
// Maglev hashing (Eisenbud et al., NSDI 2016) with weights: which of a service's nodes each place
// of its table belongs to. The table follows from the nodes' keys, their weights and the number of
// places alone: every machine that is given the same nodes, in any order, makes the same one, byte
// for byte, and a node that comes or goes moves few places but its own. Pure, in integers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lf::flow {

struct MaglevNode {
  std::string key;      // unique among the nodes
  uint32_t weight = 0;  // 0: gets no place
};

inline constexpr uint16_t kNobody = 0xffff;

// Positions in `nodes`, by place; all kNobody when nobody has weight. `places` is a prime, larger
// than the number of nodes, and there are fewer than 65535 of these.
std::vector<uint16_t> maglev(std::span<const MaglevNode> nodes, uint32_t places);

}  // namespace lf::flow
