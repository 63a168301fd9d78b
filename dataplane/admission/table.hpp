// SPDX-License-Identifier: Apache-2.0
// How much the data plane takes in at once, as workers read it. A value in the Snapshot.
#pragma once

#include <cstdint>

namespace lf::admission {

struct Table {
  bool enabled = false;
  uint64_t hard_limit = 1;  // commands in flight and waiting
  bool operator==(const Table&) const = default;
};

}  // namespace lf::admission
