// SPDX-License-Identifier: Apache-2.0
// The authenticate stage: whose packet is it, and is that proven? Looks up organisation and key,
// computes all tags of the burst in interleaved lanes and compares. Called by the pipeline on
// workers after validate; sign() by the answer stage. Writes nothing but the burst's metadata.
//
//   COMMAND                    as its service's Mode says
//   APPROVAL, REPORT           a right tag is required
//   REPLY, PROBE, PROBE_REPLY  when tagged, the tag must be right; else the address decides later
//   from control               trusted: its organisation is looked up
//
// After run(): a command, approval or report that is still live has a valid Meta::org.
#pragma once

#include "dataplane/authenticate/table.hpp"
#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/crypto/cmac_lanes.hpp"

namespace lf::authenticate {

static_assert(crypto::kCmacBatchMax == kBurstMax);

// Scratch of one worker: nothing in it outlives a call.
struct State {
  crypto::CmacBatch batch;
  const crypto::PackedCmacKey* packed[kBurstMax];  // of the batch's datagrams, if the table has such
  crypto::CmacKey expanded[kBurstMax];
  uint8_t positions[kBurstMax];  // of the datagrams that sign() signs
};

void run(const Table& table, State& state, Burst& burst, Selection& live, Tsc now) noexcept;

// Signs datagrams in place, each under its header's org_id and key_id, so an answer that echoes the
// request's header is signed with the request's key; where that key is not live, with the
// organisation's first one. Sets the tag flag, key_id and the tag. A datagram of an organisation
// without a key leaves untagged. Returns how many were signed. count <= kBurstMax.
uint32_t sign(const Table& table, State& state, lcp::Header* const* datagrams,
              uint32_t count) noexcept;

}  // namespace lf::authenticate
