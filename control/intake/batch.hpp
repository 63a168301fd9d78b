// SPDX-License-Identifier: Apache-2.0
// A batch of JSON commands, sorted out: rows are read in chunks, checked by several threads at
// once, duplicates dropped by hash, and each chunk sorted by itself; at the end the sorted chunks
// are merged. The result is the same, byte for byte, whatever the number of threads, and costs a
// small record a command beside the text itself, which is kept. Called on helper threads; touches
// nothing of the data plane.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"
#include "control/intake/fault.hpp"
#include "control/intake/names.hpp"
#include "control/intake/source.hpp"

namespace lf::intake {

// A valid command: what it is sorted by, and its row.
struct Item {
  std::string_view command_id;
  std::string_view row;
  uint32_t org = kUnknownOrg;
  bool duplicate = false;
};

// Sorts as (deadline, command_id), then by row.
struct Key {
  int64_t deadline_us = 0;
  uint64_t id_head = 0;  // first eight bytes of the id, most significant first
  uint32_t chunk = 0, item = 0;
};

// What is kept of a chunk.
struct Piece {
  Chunk chunk;
  std::vector<Item> items;          // in row order
  std::vector<Key> run;             // in output order, without duplicates
  std::vector<uint64_t> hashes;     // of (org, command_id), by item; empty after dedup
  std::deque<std::string> escaped;  // ids that are not in the text as they are
  std::vector<Fault> faults;
  uint32_t rows = 0;
};

struct Options {
  int64_t now_us = 0;
  int threads = 1;
  size_t chunk_bytes = 0;           // 0: small at first, then larger
  size_t rows_max = 1u << 26;       // more is an error
  uint64_t bytes_max = 4ull << 30;  // of unpacked text; more is an error
};

// How far a batch is; read by other threads.
struct Progress {
  std::atomic<uint64_t> bytes_done{0}, bytes_total{0};
  std::atomic<bool> cancel{false};
};

using Pieces = std::vector<std::unique_ptr<Piece>>;

class Batch {
 public:
  size_t size() const { return order_.size(); }
  // The k-th command of the output.
  const Item& operator[](size_t k) const { return pieces_[order_[k].chunk]->items[order_[k].item]; }
  int64_t deadline_us(size_t k) const { return order_[k].deadline_us; }

  uint64_t rows() const { return rows_; }
  uint64_t duplicates() const { return duplicates_; }
  const std::vector<Fault>& faults() const { return faults_; }  // in row order
  std::vector<std::string> errors() const;                      // their texts

 private:
  friend Result<Batch> process(std::unique_ptr<Source>, const OrgNames&, const Options&, Progress*);

  std::unique_ptr<Source> source_;
  Pieces pieces_;
  std::vector<Key> order_;
  std::vector<Fault> faults_;
  uint64_t rows_ = 0, duplicates_ = 0;
};

// Fails when the source does, when it has more rows or bytes than allowed, or when it is cancelled.
Result<Batch> process(std::unique_ptr<Source> source, const OrgNames& orgs, const Options& options,
                      Progress* progress = nullptr);

struct Urgency {
  size_t urgent = 0, normal = 0;  // the urgent ones come first
};
// Urgent: the deadline's whole second is at most `horizon_min` minutes (at least one) from now.
Urgency partition_by_urgency(const Batch& batch, int64_t now_us, int64_t horizon_min = 20);

}  // namespace lf::intake
