// SPDX-License-Identifier: Apache-2.0
// One block of audit records: how a batch of one worker's records becomes bytes and back. The
// records' ids (32 random bytes) are stored as they are, the other 48 bytes column by column under
// zstd. Each block carries the SHA-256 of itself and of the block before it. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "dataplane/audit/record.hpp"

namespace lf::audit {

using Hash = std::array<uint8_t, 32>;

inline constexpr uint32_t kBlockMagic = 0x4b4c424c;  // "LBLK"
inline constexpr uint32_t kBlockRecords = 8192;      // at most
inline constexpr uint32_t kBloomBitsPerRecord = 10;

// As on disk, little-endian. The hash is over the header with `hash` zeroed, then the body.
struct BlockHeader {
  uint32_t magic = kBlockMagic;
  uint16_t format = kFormat;
  uint8_t worker = 0;
  uint8_t pad = 0;
  uint32_t count = 0;           // records
  uint32_t bloom_bytes = 0;     // of trace and command ids, first in the body
  uint32_t column_bytes = 0;    // compressed columns, behind the ids
  uint32_t outcome_mask = 0;    // bit o: some record has outcome o
  uint64_t run_us = 0;          // when the daemon started: sequence numbers count from there
  uint64_t first_sequence = 0;  // of the first decision
  uint64_t end_sequence = 0;    // one past the last
  uint64_t first_us = 0, last_us = 0;
  uint32_t org_low = 0, org_high = 0;
  uint32_t operator_low = 0, operator_high = 0;
  Hash previous{}, hash{};

  uint64_t body_bytes() const { return bloom_bytes + uint64_t{count} * 32 + column_bytes; }
};
static_assert(sizeof(BlockHeader) == 144);

struct Block {
  BlockHeader header;
  std::string body;
};

// sequence: of the first decision in `records`; worker and run_us from the arguments.
Block make_block(std::span<const Record> records, uint8_t worker, uint64_t run_us,
                 uint64_t sequence, const Hash& previous);

Hash hash_of(const BlockHeader& header, std::string_view body);

// The sequence number behind these records, when the first decision has `sequence`.
uint64_t end_sequence(std::span<const Record> records, uint64_t sequence);

bool may_contain(const BlockHeader& header, std::string_view body, const uint8_t id[16]);
Result<std::vector<Record>> unpack(const BlockHeader& header, std::string_view body);

std::string to_hex(std::span<const uint8_t> bytes);

}  // namespace lf::audit
