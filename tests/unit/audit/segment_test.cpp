// SPDX-License-Identifier: Apache-2.0
// Blocks and segments: what goes in comes out, and every kind of tampering shows and is located.
#include "control/audit/segment.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

namespace lf::audit {
namespace {

std::vector<Record> random_records(uint32_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Record> records(count);
  uint64_t time_us = 1'767'225'600'000'000;
  for (Record& r : records) {
    for (size_t k = 0; k < sizeof(r); ++k) reinterpret_cast<uint8_t*>(&r)[k] = uint8_t(random());
    r.kind = RecordKind::decision;
    r.outcome %= 3;
    r.time_us = time_us += random() % 100;
  }
  return records;
}

bool same(const Record& a, const Record& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

TEST(AuditBlock, ComesBackAsItWas) {
  const auto records = random_records(1000, 1);
  const Block block = make_block(records, 2, 77, 500, {});
  EXPECT_EQ(block.header.first_sequence, 500u);
  EXPECT_EQ(block.header.end_sequence, 1500u);
  EXPECT_EQ(block.header.hash, hash_of(block.header, block.body));
  const auto back = unpack(block.header, block.body);
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), records.size());
  for (size_t i = 0; i < records.size(); ++i) ASSERT_TRUE(same((*back)[i], records[i])) << i;
}

TEST(AuditBlock, BloomKnowsWhatIsInside) {
  const auto records = random_records(2000, 2);
  const Block block = make_block(records, 0, 0, 0, {});
  for (const Record& r : records) {
    ASSERT_TRUE(may_contain(block.header, block.body, r.trace_id));
    ASSERT_TRUE(may_contain(block.header, block.body, r.command_id));
  }
  uint32_t wrong = 0;
  for (const Record& r : random_records(2000, 3))
    wrong += may_contain(block.header, block.body, r.trace_id);
  EXPECT_LT(wrong, 60u);  // 1.2 % expected
}

TEST(AuditBlock, GapsMoveTheSequence) {
  auto records = random_records(4, 4);
  records[1] = make_gap({10, 19, 1, 2, {10, 0, 0}}, 0);
  EXPECT_EQ(end_sequence(records, 9), 22u);
}

struct Log : testing::Test {
  std::string dir = testing::TempDir() + "lf_audit_" + std::to_string(getpid());
  std::unique_ptr<SegmentWriter> writer;
  uint64_t sequence = 0;

  void SetUp() override {
    std::filesystem::remove_all(dir);
    open({});
  }
  void TearDown() override { std::filesystem::remove_all(dir); }
  void open(const SegmentWriter::Limits& limits) {
    writer.reset();
    auto w = SegmentWriter::open(dir, limits, 1);
    ASSERT_TRUE(w) << w.error().message;
    writer = std::move(*w);
  }
  void write(uint32_t blocks, uint64_t run = 1) {
    for (uint32_t b = 0; b < blocks; ++b) {
      const Block block =
          make_block(random_records(100, sequence + 1), 0, run, sequence, writer->last_hash());
      sequence = block.header.end_sequence;
      ASSERT_TRUE(writer->append(block, 1));
    }
  }
  std::string newest() { return list_segments(dir).back().path; }
};

TEST_F(Log, IntactLogVerifies) {
  write(5);
  const VerifyReport r = verify(dir);
  EXPECT_TRUE(r.intact) << r.fault;
  EXPECT_EQ(r.blocks, 5u);
  EXPECT_EQ(r.decisions, 500u);
}

TEST_F(Log, ChainGoesOnOverRotationAndRestart) {
  open({20'000, 1u << 30});
  write(10);
  open({20'000, 1u << 30});
  sequence = 0;
  write(10, 2);
  EXPECT_GT(list_segments(dir).size(), 4u);
  const VerifyReport r = verify(dir);
  EXPECT_TRUE(r.intact) << r.fault;
  EXPECT_EQ(r.blocks, 20u);
}

TEST_F(Log, RetentionRemovesTheOldestAndSaysSo) {
  std::vector<uint64_t> removed;
  open({20'000, 60'000});
  writer->on_removed([&](uint64_t number) { removed.push_back(number); });
  write(30);
  EXPECT_FALSE(removed.empty());
  uint64_t bytes = 0;
  for (const SegmentFile& f : list_segments(dir)) bytes += f.bytes;
  EXPECT_LE(bytes, 80'000u);
  const VerifyReport r = verify(dir);
  EXPECT_TRUE(r.intact) << r.fault;
  EXPECT_EQ(r.first_segment, removed.back() + 1);
}

// Every single flipped byte is found, and the fault names the place where it is.
TEST_F(Log, AnyFlippedByteIsFoundAndLocated) {
  write(3);
  const std::string path = newest();
  std::ifstream in(path, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  std::mt19937 random(9);
  for (int n = 0; n < 150; ++n) {
    const size_t at = n < 64 ? static_cast<size_t>(n) : random() % good.size();
    if (at >= 16 && at < 24) continue;  // the time of creation is for people
    if (at >= 56 && at < 64) continue;  // padding
    if (at >= 24 && at < 56) continue;  // what came before the first segment that is there
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1 << (random() % 8));
    std::ofstream(path, std::ios::binary) << bad;
    const VerifyReport r = verify(dir);
    ASSERT_FALSE(r.intact) << at;
    ASSERT_NE(r.fault.find(path), std::string::npos) << r.fault;
    size_t from = 0;
    if (const size_t offset = r.fault.find("offset"); offset != std::string::npos)
      from = std::stoul(r.fault.substr(r.fault.find_first_of("0123456789", offset)));
    else
      from = std::stoul(r.fault.substr(r.fault.find(" bytes from offset ") + 19));
    EXPECT_LE(from, at) << r.fault;
  }
  std::ofstream(path, std::ios::binary) << good;
  EXPECT_TRUE(verify(dir).intact);
}

TEST_F(Log, MissingPartsAreFound) {
  open({20'000, 1u << 30});
  write(12);
  const auto files = list_segments(dir);
  const std::string cut = newest();
  std::filesystem::copy(cut, dir + "/keep");
  std::filesystem::resize_file(cut, 64);  // all its blocks
  EXPECT_NE(verify(dir).fault.find("end of the log is missing"), std::string::npos);
  std::filesystem::remove(cut);
  EXPECT_NE(verify(dir).fault.find("end of the log is missing"), std::string::npos);
  std::filesystem::rename(dir + "/keep", cut);
  EXPECT_TRUE(verify(dir).intact);
  std::filesystem::remove(files[files.size() / 2].path);
  EXPECT_NE(verify(dir).fault.find("is missing"), std::string::npos);
}

TEST_F(Log, AnUnfinishedBlockIsCutOffAtTheNextStart) {
  write(2);
  std::ofstream(newest(), std::ios::binary | std::ios::app) << "half a block";
  EXPECT_FALSE(verify(dir).intact);
  open({});
  EXPECT_EQ(writer->recovered_bytes(), 12u);
  write(1);
  const VerifyReport r = verify(dir);
  EXPECT_TRUE(r.intact) << r.fault;
  EXPECT_EQ(r.blocks, 3u);
}

}  // namespace
}  // namespace lf::audit
