// SPDX-License-Identifier: Apache-2.0
#include "control/intake/batch.hpp"

#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <optional>

#include "control/intake/dedup.hpp"
#include "control/intake/merge.hpp"
#include "control/intake/row.hpp"

namespace lf::intake {
namespace {

// Chunks grow, so that a small batch is shared out and a large one has few of them.
constexpr size_t kChunkBytesMin = 64u << 10, kChunkBytesMax = 1u << 20;
constexpr uint32_t kChunksOfASize = 16;
constexpr size_t kRowBytesTypical = 160;
constexpr size_t kTokensPerThread = 2;  // chunks on their way, so memory stays bounded

size_t chunk_bytes(uint32_t number) {
  return std::min(kChunkBytesMax, kChunkBytesMin << std::min(number / kChunksOfASize, 16u));
}

bool is_blank(std::string_view row) {
  return row.find_first_not_of(" \t\r") == std::string_view::npos;
}

// The id as it lives as long as the batch: in the row itself unless it was written with escapes.
std::string_view lasting(std::string_view id, std::string_view row,
                         std::deque<std::string>& escaped) {
  const void* found = ::memmem(row.data(), row.size(), id.data(), id.size());
  if (found != nullptr) return {static_cast<const char*>(found), id.size()};
  return escaped.emplace_back(id);
}

class Work {
 public:
  Work(const OrgNames& orgs, const Options& options, Source& source, Progress* progress)
      : orgs_(orgs),
        options_(options),
        source_(source),
        progress_(progress),
        readers_([this] { return std::make_unique<RowReader>(orgs_); }),
        dedup_(orgs) {}

  // Leaves all pieces in order, each with its run.
  Result<void> run();

  Pieces pieces;
  std::vector<Fault> faults;
  uint64_t rows = 0, duplicates = 0;

 private:
  std::unique_ptr<Piece> next();
  void read(Piece& piece);
  void add(std::unique_ptr<Piece> piece);

  const OrgNames& orgs_;
  const Options& options_;
  Source& source_;
  Progress* progress_;
  tbb::enumerable_thread_specific<std::unique_ptr<RowReader>> readers_;
  TextHasher hash_;
  Dedup dedup_;
  std::optional<Error> error_;
  uint32_t chunks_ = 0;
  uint64_t bytes_ = 0;
  std::atomic<bool> too_many_rows_{false};  // third step to first
};

// First step: one thread at a time. Nothing at the end, or when error_ is set.
std::unique_ptr<Piece> Work::next() {
  if (progress_ != nullptr) {
    progress_->bytes_done.store(source_.bytes_done(), std::memory_order_relaxed);
    if (progress_->cancel.load(std::memory_order_relaxed)) {
      error_ = Error{ErrorCode::unavailable, "cancelled"};
      return nullptr;
    }
  }
  auto chunk =
      source_.next(options_.chunk_bytes != 0 ? options_.chunk_bytes : chunk_bytes(chunks_++));
  if (!chunk) {
    error_ = chunk.error();
    return nullptr;
  }
  if (chunk->rows.empty()) return nullptr;
  bytes_ += chunk->rows.size();
  if (bytes_ > options_.bytes_max || too_many_rows_.load(std::memory_order_relaxed)) {
    error_ = Error{ErrorCode::invalid, fmt::format("more than {} bytes or {} rows",
                                                   options_.bytes_max, options_.rows_max)};
    return nullptr;
  }
  auto piece = std::make_unique<Piece>();
  piece->chunk = std::move(*chunk);
  return piece;
}

// Second step: many threads at a time.
void Work::read(Piece& piece) {
  RowReader& reader = *readers_.local();
  const std::string_view text = piece.chunk.rows;
  const size_t expected = text.size() / kRowBytesTypical + 1;
  piece.items.reserve(expected);
  piece.hashes.reserve(expected);
  piece.run.reserve(expected);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.size(), text.find('\n', at));
    const std::string_view row = text.substr(at, end - at);
    at = end + 1;
    if (is_blank(row)) continue;
    const uint32_t number = piece.rows++;
    const Row got = reader.read(row, options_.now_us);
    if (got.fault.kind != FaultKind::none) {
      piece.faults.push_back(got.fault);
      piece.faults.back().row = number;
      continue;
    }
    Item item;
    item.row = row;
    item.command_id = lasting(got.command_id, row, piece.escaped);
    item.org = orgs_.find(got.org);
    piece.hashes.push_back(hash_(item.org, item.command_id));
    piece.run.push_back(
        {got.deadline_us, head_of(item.command_id), 0, static_cast<uint32_t>(piece.items.size())});
    piece.items.push_back(item);
  }
  // Duplicates are still among them: their order does not matter.
  std::sort(piece.run.begin(), piece.run.end(), [&](const Key& a, const Key& b) {
    if (a.deadline_us != b.deadline_us) return a.deadline_us < b.deadline_us;
    if (a.id_head != b.id_head) return a.id_head < b.id_head;
    const int order = piece.items[a.item].command_id.compare(piece.items[b.item].command_id);
    return order != 0 ? order < 0 : a.item < b.item;
  });
}

// Third step: one thread at a time, in the order of the text.
void Work::add(std::unique_ptr<Piece> owned) {
  Piece& piece = *owned;
  const auto number = static_cast<uint32_t>(pieces.size());
  pieces.push_back(std::move(owned));
  const size_t found = dedup_.run(pieces, piece);
  if (found != 0)
    std::erase_if(piece.run, [&](const Key& key) { return piece.items[key.item].duplicate; });
  for (Key& key : piece.run) key.chunk = number;
  for (Fault& fault : piece.faults) {
    fault.row += static_cast<uint32_t>(rows);
    faults.push_back(fault);
  }
  rows += piece.rows;
  duplicates += found;
  std::vector<uint64_t>().swap(piece.hashes);
  std::vector<Fault>().swap(piece.faults);
  if (piece.items.empty()) piece.chunk = {};
  if (rows > options_.rows_max) too_many_rows_.store(true, std::memory_order_relaxed);
}

Result<void> Work::run() {
  tbb::parallel_pipeline(
      static_cast<size_t>(options_.threads) * kTokensPerThread + 1,
      tbb::make_filter<void, Piece*>(tbb::filter_mode::serial_in_order,
                                     [this](tbb::flow_control& control) -> Piece* {
                                       auto piece = next();
                                       if (piece == nullptr) control.stop();
                                       return piece.release();
                                     }) &
          tbb::make_filter<Piece*, Piece*>(tbb::filter_mode::parallel,
                                           [this](Piece* piece) {
                                             read(*piece);
                                             return piece;
                                           }) &
          tbb::make_filter<Piece*, void>(tbb::filter_mode::serial_in_order, [this](Piece* piece) {
            add(std::unique_ptr<Piece>(piece));
          }));
  if (error_) return tl::unexpected(*error_);
  return {};
}

}  // namespace

Result<Batch> process(std::unique_ptr<Source> source, const OrgNames& orgs, const Options& options,
                      Progress* progress) {
  if (progress != nullptr) progress->bytes_total = source->bytes_total();
  Batch batch;
  Result<void> done;
  tbb::task_arena arena(options.threads);
  arena.execute([&] {
    Work work(orgs, options, *source, progress);
    done = work.run();
    if (!done) return;
    batch.faults_ = std::move(work.faults);
    batch.rows_ = work.rows;
    batch.duplicates_ = work.duplicates;
    batch.pieces_ = std::move(work.pieces);
  });
  if (!done) return tl::unexpected(done.error());
  arena.execute([&] { batch.order_ = merge(batch.pieces_); });
  batch.source_ = std::move(source);
  if (progress != nullptr) progress->bytes_done = progress->bytes_total.load();
  return batch;
}

std::vector<std::string> Batch::errors() const {
  std::vector<std::string> texts;
  texts.reserve(faults_.size());
  for (const Fault& fault : faults_)
    for (std::string& text : texts_of(fault)) texts.push_back(std::move(text));
  return texts;
}

Urgency partition_by_urgency(const Batch& batch, int64_t now_us, int64_t horizon_min) {
  constexpr int64_t kUsPerSecond = 1'000'000;
  const auto whole_second = [](int64_t us) { return us / kUsPerSecond - (us % kUsPerSecond < 0); };
  const int64_t last = whole_second(now_us) + std::max<int64_t>(horizon_min, 1) * 60;
  size_t low = 0, high = batch.size();  // the output is sorted by deadline
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (whole_second(batch.deadline_us(middle)) <= last)
      low = middle + 1;
    else
      high = middle;
  }
  return {low, batch.size() - low};
}

}  // namespace lf::intake
