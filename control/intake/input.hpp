// SPDX-License-Identifier: Apache-2.0
// The bytes of a file, unpacked when they are gzip or zstd. Several packed pieces in a row are one
// text, as with the tools. Reads block; nothing is kept but a buffer of fixed size.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "control/base/result.hpp"

namespace lf::intake {

class Input {
 public:
  // A regular file; anything else (a pipe, a device) is refused, for it could block for ever.
  static Result<std::unique_ptr<Input>> open(const std::string& path);
  virtual ~Input() = default;

  // At most `room` bytes; 0: the end.
  virtual Result<size_t> read(char* to, size_t room) = 0;
  virtual uint64_t bytes_total() const = 0;  // of the file
  virtual uint64_t bytes_done() const = 0;
};

}  // namespace lf::intake
