// SPDX-License-Identifier: Apache-2.0
// The file: a FileHeader, then `count` Records, then the 32-byte BLAKE2b of all that. Host order:
// it is read by the machine that wrote it.
#include "control/ledger/save.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/ledger/look.hpp"

namespace lf::ledger {
namespace {

constexpr std::array<char, 8> kMagic{'L', 'F', 'L', 'E', 'D', 'G', 'E', 'R'};
constexpr uint32_t kVersion = 1;
constexpr size_t kRecordsAtOnce = 16384;

struct FileHeader {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t record_bytes = 0;
  uint64_t buckets = 0, count = 0;
  int64_t saved_us = 0;
  Secret secret;
};
static_assert(sizeof(FileHeader) == 72);

struct Record {
  uint32_t bucket = 0;
  uint32_t age_ms = 0;  // when it was saved
  uint64_t lo = 0, hi = 0;
};
static_assert(sizeof(Record) == 24);

using Digest = std::array<uint8_t, crypto_generichash_BYTES>;

struct Descriptor {
  int fd = -1;
  explicit Descriptor(int f) : fd(f) {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

class Hashing {
 public:
  Hashing() { crypto_generichash_init(&state_, nullptr, 0, sizeof(Digest)); }
  void add(const void* data, size_t bytes) {
    crypto_generichash_update(&state_, static_cast<const uint8_t*>(data), bytes);
  }
  Digest finish() {
    Digest d;
    crypto_generichash_final(&state_, d.data(), d.size());
    return d;
  }

 private:
  crypto_generichash_state state_;
};

tl::unexpected<Error> fail_errno(const std::string& path, const char* what) {
  const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::unavailable;
  return fail(code, "{}: {}: {}", path, what, std::strerror(errno));
}

bool write_all(int fd, const void* data, size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(fd, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

// False at the end of the file or on an error.
bool read_all(int fd, void* data, size_t bytes) {
  auto* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::read(fd, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

// Calls `take` for each answered command, a bucket's oldest first.
void for_each_answered(const Ledger& ledger, uint32_t epoch,
                       const std::function<void(uint64_t bucket, const Word&)>& take) {
  for (uint64_t b = 0; b < ledger.buckets(); ++b) {
    std::array<Word, kWays> words;
    uint32_t laps = 0;
    for (uint32_t w = 0; w < kWays; ++w) {
      words[w] = ledger.peek(b, w);
      laps |= words[w].lap() << w;
    }
    const uint32_t next = Bucket::way_at(place_in(kNext[laps]));
    for (uint32_t k = 0; k < kWays; ++k) {
      const Word& word = words[(next + k) % kWays];
      if (word.state() == State::answered && is_live(word, epoch)) take(b, word);
    }
  }
}

Result<void> write_file(int fd, const std::string& path, const Ledger& ledger, FileHeader header,
                        const Moment& now) {
  const uint32_t epoch = ledger.epoch_of(now.tsc);
  header.count = 0;
  for_each_answered(ledger, epoch, [&](uint64_t, const Word&) { ++header.count; });
  const double epoch_ms =
      static_cast<double>(ledger.epoch_tsc()) * 1e3 / static_cast<double>(now.tsc_hz);
  Hashing hashing;
  hashing.add(&header, sizeof header);
  bool good = write_all(fd, &header, sizeof header);
  std::vector<Record> records;
  const auto flush = [&] {
    hashing.add(records.data(), records.size() * sizeof(Record));
    good = good && write_all(fd, records.data(), records.size() * sizeof(Record));
    records.clear();
  };
  for_each_answered(ledger, epoch, [&](uint64_t bucket, const Word& word) {
    const double age_ms = age_of(word, epoch) * epoch_ms;
    records.push_back(
        {static_cast<uint32_t>(bucket), static_cast<uint32_t>(age_ms), word.lo, word.hi});
    if (records.size() == kRecordsAtOnce) flush();
  });
  flush();
  const Digest digest = hashing.finish();
  if (!good || !write_all(fd, digest.data(), digest.size()) || fsync(fd) != 0)
    return fail_errno(path, "cannot write");
  return {};
}

// Reads the file from its start and gives `take` its records, checksum or not.
Result<FileHeader> read_file(const std::string& path,
                             const std::function<void(std::span<const Record>)>& take) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) return fail_errno(path, "cannot open");
  FileHeader header;
  if (!read_all(file.fd, &header, sizeof header))
    return fail(ErrorCode::invalid, "{}: too short for a saved ledger", path);
  if (header.magic != kMagic) return fail(ErrorCode::invalid, "{}: not a saved ledger", path);
  if (header.version != kVersion || header.record_bytes != sizeof(Record))
    return fail(ErrorCode::invalid, "{}: saved ledger of version {}, this program reads {}", path,
                header.version, kVersion);
  Hashing hashing;
  hashing.add(&header, sizeof header);
  std::vector<Record> records(kRecordsAtOnce);
  for (uint64_t left = header.count; left > 0;) {
    const size_t n = std::min<uint64_t>(left, kRecordsAtOnce);
    if (!read_all(file.fd, records.data(), n * sizeof(Record)))
      return fail(ErrorCode::invalid, "{}: ends after {} of {} commands", path, header.count - left,
                  header.count);
    hashing.add(records.data(), n * sizeof(Record));
    take({records.data(), n});
    left -= n;
  }
  Digest stored;
  char more = 0;
  if (!read_all(file.fd, stored.data(), stored.size()))
    return fail(ErrorCode::invalid, "{}: ends before its checksum", path);
  if (hashing.finish() != stored) return fail(ErrorCode::invalid, "{}: wrong checksum", path);
  if (read_all(file.fd, &more, 1))
    return fail(ErrorCode::invalid, "{}: has more after its checksum", path);
  return header;
}

}  // namespace

Result<uint64_t> save(const std::string& path, const Ledger& ledger, const Secret& secret,
                      const Moment& now) {
  FileHeader header;
  header.record_bytes = sizeof(Record);
  header.buckets = ledger.buckets();
  header.saved_us = now.unix_us;
  header.secret = secret;
  const std::string beside = path + ".new";
  {
    const Descriptor file(
        open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.fd < 0) return fail_errno(beside, "cannot create");
    if (fchmod(file.fd, 0600) != 0) return fail_errno(beside, "cannot protect");
    if (auto written = write_file(file.fd, beside, ledger, header, now); !written) {
      unlink(beside.c_str());
      return tl::unexpected(written.error());
    }
  }
  if (rename(beside.c_str(), path.c_str()) != 0) return fail_errno(path, "cannot rename to");
  const auto folder = std::filesystem::path(path).parent_path();
  const Descriptor directory(
      open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd >= 0) fsync(directory.fd);
  uint64_t count = 0;
  for_each_answered(ledger, ledger.epoch_of(now.tsc), [&](uint64_t, const Word&) { ++count; });
  return count;
}

Result<SavedHeader> check_saved(const std::string& path) {
  auto header = read_file(path, [](std::span<const Record>) {});
  if (!header) return tl::unexpected(header.error());
  return SavedHeader{header->buckets, header->count, header->saved_us, header->secret};
}

Result<uint64_t> restore(const std::string& path, const SavedHeader& header, Ledger& ledger,
                         const Moment& now) {
  if (ledger.buckets() > header.buckets)
    return fail(ErrorCode::conflict,
                "{}: saved by a ledger of {} entries, one of {} can't take it over", path,
                header.buckets * kWays, ledger.capacity());
  const auto away_us = static_cast<double>(std::max<UnixUs>(now.unix_us - header.saved_us, 0));
  const double epoch_us =
      static_cast<double>(ledger.epoch_tsc()) * 1e6 / static_cast<double>(now.tsc_hz);
  const uint32_t epoch = ledger.epoch_of(now.tsc);
  uint64_t restored = 0;
  const auto read = read_file(path, [&](std::span<const Record> records) {
    for (const Record& r : records) {
      const double age = (r.age_ms * 1e3 + away_us) / epoch_us;
      if (age > kWindowEpochs) continue;
      const Word word{r.lo, r.hi};
      const uint32_t stamped = (epoch - static_cast<uint32_t>(age)) & (kEpochs - 1);
      restored += ledger.restore(r.bucket, word.with_epoch(stamped));
    }
  });
  if (!read) return tl::unexpected(read.error());
  return restored;
}

}  // namespace lf::ledger
