// SPDX-License-Identifier: Apache-2.0
#include "control/probe/lcp_probes.hpp"

#include <cstring>

namespace lf::probe {
namespace {

// The last two bytes of an id name the slot; the others are random.
constexpr size_t kSlotAt = sizeof(lcp::Id) - sizeof(NodeSlot);

lcp::Id make_id(FastRandom& random, NodeSlot slot) {
  lcp::Id id;
  const uint64_t parts[] = {random.next(), random.next()};
  std::memcpy(id.data(), parts, sizeof id);
  std::memcpy(id.data() + kSlotAt, &slot, sizeof slot);
  return id;
}

}  // namespace

NodeSlot LcpProbes::slot_of(const lcp::Id& id) {
  NodeSlot slot;
  std::memcpy(&slot, id.data() + kSlotAt, sizeof slot);
  return slot;
}

std::vector<uint8_t> LcpProbes::begin(NodeSlot slot, MonoNs now, MonoNs timeout_ns,
                                      uint64_t deadline_us) {
  if (slot >= sent_.size()) sent_.resize(slot + 1u);
  sent_[slot] = Sent{make_id(random_, slot), now, timeout_ns};
  lcp::Fields fields;
  fields.type = lcp::Type::probe;
  fields.command_id = sent_[slot]->id;
  fields.deadline_us = deadline_us;
  std::vector<uint8_t> datagram(sizeof(lcp::Header));
  lcp::encode(datagram, fields);
  return datagram;
}

std::optional<LcpProbes::Answer> LcpProbes::answered(const lcp::Id& id, MonoNs now) {
  const NodeSlot slot = slot_of(id);
  if (!is_out(slot) || sent_[slot]->id != id) return std::nullopt;
  const MonoNs took_ns = now - sent_[slot]->at;
  sent_[slot].reset();
  return Answer{slot, took_ns < 0 ? 0 : took_ns};
}

bool LcpProbes::timed_out(NodeSlot slot, MonoNs now) {
  if (!is_out(slot) || now - sent_[slot]->at < sent_[slot]->timeout_ns) return false;
  sent_[slot].reset();
  return true;
}

void LcpProbes::forget(NodeSlot slot) {
  if (is_out(slot)) sent_[slot].reset();
}

}  // namespace lf::probe
