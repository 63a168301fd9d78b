// SPDX-License-Identifier: Apache-2.0
// Segment files of the audit log: a header that names the hash of the block before it (so the
// chain runs through all files), then blocks. The writer belongs to the collector's thread; readers
// may be any thread or another process, and see whole blocks only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/audit/block.hpp"

namespace lf::audit {

inline constexpr const char* kChainHead = "chain.head";  // file with the newest block's hash

struct SegmentHeader {
  char magic[8] = {'L', 'F', 'A', 'U', 'D', 'I', 'T', '1'};
  uint64_t number = 0;
  uint64_t created_us = 0;
  Hash previous{};
  uint8_t pad[8] = {};
};
static_assert(sizeof(SegmentHeader) == 64);

struct SegmentFile {
  std::string path;
  uint64_t number = 0;
  uint64_t bytes = 0;
};

// Segments of a directory, ascending by number.
std::vector<SegmentFile> list_segments(const std::string& directory);

// Appends blocks; starts a new segment when one is full and removes the oldest when all together
// are too many. Continues the chain of what is in the directory.
class SegmentWriter {
 public:
  struct Limits {
    uint64_t segment_bytes = 64u << 20;
    uint64_t keep_bytes = 4096ull << 20;
  };
  // Called with the number of a segment that retention removed.
  using OnRemoved = std::function<void(uint64_t number)>;

  static Result<std::unique_ptr<SegmentWriter>> open(const std::string& directory,
                                                     const Limits& limits, uint64_t now_us);
  ~SegmentWriter();
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  Result<void> append(const Block& block, uint64_t now_us);
  Result<void> sync();
  const Hash& last_hash() const { return last_; }
  uint64_t recovered_bytes() const { return recovered_bytes_; }  // cut off after a crash
  void on_removed(OnRemoved f) { on_removed_ = std::move(f); }

 private:
  SegmentWriter(std::string directory, const Limits& limits)
      : directory_(std::move(directory)), limits_(limits) {}
  Result<void> recover();
  Result<void> start_segment(uint64_t now_us);
  Result<void> write_head();
  Result<void> write_all(int fd, const void* bytes, size_t size);
  void remove_old();

  std::string directory_;
  Limits limits_;
  int fd_ = -1;
  uint64_t number_ = 0;  // of the open segment
  uint64_t bytes_ = 0;   // written to it
  uint64_t blocks_ = 0;  // in all segments of this writer
  uint64_t recovered_bytes_ = 0;
  Hash last_{};
  OnRemoved on_removed_;
};

struct BlockPlace {
  std::string path;
  uint64_t segment = 0;
  uint64_t offset = 0;  // of the block's header in the file
  uint64_t index = 0;   // of the block in the file
};

// Calls f for every block of a directory, in order, with its body when `want` says so. Stops when
// f returns false. Bytes behind the last whole block are reported through `torn`.
struct ReadHooks {
  std::function<bool(const BlockHeader&)> want;
  std::function<bool(const BlockPlace&, const BlockHeader&, std::string_view body)> block;
  std::function<bool(const SegmentFile&, const SegmentHeader&)> segment;          // may be empty
  std::function<void(const SegmentFile&, uint64_t offset, uint64_t bytes)> torn;  // may be empty
};
Result<void> read_blocks(const std::string& directory, const ReadHooks& hooks);

// What verify() says.
struct VerifyReport {
  bool intact = false;
  uint64_t segments = 0, blocks = 0, records = 0, decisions = 0, gaps = 0, lost = 0;
  uint64_t first_segment = 0;  // older ones were removed by retention
  std::string fault;           // file, offset, block, sequence numbers and what is wrong; or empty
};
VerifyReport verify(const std::string& directory);

}  // namespace lf::audit
