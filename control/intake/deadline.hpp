// SPDX-License-Identifier: Apache-2.0
// A command's deadline as Unix microseconds: from ISO 8601 text with Z, an offset or none (then
// UTC), or from Unix seconds. Years 1 to 9999, finer parts than a microsecond are cut off. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "control/intake/fault.hpp"

namespace lf::intake {

struct Deadline {
  int64_t unix_us = 0;
  DeadlineFault fault = DeadlineFault::none;
};

// "2026-11-25T15:19:08.25+01:00"; a blank or t for the T, time and seconds may be left out, and so
// may the dashes and colons (basic format).
Deadline deadline_of(std::string_view iso8601) noexcept;
Deadline deadline_of(int64_t unix_s) noexcept;
Deadline deadline_of(double unix_s) noexcept;  // to the nearest microsecond

}  // namespace lf::intake
