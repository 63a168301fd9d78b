// SPDX-License-Identifier: Apache-2.0
// One row per thing that can be wrong with a datagram.
#include "dataplane/lcp/check.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "dataplane/lcp/codec.hpp"

namespace lf::lcp {
namespace {

std::vector<uint8_t> datagram_of(Type type, size_t payload, uint8_t severity = 3) {
  std::vector<uint8_t> bytes(sizeof(Header) + payload);
  const std::vector<uint8_t> body(payload);
  const Fields fields{.type = type, .severity = severity, .org_id = 7};
  EXPECT_EQ(encode(bytes, fields, body), bytes.size());
  return bytes;
}

Verdict check(const std::vector<uint8_t>& bytes) {
  return check_header(reinterpret_cast<const Header*>(bytes.data()),
                      static_cast<uint32_t>(bytes.size()));
}

struct Row {
  std::string what;
  Type type;
  size_t payload;
  std::function<void(std::vector<uint8_t>&)> change;
  Verdict expected;
};

auto set(size_t offset, uint8_t value) {
  return [=](std::vector<uint8_t>& b) { b[offset] = value; };
}
void nothing(std::vector<uint8_t>&) {}

TEST(CheckHeader, Table) {
  const Row rows[] = {
      {"command without payload", Type::command, 0, nothing, Verdict::none},
      {"command with payload", Type::command, 1400, nothing, Verdict::none},
      {"largest command", Type::command, kPayloadMax, nothing, Verdict::none},
      {"reply", Type::reply, 16, nothing, Verdict::none},
      {"reply with own bytes", Type::reply, 40, nothing, Verdict::none},
      {"approval", Type::approval, 0, nothing, Verdict::none},
      {"report", Type::report, 24, nothing, Verdict::none},
      {"probe", Type::probe, 0, nothing, Verdict::none},
      {"probe reply", Type::probe_reply, 0, nothing, Verdict::none},
      {"both known flags", Type::command, 0, set(4, 0x03), Verdict::none},
      {"tagged with a tag", Type::command, 0, [](auto& b) { b[4] = 1, b[64] = 9, b[79] = 1; },
       Verdict::none},
      {"one byte short", Type::command, 0, [](auto& b) { b.pop_back(); }, Verdict::lcp_truncated},
      {"magic, first byte", Type::command, 0, set(0, 0x4d), Verdict::lcp_magic},
      {"magic, second byte", Type::command, 0, set(1, 0x4c), Verdict::lcp_magic},
      {"version 0", Type::command, 0, set(2, 0), Verdict::lcp_version},
      {"version 2", Type::command, 0, set(2, 2), Verdict::lcp_version},
      {"type 0", Type::command, 0, set(3, 0), Verdict::lcp_type},
      {"type 7", Type::command, 0, set(3, 7), Verdict::lcp_type},
      {"type 255", Type::command, 0, set(3, 255), Verdict::lcp_type},
      {"flag bit 2", Type::command, 0, set(4, 0x04), Verdict::lcp_flags},
      {"flag bit 7", Type::command, 0, set(4, 0x80), Verdict::lcp_flags},
      {"payload one byte longer than said", Type::command, 8, [](auto& b) { b.push_back(0); },
       Verdict::lcp_length},
      {"payload one byte shorter than said", Type::command, 8, [](auto& b) { b.pop_back(); },
       Verdict::lcp_length},
      {"payload_length in the wrong order", Type::command, 8,
       [](auto& b) { std::swap(b[60], b[61]); }, Verdict::lcp_length},
      {"severity 0", Type::command, 0, set(6, 0), Verdict::lcp_severity},
      {"severity 6", Type::command, 0, set(6, 6), Verdict::lcp_severity},
      {"severity 255", Type::command, 0, set(6, 255), Verdict::lcp_severity},
      {"reply with severity 0", Type::reply, 16, set(6, 0), Verdict::lcp_severity},
      {"probe without a severity", Type::probe, 0, set(6, 0), Verdict::none},
      {"report without a severity", Type::report, 24, set(6, 0), Verdict::none},
      {"report with severity 6", Type::report, 24, set(6, 6), Verdict::lcp_severity},
      {"reply of 15 bytes", Type::reply, 15, nothing, Verdict::lcp_body},
      {"approval with a body", Type::approval, 1, nothing, Verdict::lcp_body},
      {"report of 23 bytes", Type::report, 23, nothing, Verdict::lcp_body},
      {"report of 25 bytes", Type::report, 25, nothing, Verdict::lcp_body},
      {"probe with a body", Type::probe, 4, nothing, Verdict::lcp_body},
      {"probe reply with a body", Type::probe_reply, 4, nothing, Verdict::lcp_body},
      {"untagged, first tag byte", Type::command, 0, set(64, 1), Verdict::lcp_untagged_tag},
      {"untagged, last tag byte", Type::command, 0, set(79, 0x80), Verdict::lcp_untagged_tag},
  };
  for (const Row& row : rows) {
    std::vector<uint8_t> bytes = datagram_of(row.type, row.payload);
    row.change(bytes);
    EXPECT_EQ(info(check(bytes)).name, info(row.expected).name) << row.what;
    Message message;
    EXPECT_EQ(info(decode(bytes, message)).name, info(row.expected).name) << row.what;
  }
}

// Only the promised bytes are read (AddressSanitizer would tell).
TEST(CheckHeader, TruncatedAtEveryLength) {
  const std::vector<uint8_t> whole = datagram_of(Type::command, 0);
  for (size_t n = 0; n < sizeof(Header); ++n) {
    const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
    EXPECT_EQ(check(cut), Verdict::lcp_truncated);
  }
}

}  // namespace
}  // namespace lf::lcp
