// SPDX-License-Identifier: Apache-2.0
// A node's REPORTs as signed datagrams: for lf-node and lf-agent.
#pragma once

#include <array>
#include <cstdint>

#include "control/base/clock.hpp"
#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/tag.hpp"
#include "tools/common/key_ring.hpp"

namespace lf::tools {

using ReportDatagram = std::array<uint8_t, sizeof(lcp::Header) + sizeof(lcp::ReportBody)>;

class ReportMaker {
 public:
  // `random` makes the ids of this process's REPORTs its own.
  ReportMaker(const KeySpec& owner, uint64_t random);
  ReportDatagram make(const lcp::Report& report, UnixUs now);

 private:
  uint32_t org_;
  uint16_t key_id_;
  lcp::Signer signer_;
  uint64_t random_;
  uint64_t number_ = 0;
};

}  // namespace lf::tools
