// SPDX-License-Identifier: Apache-2.0
// How large a table may be that is looked at for almost every packet and stays in the second-level
// cache by that alone, beside all that a packet brings with it. What will be read of it need not be
// asked for ahead: an access waits some ten cycles at most, which others fill.
#pragma once

#include <cstddef>

namespace lf {

inline constexpr size_t kStaysInCache = 32 << 10;

}  // namespace lf
