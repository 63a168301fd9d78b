// SPDX-License-Identifier: Apache-2.0
// THE list of verdicts: what became of a packet. Every received packet ends with exactly one of
// them (or is parked for now), so received = sum of all verdicts + parked. The enum, the names in
// `lfctl stats`, Prometheus, audit records, the reason byte of a REPLY and docs/counters.md all
// come from this list. A code, once released, is never reused: append.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lf {

// kind: fwd = left towards a node or a client; ans = answered by us; use = consumed by us;
//       drop = refused.
// X(identifier, code, kind, stage, help)
#define LF_VERDICTS(X)                                                                           \
  X(none, 0, use, none, "not decided yet: never a final verdict")                                \
  X(forwarded, 1, fwd, transmit, "command sent to a node")                                       \
  X(replied, 2, fwd, transmit, "node's reply sent to the client")                                \
  X(answered_arp, 3, ans, exception, "ARP request for an own address answered")                  \
  X(answered_nd, 4, ans, exception, "IPv6 neighbour solicitation for an own address answered")   \
  X(answered_echo, 5, ans, exception, "ICMP or ICMPv6 echo request to an own address answered")  \
  X(to_control, 6, use, exception, "ARP or ND answer, ICMP error: handed to the control thread") \
  X(to_kernel, 7, fwd, exception, "not ours: handed to the kernel through the exception port")   \
  X(from_kernel, 8, fwd, exception, "from the kernel's exception port, sent out of the NIC")     \
  X(report_taken, 9, use, report, "REPORT of a node taken")                                      \
  X(approval_taken, 10, use, approval, "APPROVAL taken")                                         \
  X(probe_reply_taken, 11, use, match, "PROBE_REPLY of a node taken")                            \
  X(probe_answered, 12, ans, exception, "PROBE to the data plane itself answered")               \
  X(reply_to_control, 13, use, match, "reply to a command that the control side submitted")      \
  X(held, 14, use, policy, "command handed to control, to wait for approval")                    \
  X(flow_forwarded, 15, fwd, transmit, "packet of a flow sent to its node")                      \
  X(flow_returned, 16, fwd, transmit, "node's packet of a flow sent to the client")              \
  X(eth_truncated, 32, drop, parse, "frame shorter than its Ethernet or VLAN header")            \
  X(vlan_stacked, 33, drop, parse, "more than one VLAN tag")                                     \
  X(not_ours, 34, drop, exception, "not for an own address and no exception port")               \
  X(unknown_ethertype, 35, drop, exception, "neither IPv4, IPv6 nor ARP, and no exception port") \
  X(ip_truncated, 36, drop, parse, "frame shorter than its IP header or total length")           \
  X(ip_version, 37, drop, parse, "IP version field disagrees with the EtherType")                \
  X(ip_options, 38, drop, parse, "IPv4 options or a bad header length")                          \
  X(ip_extension, 39, drop, parse, "IPv6 extension header")                                      \
  X(ip_fragment, 40, drop, parse, "IPv4 fragment")                                               \
  X(ip_checksum, 41, drop, parse, "wrong IPv4 header checksum")                                  \
  X(ip_source, 42, drop, parse, "source address is multicast, broadcast, loopback or our own")   \
  X(ttl_expired, 43, drop, parse, "TTL or hop limit would reach 0")                              \
  X(udp_truncated, 44, drop, parse, "packet shorter than its UDP header")                        \
  X(udp_length, 45, drop, parse, "UDP length disagrees with the IP length")                      \
  X(udp_checksum, 46, drop, parse, "wrong UDP checksum, or none over IPv6")                      \
  X(udp_port, 47, drop, exception, "UDP to an own address but to no service's port")             \
  X(lcp_truncated, 48, drop, parse, "datagram shorter than an LCP header")                       \
  X(lcp_magic, 49, drop, parse, "wrong LCP magic")                                               \
  X(lcp_version, 50, drop, parse, "unknown LCP version")                                         \
  X(lcp_type, 51, drop, parse, "unknown LCP type")                                               \
  X(lcp_flags, 52, drop, parse, "reserved LCP flag set")                                         \
  X(lcp_length, 53, drop, parse, "payload_length disagrees with the UDP length")                 \
  X(lcp_severity, 54, drop, parse, "severity outside 1..5")                                      \
  X(lcp_body, 55, drop, parse, "body too short or of the wrong size for its type")               \
  X(lcp_untagged_tag, 56, drop, parse, "tag bytes set although the tag flag is clear")           \
  X(segmented, 57, drop, parse, "frame spread over several buffers")                             \
  X(arp_malformed, 58, drop, exception, "ARP, ND or ICMP message malformed")                     \
  X(own_echo, 59, drop, exception, "ICMP echo reply, or other ICMP that nobody asked for")       \
  X(auth_missing, 64, drop, authenticate, "service requires a tag and there is none")            \
  X(auth_unknown_org, 65, drop, authenticate, "organisation not configured")                     \
  X(auth_unknown_key, 66, drop, authenticate, "key id not live for the organisation")            \
  X(auth_bad_tag, 67, drop, authenticate, "wrong tag")                                           \
  X(deadline_expired, 68, drop, validate, "deadline has passed")                                 \
  X(duplicate_in_flight, 69, drop, dedup, "same id and attempt while in flight")                 \
  X(duplicate_answered, 70, drop, dedup, "command was answered already; status sent again")      \
  X(ledger_full, 71, drop, dedup, "no ledger entry could be had within the bound")               \
  X(policy_denied, 72, drop, policy, "denied by a rule, or by default")                          \
  X(hold_full, 73, drop, policy, "to be held, but the hold ring is full")                        \
  X(held_refused, 74, drop, policy, "held command refused by an operator")                       \
  X(held_expired, 75, drop, policy, "held command's deadline passed")                            \
  X(quota_rejected, 76, drop, quota, "organisation's quota exhausted")                           \
  X(quota_zero, 77, drop, quota, "quota is 0")                                                   \
  X(delay_full, 78, drop, quota, "to be delayed, but the delay wheel is full")                   \
  X(delay_past_deadline, 79, drop, quota, "to be delayed past its deadline")                     \
  X(shed, 80, drop, admission, "shed by admission control under overload")                       \
  X(unroutable, 81, drop, choose, "no node of the service or its failover region can take it")   \
  X(node_unresolved, 82, drop, choose, "node's MAC address is not known yet")                    \
  X(too_big, 83, drop, rewrite, "does not fit the node's MTU; ICMP too big sent")                \
  X(reply_unknown, 84, drop, match, "reply to a command that is not in flight")                  \
  X(reply_not_from_node, 85, drop, match, "reply from another address than the command's node")  \
  X(reply_duplicate, 86, drop, match, "second reply to a command already answered")              \
  X(report_not_from_node, 87, drop, report, "REPORT not authenticated as the node's owner")      \
  X(report_ring_full, 88, drop, report, "ring to the control thread is full")                    \
  X(probe_unexpected, 89, drop, match, "PROBE_REPLY from an address that is no node's")          \
  X(approval_ring_full, 90, drop, approval, "ring to the control thread is full")                \
  X(control_ring_full, 91, drop, exception, "ring to the control thread is full")                \
  X(kernel_port_full, 92, drop, exception, "exception port takes no more packets")               \
  X(tx_full, 93, drop, transmit, "transmit queue full")                                          \
  X(audit_full, 94, drop, policy, "audit ring full and audit.on_overflow is drop_packet")        \
  X(stopping, 95, drop, transmit, "daemon is draining to stop")                                  \
  X(trial_taken, 96, drop, choose, "half-open breaker: all trials taken and no other node")      \
  X(xdp_denied, 97, drop, xdp, "source prefix on the XDP deny map")                              \
  X(flow_table_full, 98, drop, flow, "no own port could be had for a new flow")                  \
  X(flow_unroutable, 99, drop, flow, "flow service has no node")                                 \
  X(tcp_truncated, 100, drop, parse, "packet shorter than its TCP header")                       \
  X(flow_unknown, 101, drop, flow, "ICMP error about a flow that is not known")                 \
  X(replay_late, 102, drop, replay, "its node failed and its deadline leaves no time to resend")   \
  X(replay_exhausted, 103, drop, replay, "its node failed; the replay plan's budget was used up") \
  X(replay_unroutable, 104, drop, replay, "its node failed and no other one can take it")         \
  X(replay_uncopied, 105, drop, replay, "its node failed; its packet was in use, no buffer for a copy")

enum class Verdict : uint8_t {
#define LF_X(id, code, kind, stage, help) id = code,
  LF_VERDICTS(LF_X)
#undef LF_X
};

enum class VerdictKind : uint8_t { fwd, ans, use, drop };

struct VerdictInfo {
  Verdict verdict;
  VerdictKind kind;
  std::string_view name;
  std::string_view stage;
  std::string_view help;
};

inline constexpr VerdictInfo kVerdictList[] = {
#define LF_X(id, code, kind, stage, help) {Verdict::id, VerdictKind::kind, #id, #stage, help},
    LF_VERDICTS(LF_X)
#undef LF_X
};

inline constexpr uint32_t kVerdictCodes = 128;  // size of arrays indexed by verdict code
static_assert([] {
  for (const auto& v : kVerdictList)
    if (static_cast<uint32_t>(v.verdict) >= kVerdictCodes) return false;
  return true;
}());

// Row of a verdict; the row of `none` for a code that is not in the list.
constexpr const VerdictInfo& info(Verdict verdict) noexcept {
  for (const auto& v : kVerdictList)
    if (v.verdict == verdict) return v;
  return kVerdictList[0];
}

constexpr bool is_drop(Verdict v) noexcept {
  return static_cast<uint8_t>(v) >= 32;
}

}  // namespace lf
