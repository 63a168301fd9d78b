// SPDX-License-Identifier: Apache-2.0
// Books of the LCP PROBEs that are on their way: which id went to which node and when. Pure over
// time; sending is the caller's. At most one probe a node is out at a time, so the books can't
// grow, and an answer counts only for the id that was sent last.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "control/base/clock.hpp"
#include "dataplane/core/fast_random.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/lcp/codec.hpp"

namespace lf::probe {

class LcpProbes {
 public:
  // The seed makes ids that nobody can guess who has not seen one.
  explicit LcpProbes(uint64_t seed) : random_(seed) {}

  struct Sent {
    lcp::Id id{};
    MonoNs at = 0;
    MonoNs timeout_ns = 0;
  };

  // Notes a new probe to the node and gives its datagram; the one before is forgotten.
  std::vector<uint8_t> begin(NodeSlot slot, MonoNs now, MonoNs timeout_ns, uint64_t deadline_us);
  // An answer with this id: which node it was for and how long it took. Nothing when no such probe
  // is out.
  struct Answer {
    NodeSlot slot = kNoNode;
    MonoNs took_ns = 0;
  };
  std::optional<Answer> answered(const lcp::Id& id, MonoNs now);
  // Whether the node's probe has been out too long; then it is forgotten.
  bool timed_out(NodeSlot slot, MonoNs now);
  bool is_out(NodeSlot slot) const { return slot < sent_.size() && sent_[slot].has_value(); }
  void forget(NodeSlot slot);
  static NodeSlot slot_of(const lcp::Id& id);  // that an id of ours was made for

 private:
  FastRandom random_;
  std::vector<std::optional<Sent>> sent_;  // by slot
};

}  // namespace lf::probe
