// SPDX-License-Identifier: Apache-2.0
// A burst's metadata for the loops of stages. Where the compiler sees that it is part of the burst,
// GCC 12 works out the address of each field anew from burst and position, two to five
// instructions a field; from a pointer of unknown origin it does so once a packet.
#pragma once

#include "dataplane/core/burst.hpp"

namespace lf {

inline Meta* metas(Burst& burst) noexcept {
  Meta* first = burst.meta;
  asm("" : "+r"(first));
  return first;
}
inline const Meta* metas(const Burst& burst) noexcept {
  const Meta* first = burst.meta;
  asm("" : "+r"(first));
  return first;
}

}  // namespace lf
