// SPDX-License-Identifier: Apache-2.0
// Where the rows of a batch come from: a text in memory, or a file (as it is, gzip or zstd) that is
// read piece by piece. A source cuts its text into chunks of whole rows; a row that is too long is
// cut off right behind the limit, so that no row makes a source grow. Not thread-safe: one reads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"

namespace lf::intake {

// Whole rows with line breaks between them, and kPadding readable bytes behind them.
struct Chunk {
  std::string_view rows;
  std::vector<char> memory;  // that rows points into; empty: the source's own
};

class Source {
 public:
  virtual ~Source() = default;

  // The next chunk, of about `bytes`; one without rows at the end.
  virtual Result<Chunk> next(size_t bytes) = 0;
  virtual uint64_t bytes_total() const = 0;  // of what is read, compressed or not
  virtual uint64_t bytes_done() const = 0;
};

// The text is kept by the source, which outlives what is made of it.
std::unique_ptr<Source> text_source(std::string text);

// A regular file. What it is compressed with shows in its first bytes.
Result<std::unique_ptr<Source>> file_source(const std::string& path);

}  // namespace lf::intake
