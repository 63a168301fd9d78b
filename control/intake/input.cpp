// SPDX-License-Identifier: Apache-2.0
#include "control/intake/input.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace lf::intake {
namespace {

constexpr size_t kBufferBytes = 128u << 10;
constexpr int kGzip = 16 + MAX_WBITS;  // zlib: with a gzip header
constexpr int kWindowLogMax = 27;      // zstd: 128 MiB, what the tool takes without being asked
constexpr uint8_t kGzipMagic[] = {0x1f, 0x8b};
constexpr uint8_t kZstdMagic[] = {0x28, 0xb5, 0x2f, 0xfd};

// The file as it is.
class File : public Input {
 public:
  File(std::string path, int fd, uint64_t size) : path_(std::move(path)), fd_(fd), size_(size) {}
  ~File() override { ::close(fd_); }

  Result<size_t> read(char* to, size_t room) override {
    while (true) {
      const ssize_t n = ::read(fd_, to, room);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail(ErrorCode::unavailable, "{}: {}", path_, std::strerror(errno));
      done_ += static_cast<uint64_t>(n);
      return static_cast<size_t>(n);
    }
  }
  uint64_t bytes_total() const override { return size_; }
  uint64_t bytes_done() const override { return done_; }
  const std::string& path() const { return path_; }
  void rewind() {
    ::lseek(fd_, 0, SEEK_SET);
    done_ = 0;
  }

 private:
  std::string path_;
  int fd_;
  uint64_t size_, done_ = 0;
};

// What both unpackers share: a buffer of packed bytes.
class Packed : public Input {
 public:
  explicit Packed(std::unique_ptr<File> file) : file_(std::move(file)), buffer_(kBufferBytes) {}
  uint64_t bytes_total() const override { return file_->bytes_total(); }
  uint64_t bytes_done() const override { return file_->bytes_done(); }

 protected:
  // Makes sure that there are packed bytes, where there are any left.
  Result<bool> more() {
    if (at_ < size_) return true;
    auto got = file_->read(buffer_.data(), buffer_.size());
    if (!got) return tl::unexpected(got.error());
    at_ = 0;
    size_ = *got;
    return size_ != 0;
  }
  tl::unexpected<Error> broken(std::string_view why) const {
    return fail(ErrorCode::invalid, "{}: {}", file_->path(), why);
  }

  std::unique_ptr<File> file_;
  std::vector<char> buffer_;
  size_t at_ = 0, size_ = 0;
};

class Gzip final : public Packed {
 public:
  explicit Gzip(std::unique_ptr<File> file) : Packed(std::move(file)) {
    ready_ = inflateInit2(&stream_, kGzip) == Z_OK;
  }
  ~Gzip() override { inflateEnd(&stream_); }

  Result<size_t> read(char* to, size_t room) override {
    if (!ready_) return broken("no memory to unpack it");
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(room);
    while (stream_.avail_out == room) {
      auto some = more();
      if (!some) return tl::unexpected(some.error());
      if (!*some) {
        if (inside_) return broken("the gzip data ends too early");
        return 0;
      }
      stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data() + at_);
      stream_.avail_in = static_cast<uInt>(size_ - at_);
      inside_ = true;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      at_ = size_ - stream_.avail_in;
      if (result == Z_STREAM_END) {
        inside_ = false;
        inflateReset(&stream_);
      } else if (result != Z_OK) {
        return broken("broken gzip data");
      }
    }
    return room - stream_.avail_out;
  }

 private:
  z_stream stream_{};
  bool ready_ = false, inside_ = false;
};

class Zstd final : public Packed {
 public:
  explicit Zstd(std::unique_ptr<File> file)
      : Packed(std::move(file)), stream_(ZSTD_createDStream()) {
    if (stream_) ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kWindowLogMax);
  }
  ~Zstd() override { ZSTD_freeDStream(stream_); }

  Result<size_t> read(char* to, size_t room) override {
    if (!stream_) return broken("no memory to unpack it");
    ZSTD_outBuffer out{to, room, 0};
    while (out.pos == 0) {
      auto some = more();
      if (!some) return tl::unexpected(some.error());
      ZSTD_inBuffer in{buffer_.data(), size_, at_};
      if (!*some && !inside_) return 0;
      const size_t result = ZSTD_decompressStream(stream_, &out, &in);
      if (ZSTD_isError(result)) return broken("broken zstd data");
      if (!*some && out.pos == 0) return broken("the zstd data ends too early");
      at_ = in.pos;
      inside_ = result != 0;
    }
    return out.pos;
  }

 private:
  ZSTD_DStream* stream_;
  bool inside_ = false;
};

template <size_t N>
bool begins_with(const char* bytes, size_t size, const uint8_t (&magic)[N]) {
  return size >= N && std::memcmp(bytes, magic, N) == 0;
}

}  // namespace

Result<std::unique_ptr<Input>> Input::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return fail(ErrorCode::not_found, "{}: {}", path, std::strerror(errno));
  struct stat about {};
  if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
    ::close(fd);
    return fail(ErrorCode::invalid, "{}: not a regular file", path);
  }
  auto file = std::make_unique<File>(path, fd, static_cast<uint64_t>(about.st_size));
  char first[4];
  auto got = file->read(first, sizeof first);
  if (!got) return tl::unexpected(got.error());
  file->rewind();
  if (begins_with(first, *got, kGzipMagic)) return std::make_unique<Gzip>(std::move(file));
  if (begins_with(first, *got, kZstdMagic)) return std::make_unique<Zstd>(std::move(file));
  return file;
}

}  // namespace lf::intake
