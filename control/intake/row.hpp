// SPDX-License-Identifier: Apache-2.0
// One row of a batch: JSON text in, what the batch needs to know of it out. Strict: a row that this
// takes is JSON by every parser's measure. One reader a thread; a row's texts live until the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "control/intake/fault.hpp"
#include "control/intake/names.hpp"

namespace lf::intake {

// Readable bytes behind a row's end.
inline constexpr size_t kPadding = 64;

struct Row {
  Fault fault;                  // kind none: the command is valid
  int64_t deadline_us = 0;      // Unix time
  std::string_view command_id;  // without escapes
  std::string_view org;         // as the row says it; empty: not at all
};

class RowReader {
 public:
  explicit RowReader(const OrgNames& orgs);
  ~RowReader();

  // `text` may be anything but must be followed by kPadding readable bytes. Faults get no row
  // number.
  Row read(std::string_view text, int64_t now_us);

  const OrgNames& orgs() const { return orgs_; }

 private:
  struct Parser;  // simdjson's header is not for everybody

  FaultKind fill(int64_t now_us, Row& row);
  std::string_view decimal(uint64_t value);

  const OrgNames& orgs_;
  std::unique_ptr<Parser> parser_;
  char digits_[24];
};

}  // namespace lf::intake
