// SPDX-License-Identifier: Apache-2.0
#include "control/intake/source.hpp"

#include <algorithm>

#include "control/intake/input.hpp"
#include "control/intake/row.hpp"

namespace lf::intake {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view view_of(const std::vector<char>& bytes) {
  return {bytes.data(), bytes.size()};
}

class TextSource final : public Source {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)), size_(text_.size()) {
    text_.append(kPadding, '\n');
    if (text_.starts_with(kByteOrderMark)) done_ = kByteOrderMark.size();
  }

  Result<Chunk> next(size_t bytes) override {
    size_t end = std::min(size_, done_ + bytes);
    if (end < size_) end = std::min(size_, text_.find('\n', end) + 1);
    Chunk chunk{{text_.data() + done_, end - done_}, {}};
    done_ = end;
    return chunk;
  }
  uint64_t bytes_total() const override { return size_; }
  uint64_t bytes_done() const override { return done_; }

 private:
  std::string text_;  // and padding
  size_t size_, done_ = 0;
};

class FileSource final : public Source {
 public:
  explicit FileSource(std::unique_ptr<Input> input) : input_(std::move(input)) {}

  Result<Chunk> next(size_t bytes) override {
    Chunk chunk;
    std::vector<char>& text = chunk.memory;
    text.reserve(bytes + kPadding);
    text.assign(rest_.begin(), rest_.end());
    rest_.clear();
    size_t rows = line_end(text);
    while (!ended_ && (text.size() < bytes || rows == 0)) {
      if (rows == 0 && text.size() > kRowBytesMax) {
        text.resize(kRowBytesMax + 1);
        if (auto skipped = skip_line(); !skipped) return tl::unexpected(skipped.error());
        rows = text.size();
        break;
      }
      if (auto got = read_some(text, std::max(bytes, text.size() + kReadBytesMin)); !got)
        return tl::unexpected(got.error());
      rows = line_end(text);
    }
    if (ended_ && rest_.empty()) rows = text.size();
    rest_.insert(rest_.begin(), text.begin() + static_cast<std::ptrdiff_t>(rows), text.end());
    text.resize(rows);
    text.insert(text.end(), kPadding, '\n');
    if (text.size() < text.capacity() / 2) text.shrink_to_fit();
    chunk.rows = {text.data(), rows};
    return chunk;
  }
  uint64_t bytes_total() const override { return input_->bytes_total(); }
  uint64_t bytes_done() const override { return input_->bytes_done(); }

 private:
  static size_t line_end(const std::vector<char>& text) { return view_of(text).rfind('\n') + 1; }

  // Makes the text `size` long, where there is so much left.
  Result<void> read_some(std::vector<char>& text, size_t size) {
    size_t have = text.size();
    text.resize(size);
    while (have < size && !ended_) {
      auto got = input_->read(text.data() + have, size - have);
      if (!got) return tl::unexpected(got.error());
      ended_ = *got == 0;
      have += *got;
    }
    text.resize(have);
    if (std::exchange(first_, false) && view_of(text).starts_with(kByteOrderMark))
      text.erase(text.begin(), text.begin() + kByteOrderMark.size());
    return {};
  }

  // Goes on behind the next line break.
  Result<void> skip_line() {
    while (!ended_) {
      rest_.clear();
      if (auto got = read_some(rest_, kSkipBytes); !got) return got;
      const size_t at = view_of(rest_).find('\n');
      if (at == std::string_view::npos) continue;
      rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(at + 1));
      return {};
    }
    rest_.clear();
    return {};
  }

  static constexpr size_t kReadBytesMin = 64u << 10;
  static constexpr size_t kSkipBytes = 256u << 10;

  std::unique_ptr<Input> input_;
  std::vector<char> rest_;  // what was read behind the last chunk
  bool first_ = true, ended_ = false;
};

}  // namespace

std::unique_ptr<Source> text_source(std::string text) {
  return std::make_unique<TextSource>(std::move(text));
}

Result<std::unique_ptr<Source>> file_source(const std::string& path) {
  auto input = Input::open(path);
  if (!input) return tl::unexpected(input.error());
  return std::make_unique<FileSource>(std::move(*input));
}

}  // namespace lf::intake
