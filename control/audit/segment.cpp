// SPDX-License-Identifier: Apache-2.0
#include "control/audit/segment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace lf::audit {
namespace {

constexpr std::string_view kPrefix = "audit-", kSuffix = ".seg";

std::string segment_path(const std::string& directory, uint64_t number) {
  return fmt::format("{}/{}{:010}{}", directory, kPrefix, number, kSuffix);
}

template <typename T>
bool read_object(std::ifstream& file, T& out) {
  return static_cast<bool>(file.read(reinterpret_cast<char*>(&out), sizeof(out)));
}

bool plausible(const BlockHeader& h) {
  return h.magic == kBlockMagic && h.format == kFormat && h.count > 0 && h.count <= kBlockRecords &&
         h.bloom_bytes <= kBlockRecords * 4 && h.column_bytes <= kBlockRecords * 64;
}

}  // namespace

std::vector<SegmentFile> list_segments(const std::string& directory) {
  std::vector<SegmentFile> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    SegmentFile f{entry.path(), 0, entry.file_size(error)};
    const char* digits = name.data() + kPrefix.size();
    std::from_chars(digits, name.data() + name.size() - kSuffix.size(), f.number);
    files.push_back(std::move(f));
  }
  std::sort(files.begin(), files.end(),
            [](const SegmentFile& a, const SegmentFile& b) { return a.number < b.number; });
  return files;
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::open(const std::string& directory,
                                                           const Limits& limits, uint64_t now_us) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(ErrorCode::unavailable, "{}: {}", directory, error.message());
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(directory, limits));
  if (auto done = writer->recover(); !done) return tl::unexpected(std::move(done.error()));
  if (auto done = writer->start_segment(now_us); !done)
    return tl::unexpected(std::move(done.error()));
  return writer;
}

SegmentWriter::~SegmentWriter() {
  if (fd_ >= 0) close(fd_);
}

// Finds the end of the chain. An unfinished block at the end of the newest segment was never
// announced in chain.head: a crash left it, and it is cut off.
Result<void> SegmentWriter::recover() {
  const std::vector<SegmentFile> files = list_segments(directory_);
  if (files.empty()) return {};
  number_ = files.back().number;
  std::ifstream file(files.back().path, std::ios::binary);
  SegmentHeader header;
  uint64_t good = 0;
  if (read_object(file, header)) {
    last_ = header.previous;
    good = sizeof(header);
    BlockHeader block;
    while (read_object(file, block) && plausible(block) &&
           good + sizeof(block) + block.body_bytes() <= files.back().bytes) {
      last_ = block.hash;
      good += sizeof(block) + block.body_bytes();
      file.seekg(static_cast<std::streamoff>(good));
    }
  }
  recovered_bytes_ = files.back().bytes - good;
  if (recovered_bytes_ == 0) return {};
  if (truncate(files.back().path.c_str(), static_cast<off_t>(good)) != 0)
    return fail(ErrorCode::unavailable, "{}: {}", files.back().path, strerror(errno));
  return {};
}

Result<void> SegmentWriter::write_all(int fd, const void* bytes, size_t size) {
  const char* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorCode::unavailable, "{}: {}", directory_, strerror(errno));
    at += n;
    size -= static_cast<size_t>(n);
  }
  return {};
}

Result<void> SegmentWriter::start_segment(uint64_t now_us) {
  if (fd_ >= 0) {
    fdatasync(fd_);
    close(fd_);
  }
  ++number_;
  const std::string path = segment_path(directory_, number_);
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
  if (fd_ < 0) return fail(ErrorCode::unavailable, "{}: {}", path, strerror(errno));
  SegmentHeader header;
  header.number = number_;
  header.created_us = now_us;
  header.previous = last_;
  bytes_ = sizeof(header);
  if (auto written = write_all(fd_, &header, sizeof(header)); !written) return written;
  remove_old();
  return {};
}

void SegmentWriter::remove_old() {
  std::vector<SegmentFile> files = list_segments(directory_);
  uint64_t total = 0;
  for (const SegmentFile& f : files) total += f.bytes;
  for (size_t i = 0; i + 1 < files.size() && total > limits_.keep_bytes; ++i) {
    std::error_code error;
    std::filesystem::remove(files[i].path, error);
    total -= files[i].bytes;
    if (!error && on_removed_) on_removed_(files[i].number);
  }
}

Result<void> SegmentWriter::append(const Block& block, uint64_t now_us) {
  if (bytes_ > sizeof(SegmentHeader) &&
      bytes_ + sizeof(BlockHeader) + block.body.size() > limits_.segment_bytes)
    if (auto started = start_segment(now_us); !started) return started;
  std::string bytes(reinterpret_cast<const char*>(&block.header), sizeof(BlockHeader));
  bytes += block.body;
  if (auto written = write_all(fd_, bytes.data(), bytes.size()); !written) {
    // Take back what was written of it, so that the chain goes on with the next block.
    if (ftruncate(fd_, static_cast<off_t>(bytes_)) != 0) return start_segment(now_us);
    return written;
  }
  bytes_ += bytes.size();
  ++blocks_;
  last_ = block.header.hash;
  return write_head();
}

Result<void> SegmentWriter::write_head() {
  const std::string path = directory_ + "/" + kChainHead, fresh = path + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << to_hex(last_) << "\n";
  file.close();
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (!file || error) return fail(ErrorCode::unavailable, "{}: cannot be written", path);
  return {};
}

Result<void> SegmentWriter::sync() {
  if (fdatasync(fd_) != 0)
    return fail(ErrorCode::unavailable, "{}: {}", directory_, strerror(errno));
  return {};
}

Result<void> read_blocks(const std::string& directory, const ReadHooks& hooks) {
  for (const SegmentFile& segment : list_segments(directory)) {
    std::ifstream file(segment.path, std::ios::binary);
    SegmentHeader header;
    if (!read_object(file, header)) {
      if (hooks.torn) hooks.torn(segment, 0, segment.bytes);
      continue;
    }
    if (hooks.segment && !hooks.segment(segment, header)) return {};
    BlockPlace place{segment.path, segment.number, sizeof(header), 0};
    std::string body;
    while (place.offset < segment.bytes) {
      BlockHeader block;
      const uint64_t left = segment.bytes - place.offset;
      if (left < sizeof(block) || !read_object(file, block) || !plausible(block) ||
          left < sizeof(block) + block.body_bytes()) {
        if (hooks.torn) hooks.torn(segment, place.offset, left);
        break;
      }
      body.clear();
      if (!hooks.want || hooks.want(block)) {
        body.resize(block.body_bytes());
        file.read(body.data(), static_cast<std::streamsize>(body.size()));
        if (!hooks.block(place, block, body)) return {};
      }
      place.offset += sizeof(block) + block.body_bytes();
      ++place.index;
      file.seekg(static_cast<std::streamoff>(place.offset));
    }
  }
  return {};
}

}  // namespace lf::audit
