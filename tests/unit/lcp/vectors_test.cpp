// SPDX-License-Identifier: Apache-2.0
// The test vectors that docs/lcp.md gives to writers of other clients, and its status names.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "dataplane/crypto/cmac_lanes.hpp"
#include "dataplane/lcp/tag.hpp"

namespace lf::lcp {
namespace {

struct Row {
  std::string type, key, datagram;
};

std::vector<uint8_t> from_hex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::vector<std::string> lines_of_page() {
  const char* root = std::getenv("LF_SOURCE_DIR");
  std::ifstream page(std::string(root ? root : ".") + "/docs/lcp.md");
  EXPECT_TRUE(page) << "docs/lcp.md: run from the source directory, or set LF_SOURCE_DIR";
  std::vector<std::string> lines;
  for (std::string line; std::getline(page, line);) lines.push_back(line);
  return lines;
}

std::vector<Row> vectors_of_page() {
  std::vector<Row> rows;
  bool inside = false;
  for (const std::string& line : lines_of_page()) {
    if (line == "```vectors") {
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      Row row;
      std::istringstream(line) >> row.type >> row.key >> row.datagram;
      rows.push_back(row);
    }
  }
  return rows;
}

constexpr const char* kTypes[] = {"", "command", "reply", "approval", "report", "probe"};

TEST(PageVectors, DecodeAndVerify) {
  const auto rows = vectors_of_page();
  ASSERT_GE(rows.size(), 7u);
  for (const Row& row : rows) {
    const auto d = from_hex(row.datagram);
    Message m;
    ASSERT_EQ(info(decode(d, m)).name, "none") << row.datagram;
    ASSERT_EQ(row.type, kTypes[static_cast<uint8_t>(m.fields.type)]);
    if (row.key == "-") {
      EXPECT_FALSE(m.fields.flags & kFlagTagged);
      continue;
    }
    KeyBytes key{};
    const auto key_bytes = from_hex(row.key);
    ASSERT_EQ(key_bytes.size(), key.size());
    std::copy(key_bytes.begin(), key_bytes.end(), key.begin());
    EXPECT_TRUE(Signer(key).verify(d)) << row.datagram;

    const crypto::CmacKey expanded = crypto::expand_cmac_key(key);
    crypto::CmacBatch batch;
    batch.set(0, &expanded, d.data(), static_cast<uint32_t>(m.payload.size()));
    crypto::cmac_lanes(batch, 1);
    EXPECT_TRUE(crypto::equal_tags(batch.tag[0], m.tag.data())) << row.datagram;
  }
}

TEST(PageVectors, BodiesSayWhatThePageSays) {
  for (const Row& row : vectors_of_page()) {
    const auto d = from_hex(row.datagram);
    Message m;
    decode(d, m);
    if (row.type == "reply") {
      EXPECT_EQ(m.reply, (Reply{.status = Status::throttled,
                                .reason = 76,
                                .from_data_plane = true,
                                .reset_seconds = 31,
                                .throttle_ms = 2000}));
    }
    if (row.type == "report") {
      EXPECT_EQ(m.report, (Report{.node_id = 3,
                                  .latency_us = 850,
                                  .queue_depth = 12,
                                  .saturation = 2500,
                                  .degraded = true,
                                  .successes = 9412,
                                  .failures = 17}));
    }
  }
}

TEST(PageVectors, StatusTable) {
  const auto lines = lines_of_page();
  for (int code = 0; code < 12; ++code) {
    const std::string start = "| " + std::to_string(code) + " | " +
                              std::string(name_of(static_cast<Status>(code))) + " | ";
    const bool found = std::any_of(lines.begin(), lines.end(),
                                   [&](const auto& line) { return line.rfind(start, 0) == 0; });
    EXPECT_TRUE(found) << start;
  }
  EXPECT_EQ(name_of(static_cast<Status>(12)), "unknown");
}

}  // namespace
}  // namespace lf::lcp
