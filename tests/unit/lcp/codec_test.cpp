// SPDX-License-Identifier: Apache-2.0
#include "dataplane/lcp/codec.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace lf::lcp {
namespace {

Id any_id() {
  return *rc::gen::container<Id>(rc::gen::arbitrary<uint8_t>());
}

Fields any_fields(Type type) {
  return {.type = type,
          .flags = static_cast<uint8_t>(*rc::gen::inRange(0, 2) * kFlagWantsReply),
          .intent = *rc::gen::arbitrary<uint8_t>(),
          .severity = *rc::gen::inRange<uint8_t>(1, 6),
          .attempt = *rc::gen::arbitrary<uint8_t>(),
          .org_id = *rc::gen::arbitrary<uint32_t>(),
          .operator_id = *rc::gen::arbitrary<uint32_t>(),
          .command_id = any_id(),
          .trace_id = any_id(),
          .deadline_us = *rc::gen::arbitrary<uint64_t>(),
          .target_id = *rc::gen::arbitrary<uint32_t>(),
          .key_id = *rc::gen::arbitrary<uint16_t>()};
}

// Every field at its offset of the protocol's table, big-endian.
TEST(Codec, BytesOfACommand) {
  Fields f{.flags = 2, .intent = 3, .severity = 4, .attempt = 5, .org_id = 0x01020304};
  f.operator_id = 0x11121314;
  for (uint8_t i = 0; i < 16; ++i)
    f.command_id[i] = i, f.trace_id[i] = static_cast<uint8_t>(i + 32);
  f.deadline_us = 0x2122232425262728;
  f.target_id = 0x31323334;
  f.key_id = 0x4142;
  const uint8_t payload[] = {0xaa, 0xbb, 0xcc};
  uint8_t out[128] = {};
  ASSERT_EQ(encode(out, f, payload), 83u);
  const uint8_t expected[83] = {
      0x4c, 0x46, 1,    1,    2,  3,  4,    5,    0x01, 0x02, 0x03, 0x04, 0x11, 0x12,
      0x13, 0x14, 0,    1,    2,  3,  4,    5,    6,    7,    8,    9,    10,   11,
      12,   13,   14,   15,   32, 33, 34,   35,   36,   37,   38,   39,   40,   41,
      42,   43,   44,   45,   46, 47, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
      0x31, 0x32, 0x33, 0x34, 0,  3,  0x41, 0x42, 0,    0,    0,    0,    0,    0,
      0,    0,    0,    0,    0,  0,  0,    0,    0,    0,    0xaa, 0xbb, 0xcc};
  EXPECT_TRUE(std::equal(std::begin(expected), std::end(expected), out));
}

TEST(Codec, BytesOfBodies) {
  uint8_t out[128] = {};
  ASSERT_EQ(encode_reply(out, {},
                         {.status = Status::throttled,
                          .reason = 76,
                          .from_data_plane = true,
                          .quota_remaining = 0x01020304,
                          .reset_seconds = 0x11121314,
                          .throttle_ms = 0x21222324}),
            96u);
  const uint8_t reply[] = {4,    76,   0,    1,    0x01, 0x02, 0x03, 0x04,
                           0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x23, 0x24};
  EXPECT_TRUE(std::equal(std::begin(reply), std::end(reply), out + 80));
  EXPECT_EQ(out[3], 2);

  ASSERT_EQ(encode_report(out, {},
                          {.node_id = 0x01020304,
                           .latency_us = 0x11121314,
                           .queue_depth = 0x21222324,
                           .saturation = 0x3132,
                           .degraded = true,
                           .draining = true,
                           .successes = 0x41424344,
                           .failures = 0x51525354}),
            104u);
  const uint8_t report[] = {0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x23, 0x24,
                            0x31, 0x32, 3,    0,    0x41, 0x42, 0x43, 0x44, 0x51, 0x52, 0x53, 0x54};
  EXPECT_TRUE(std::equal(std::begin(report), std::end(report), out + 80));
  EXPECT_EQ(out[3], 4);
}

TEST(Codec, RefusesWhatDoesNotFit) {
  std::vector<uint8_t> out(kDatagramMax + 10), payload(kPayloadMax + 1);
  EXPECT_EQ(encode(out, {}, payload), 0u);
  EXPECT_EQ(encode(out, {}, Bytes(payload).first(kPayloadMax)), kDatagramMax);
  EXPECT_EQ(encode(Buffer(out).first(79), {}), 0u);
  EXPECT_EQ(encode(Buffer(out).first(80), {}), 80u);
  EXPECT_EQ(encode_reply(Buffer(out).first(95), {}, {}), 0u);
  EXPECT_EQ(encode_report(Buffer(out).first(103), {}, {}), 0u);
}

RC_GTEST_PROP(Codec, CommandRoundTrip, ()) {
  const Fields f = any_fields(*rc::gen::element(Type::command));
  const auto payload = *rc::gen::arbitrary<std::vector<uint8_t>>();
  std::vector<uint8_t> out(sizeof(Header) + payload.size());
  RC_ASSERT(encode(out, f, payload) == out.size());
  Message m;
  RC_ASSERT(decode(out, m) == Verdict::none);
  RC_ASSERT(m.fields == f);
  RC_ASSERT(std::equal(m.payload.begin(), m.payload.end(), payload.begin(), payload.end()));
}

RC_GTEST_PROP(Codec, EmptyBodiesRoundTrip, ()) {
  const Fields f = any_fields(*rc::gen::element(Type::approval, Type::probe, Type::probe_reply));
  std::vector<uint8_t> out(sizeof(Header));
  RC_ASSERT(encode(out, f) == out.size());
  Message m;
  RC_ASSERT(decode(out, m) == Verdict::none);
  RC_ASSERT(m.fields == f);
  RC_ASSERT(m.payload.empty());
}

RC_GTEST_PROP(Codec, ReplyRoundTrip, ()) {
  const Fields f = any_fields(Type::reply);
  const Reply r{.status = static_cast<Status>(*rc::gen::inRange(0, 12)),
                .reason = *rc::gen::arbitrary<uint8_t>(),
                .from_data_plane = *rc::gen::arbitrary<bool>(),
                .quota_remaining = *rc::gen::arbitrary<uint32_t>(),
                .reset_seconds = *rc::gen::arbitrary<uint32_t>(),
                .throttle_ms = *rc::gen::arbitrary<uint32_t>()};
  const auto extra = *rc::gen::arbitrary<std::vector<uint8_t>>();
  std::vector<uint8_t> out(sizeof(Header) + sizeof(ReplyBody) + extra.size());
  RC_ASSERT(encode_reply(out, f, r, extra) == out.size());
  Message m;
  RC_ASSERT(decode(out, m) == Verdict::none);
  RC_ASSERT(m.fields == f);
  RC_ASSERT(m.reply == r);
  RC_ASSERT(std::equal(m.extra.begin(), m.extra.end(), extra.begin(), extra.end()));
}

RC_GTEST_PROP(Codec, ReportRoundTrip, ()) {
  const Fields f = any_fields(Type::report);
  const Report r{.node_id = *rc::gen::arbitrary<uint32_t>(),
                 .latency_us = *rc::gen::arbitrary<uint32_t>(),
                 .queue_depth = *rc::gen::arbitrary<uint32_t>(),
                 .saturation = *rc::gen::inRange<uint16_t>(0, 10001),
                 .degraded = *rc::gen::arbitrary<bool>(),
                 .draining = *rc::gen::arbitrary<bool>(),
                 .successes = *rc::gen::arbitrary<uint32_t>(),
                 .failures = *rc::gen::arbitrary<uint32_t>()};
  std::vector<uint8_t> out(sizeof(Header) + sizeof(ReportBody));
  RC_ASSERT(encode_report(out, f, r) == out.size());
  Message m;
  RC_ASSERT(decode(out, m) == Verdict::none);
  RC_ASSERT(m.fields == f);
  RC_ASSERT(m.report == r);
}

TEST(Codec, AnswerEchoesTheRequest) {
  Fields f{.flags = 3, .intent = 5, .severity = 4, .attempt = 2, .org_id = 9, .operator_id = 8};
  f.command_id[3] = 7;
  f.key_id = 11;
  const Fields a = answer_fields(f, Type::reply);
  Fields expected = f;
  expected.type = Type::reply;
  expected.flags = 0;
  EXPECT_EQ(a, expected);
}

}  // namespace
}  // namespace lf::lcp
