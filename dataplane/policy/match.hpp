// SPDX-License-Identifier: Apache-2.0
// The compiled evaluator: finds, for a selection of packets, the first row that matches. Used by
// the policy stage and, with a single packet, by control. Reads no payload: rows that ask for a
// payload pattern are candidates, and next_match() goes on behind one that its pattern rules out.
#pragma once

#include <cstdint>

#include "dataplane/policy/table.hpp"

namespace lf::policy {

// Class numbers of the packets of one burst, by slot. 64 packets: 18 slots of 128 bytes.
struct Classes {
  uint16_t value[kSlotsMax][kBurstMax];
};

// Fills classes.value[slot][k] for the k-th packet of the selection.
void classify(const Program& program, const Meta* meta, const uint8_t* selection, uint32_t count,
              Classes& classes) noexcept;

// First matching row at or after `from` for the k-th packet, patterns left aside; or kNoRow.
uint32_t next_match(const Program& program, const Classes& classes, uint32_t k,
                    uint32_t from) noexcept;

// The rows of a whole selection, into rows[k].
void first_matches(const Program& program, const Classes& classes, uint32_t count,
                   uint32_t* rows) noexcept;

}  // namespace lf::policy
