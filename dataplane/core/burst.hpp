// SPDX-License-Identifier: Apache-2.0
// A burst: the packets that a worker got in one receive call, and what the stages found out about
// each. Stages take a Selection (a list of positions in the burst), work on the packets it names
// and take out the ones that they decided. Metadata never moves, positions stay valid.
#pragma once

#include <rte_ip.h>
#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/core/verdicts.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf {

// Where a burst came from; a stage may be lenient to what control injected.
enum class Origin : uint8_t {
  wire,      // received from a port
  intake,    // submitted by control (batch intake): no client address, reply goes to control
  released,  // was held by policy and is released: policy is not asked again
};

// What parse made of a packet.
enum class Kind : uint8_t {
  undecided,
  command,
  reply,
  approval,
  report,
  probe,
  probe_reply,
  flow,         // of a flow service, on its way to a node
  flow_return,  // from a node, to be translated back for the client
  exception
};

enum class PolicyOutcome : uint8_t { allow, deny, hold };

// IPv4 addresses are kept v4-mapped (::ffff:a.b.c.d), so one comparison serves both families.
struct IpAddress {
  uint64_t hi = 0, lo = 0;  // wire order
  bool operator==(const IpAddress&) const = default;
};

// What is known about one packet. Fields are grouped by the stage that writes them; later stages
// only read those. 128 bytes: two cache lines, the first is complete after authenticate. Some
// neighbours are copied together, and say so.
struct alignas(kCacheLine) Meta {
  // -- parse
  lcp::Header* lcp = nullptr;  // inside the mbuf; contiguous, lengths checked
  // As they follow each other in lcp::Header, in host order.
  uint64_t deadline_us = 0;
  uint32_t target_id = 0;
  uint16_t payload_length = 0, key_id = 0;
  uint32_t org_id = 0, operator_id = 0;  // as in lcp::Header and audit::Record
  uint8_t flags = 0, intent = 0, severity = 0, attempt = 0;  // as in lcp::Header
  uint8_t l3_offset = 0, l4_offset = 0, lcp_offset = 0;  // from the start of the frame
  uint8_t ip_version = 0;                                // 4 or 6
  uint16_t vlan_tci = 0;                                 // 0: untagged
  ServiceIndex service = kNoService;
  Kind kind = Kind::undecided;
  Origin origin = Origin::wire;
  uint8_t in_port = 0;  // DPDK port id
  IntentIndex intent_index = kOtherIntent;
  uint8_t flow_protocol = 0;  // of a flow's packet: IP protocol, or flow::kFragment with it
  bool flow_quoted = false;   // an ICMP error; the flow is that of the packet it quotes
  bool replayable = false;    // its intent is marked so
  Verdict verdict = Verdict::none;
  // -- authenticate
  OrgIndex org = kNoOrg;
  bool authenticated = false;
  uint8_t pad[3] = {};

  // -- dedup
  alignas(kCacheLine) uint64_t ledger_ref = 0;  // ledger::Ref of the command's entry; 0: none
  // -- identify + policy + choose; role_bits to node as in audit::Record
  uint32_t role_bits = 0;
  uint32_t pattern_bits = 0;  // payload patterns that matched, of those that a rule asked for
  uint16_t rule = 0;          // rule that decided; 0: default deny
  uint16_t risk_centi = 0;    // risk times 100, 0..10000
  uint16_t target_group = 0;  // 0: none
  NodeSlot node = kNoNode;
  // Policy writes the next four at once, before any of the others is anything else. The first is
  // behind the node as in a ledger::Watched.
  uint16_t breaker_epoch = 0;  // of the node, when it was chosen: tags the outcome
  PolicyOutcome outcome = PolicyOutcome::deny;
  bool unkept = false;  // replayable and sent, but could not be kept
  uint32_t policy_version = 0;
  uint8_t levels = 0;   // clearance in the low four bits, MFA level in the high; as in audit::Record
  bool comms_degraded = false;
  bool is_retry = false;                       // of a command in flight: costs no quota
  uint8_t out_port = 0;                        // rewrite: DPDK port to send from
  lcp::Status reply_status = lcp::Status::ok;  // for the client when `answer` builds a REPLY
  uint8_t more_pad[3] = {};
  // -- quota (for the answer)
  uint32_t quota_remaining = 0, reset_seconds = 0, throttle_ms = 0;
  uint8_t last_pad[4] = {};

  uint8_t clearance() const noexcept { return levels & 15; }
  uint8_t mfa_level() const noexcept { return levels >> 4; }
};
static_assert(sizeof(Meta) == 128);

// Positions in a burst, ascending.
struct Selection {
  uint16_t count = 0;
  uint8_t index[kBurstMax];

  void add(uint32_t i) noexcept { index[count++] = static_cast<uint8_t>(i); }
  const uint8_t* begin() const noexcept { return index; }
  const uint8_t* end() const noexcept { return index + count; }
};

// Whether nothing is between those of a selection, of at least one.
inline bool is_run(const Selection& s) noexcept {
  return s.index[s.count - 1] - s.index[0] == s.count - 1;
}

struct Burst {
  static constexpr uint32_t kAhead = 8;
  uint16_t count = 0;
  // Parse repeats the last packet behind itself, to look ahead without a look at count.
  rte_mbuf* packets[kBurstMax + kAhead];
  Meta meta[kBurstMax];

  // Decides a packet. The caller's Selection still names it until keep_undecided().
  void decide(uint32_t i, Verdict v) noexcept { meta[i].verdict = v; }
};

// Takes the decided packets out of a selection, in order.
inline void keep_undecided(const Burst& burst, Selection& sel) noexcept {
  uint16_t kept = 0;
  for (uint16_t k = 0; k < sel.count; ++k) {
    const uint8_t i = sel.index[k];
    sel.index[kept] = i;
    kept += burst.meta[i].verdict == Verdict::none;
  }
  sel.count = kept;
}

}  // namespace lf
