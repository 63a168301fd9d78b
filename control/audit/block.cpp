// SPDX-License-Identifier: Apache-2.0
#include "control/audit/block.hpp"

#include <openssl/evp.h>
#include <zstd.h>

#include <algorithm>
#include <cstddef>
#include <memory>

namespace lf::audit {
namespace {

constexpr int kLevel = 1;
constexpr uint32_t kProbes = 4;
constexpr size_t kIdBytes = 32;
constexpr size_t kColumnBytes = sizeof(Record) - kIdBytes;  // a record's share of the columns
static_assert(offsetof(Record, trace_id) == 8 && offsetof(Record, command_id) == 24 &&
              offsetof(Record, org_id) == 40);

struct Probes {
  uint64_t a, b;
  // Ids are often random already; mixing costs little and keeps chosen ones from clustering.
  explicit Probes(const uint8_t id[16]) {
    std::memcpy(&a, id, 8);
    std::memcpy(&b, id + 8, 8);
    a = (a ^ b >> 31) * 0x9e3779b97f4a7c15ull;
    b = (b ^ a >> 29) * 0xff51afd7ed558ccdull | 1;
  }
  uint64_t bit(uint32_t n, uint64_t bits) const { return ((a + n * b) >> 7) % bits; }
};

void add_to_bloom(std::string& bloom, const uint8_t id[16]) {
  const Probes probes(id);
  for (uint32_t n = 0; n < kProbes; ++n) {
    const uint64_t bit = probes.bit(n, bloom.size() * 8);
    bloom[bit / 8] = static_cast<char>(bloom[bit / 8] | 1 << (bit % 8));
  }
}

// Byte k of every record's 48 bytes together: most of them hardly change from record to record.
std::string to_columns(std::span<const Record> records) {
  std::string columns(records.size() * kColumnBytes, '\0');
  uint64_t before = 0;
  for (size_t r = 0; r < records.size(); ++r) {
    uint8_t row[kColumnBytes];
    const uint64_t delta = records[r].time_us - before;
    before = records[r].time_us;
    std::memcpy(row, &delta, 8);
    std::memcpy(row + 8, reinterpret_cast<const uint8_t*>(&records[r]) + 40, kColumnBytes - 8);
    for (size_t k = 0; k < kColumnBytes; ++k)
      columns[k * records.size() + r] = static_cast<char>(row[k]);
  }
  return columns;
}

void from_columns(const std::string& columns, std::vector<Record>& records) {
  uint64_t time_us = 0;
  for (size_t r = 0; r < records.size(); ++r) {
    uint8_t row[kColumnBytes];
    for (size_t k = 0; k < kColumnBytes; ++k)
      row[k] = static_cast<uint8_t>(columns[k * records.size() + r]);
    uint64_t delta;
    std::memcpy(&delta, row, 8);
    records[r].time_us = time_us += delta;
    std::memcpy(reinterpret_cast<uint8_t*>(&records[r]) + 40, row + 8, kColumnBytes - 8);
  }
}

std::string compress(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), kLevel));
  return out;
}

void summarize(BlockHeader& h, std::span<const Record> records) {
  h.first_us = h.last_us = records[0].time_us;
  h.org_low = h.operator_low = UINT32_MAX;
  for (const Record& r : records) {
    h.first_us = std::min(h.first_us, r.time_us);
    h.last_us = std::max(h.last_us, r.time_us);
    if (r.kind == RecordKind::gap) continue;
    h.outcome_mask |= 1u << (r.outcome & 31);
    h.org_low = std::min(h.org_low, r.org_id);
    h.org_high = std::max(h.org_high, r.org_id);
    h.operator_low = std::min(h.operator_low, r.operator_id);
    h.operator_high = std::max(h.operator_high, r.operator_id);
  }
}

}  // namespace

uint64_t end_sequence(std::span<const Record> records, uint64_t sequence) {
  for (const Record& r : records) {
    if (r.kind == RecordKind::decision) ++sequence;
    if (r.kind == RecordKind::gap) sequence = gap_of(r).last + 1;
  }
  return sequence;
}

Block make_block(std::span<const Record> records, uint8_t worker, uint64_t run_us,
                 uint64_t sequence, const Hash& previous) {
  Block block;
  BlockHeader& h = block.header;
  h.worker = worker;
  h.count = static_cast<uint32_t>(records.size());
  h.run_us = run_us;
  h.first_sequence = sequence;
  h.end_sequence = end_sequence(records, sequence);
  h.previous = previous;
  summarize(h, records);
  std::string bloom((records.size() * 2 * kBloomBitsPerRecord + 7) / 8, '\0');
  std::string ids(records.size() * kIdBytes, '\0');
  for (size_t r = 0; r < records.size(); ++r) {
    add_to_bloom(bloom, records[r].trace_id);
    add_to_bloom(bloom, records[r].command_id);
    std::memcpy(&ids[r * kIdBytes], records[r].trace_id, 16);
    std::memcpy(&ids[r * kIdBytes + 16], records[r].command_id, 16);
  }
  const std::string columns = compress(to_columns(records));
  h.bloom_bytes = static_cast<uint32_t>(bloom.size());
  h.column_bytes = static_cast<uint32_t>(columns.size());
  block.body = bloom + ids + columns;
  h.hash = hash_of(h, block.body);
  return block;
}

Hash hash_of(const BlockHeader& header, std::string_view body) {
  BlockHeader h = header;
  h.hash.fill(0);
  Hash out{};
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  EVP_DigestUpdate(context.get(), &h, sizeof(h));
  EVP_DigestUpdate(context.get(), body.data(), body.size());
  EVP_DigestFinal_ex(context.get(), out.data(), nullptr);
  return out;
}

bool may_contain(const BlockHeader& header, std::string_view body, const uint8_t id[16]) {
  if (header.bloom_bytes == 0 || body.size() < header.bloom_bytes) return true;
  const Probes probes(id);
  for (uint32_t n = 0; n < kProbes; ++n) {
    const uint64_t bit = probes.bit(n, uint64_t{header.bloom_bytes} * 8);
    if (!(body[bit / 8] >> (bit % 8) & 1)) return false;
  }
  return true;
}

Result<std::vector<Record>> unpack(const BlockHeader& h, std::string_view body) {
  const size_t raw = size_t{h.count} * kColumnBytes;
  if (h.count == 0 || h.count > kBlockRecords || body.size() != h.body_bytes())
    return fail(ErrorCode::invalid, "block sizes do not agree");
  std::string columns(raw, '\0');
  const std::string_view packed = body.substr(body.size() - h.column_bytes);
  const size_t got = ZSTD_decompress(columns.data(), raw, packed.data(), packed.size());
  if (ZSTD_isError(got) || got != raw) return fail(ErrorCode::invalid, "block does not decompress");
  std::vector<Record> records(h.count);
  for (size_t r = 0; r < records.size(); ++r) {
    std::memcpy(records[r].trace_id, body.data() + h.bloom_bytes + r * kIdBytes, 16);
    std::memcpy(records[r].command_id, body.data() + h.bloom_bytes + r * kIdBytes + 16, 16);
  }
  from_columns(columns, records);
  return records;
}

std::string to_hex(std::span<const uint8_t> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t b : bytes) {
    text += digits[b >> 4];
    text += digits[b & 15];
  }
  return text;
}

}  // namespace lf::audit
