// SPDX-License-Identifier: Apache-2.0
// Every command_id that a node saw and how often, to prove delivery exactly once.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_map>

#include "dataplane/lcp/codec.hpp"

namespace lf::node {

class SeenCommands {
 public:
  struct Seen {
    uint32_t deliveries = 0;
    bool same_attempt = false;  // one attempt came twice: no retry explains that
    uint64_t attempts = 0;      // bit a: attempt a was seen; 63 stands for all later ones
  };

  void add(const lcp::Id& id, uint8_t attempt) {
    Seen& seen = by_id_[id];
    const uint64_t bit = uint64_t{1} << (attempt < 63 ? attempt : 63);
    ++seen.deliveries;
    twice_ += seen.deliveries == 2;
    if (attempt < 63 && (seen.attempts & bit) && !seen.same_attempt) {
      seen.same_attempt = true;
      ++same_attempt_twice_;
    }
    seen.attempts |= bit;
  }

  uint64_t unique() const { return by_id_.size(); }
  uint64_t delivered_twice() const { return twice_; }  // ids that came more than once
  uint64_t same_attempt_twice() const { return same_attempt_twice_; }
  // Lines of `command_id deliveries`.
  std::string to_text() const;

 private:
  struct Hash {
    size_t operator()(const lcp::Id& id) const {
      uint64_t half[2];
      std::memcpy(half, id.data(), sizeof(half));
      return (half[0] ^ (half[1] + 0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd;
    }
  };
  std::unordered_map<lcp::Id, Seen, Hash> by_id_;
  uint64_t twice_ = 0, same_attempt_twice_ = 0;
};

}  // namespace lf::node
