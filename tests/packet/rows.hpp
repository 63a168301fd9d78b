// SPDX-License-Identifier: Apache-2.0
// Packet cases as rows: one packet in, its verdict, the frame that comes out (if any). Everything
// about the output is built from scratch and compared byte for byte.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/packet/harness.hpp"

namespace lf::test {

struct Row {
  std::string name;  // letters, digits and underscores
  Packet in;
  Verdict verdict;
  std::optional<Packet> out = {};
  std::optional<ToControl> control = {};
  uint16_t out_port = 0;
};

// The command as its node gets it in proxy mode.
inline Packet to_node(Packet p) {
  const bool v6 = p.dst.find(':') != std::string::npos;
  p.dst_mac = kNodeMac;
  p.src_mac = kPortMac;
  p.vlan.reset();
  p.src = v6 ? kOwn6 : kOwn4;
  p.dst = v6 ? kNode6 : kNode4;
  p.src_port = lcp::kDefaultPort;
  p.dst_port = lcp::kDefaultPort;
  p.ttl -= 1;
  p.padding = 0;
  p.total_length.reset();
  return p;
}

// A REPLY that the data plane itself makes of a command, signed with the command's key.
inline Packet own_reply(const Packet& p, lcp::Status status, Verdict reason,
                        uint32_t quota_remaining = 0, uint32_t reset_seconds = 0,
                        uint32_t throttle_ms = 0) {
  Packet r = p;
  std::swap(r.dst_mac, r.src_mac);
  std::swap(r.src, r.dst);
  std::swap(r.src_port, r.dst_port);
  r.ttl = 64;
  r.tos = 0;
  r.ip_id = 0;
  r.padding = 0;
  r.lcp.type = 2;
  r.lcp.flags = 0;
  r.lcp.payload = reply_body(status, static_cast<uint8_t>(reason), lcp::kReplyFromDataPlane,
                             quota_remaining, reset_seconds, throttle_ms);
  return r;
}

// A node's REPLY, and that as the sender of `command` gets it.
inline Packet from_node(uint64_t id, lcp::Status status = lcp::Status::ok, bool v6 = false) {
  Packet p{.src_mac = kNodeMac,
           .src = v6 ? kNode6 : kNode4,
           .dst = v6 ? kOwn6 : kOwn4,
           .src_port = lcp::kDefaultPort};
  p.lcp.type = 2;
  p.lcp.id = id;
  p.lcp.payload = reply_body(status);
  return p;
}
inline Packet to_client(const Packet& reply, const Packet& command) {
  Packet p = reply;
  p.dst_mac = command.src_mac;
  p.src_mac = kPortMac;
  p.vlan = command.vlan;
  p.src = command.dst;
  p.dst = command.src;
  p.src_port = command.dst_port;
  p.dst_port = command.src_port;
  p.ttl -= 1;
  return p;
}

inline void expect_sent(const Result& r, const std::vector<Packet>& want, uint16_t port = 0) {
  ASSERT_EQ(r.sent.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    const Bytes frame = build(want[i]);
    EXPECT_EQ(r.sent[i].frame, frame) << hex_diff(r.sent[i].frame, frame);
    EXPECT_EQ(r.sent[i].port, port);
    EXPECT_EQ(check_frame(r.sent[i].frame), "");
  }
}

inline void expect_verdict(const Result& r, Verdict want) {
  ASSERT_EQ(r.verdicts.size(), 1u);
  EXPECT_EQ(info(r.verdicts[0]).name, info(want).name);
}

inline void check(Rig& rig, const Row& row, const Packet& in, const std::optional<Packet>& out) {
  const uint64_t before = rig.count(row.verdict);
  const Result r = rig.run(in);
  expect_verdict(r, row.verdict);
  EXPECT_EQ(rig.count(row.verdict), before + 1);
  expect_sent(r, out ? std::vector<Packet>{*out} : std::vector<Packet>{}, row.out_port);
  ASSERT_EQ(r.control.size(), row.control ? 1u : 0u);
  if (row.control) {
    EXPECT_EQ(r.control[0], *row.control);
  }
}

// Rows over one rig with the default configuration; each packet gets an id of its own.
class Rows : public testing::TestWithParam<Row> {
 protected:
  static void SetUpTestSuite() { rig_ = std::make_unique<Rig>(); }
  static void TearDownTestSuite() { rig_.reset(); }

  void check_row() {
    static uint64_t next_id = 1000;
    Row row = GetParam();
    row.in.lcp.id = ++next_id;
    if (row.out) row.out->lcp.id = next_id;
    check(*rig_, row, row.in, row.out);
  }

  static inline std::unique_ptr<Rig> rig_;
};

inline std::string row_name(const testing::TestParamInfo<Row>& info) {
  return info.param.name;
}

}  // namespace lf::test
