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

// Calls f(Meta&) for those of a selection, in their order, until it returns false; tells whether it
// never did. A selection is mostly a run of neighbours: then there is nothing to look up, three
// instructions a packet less. f should be always_inline: its code is there twice.
template <typename F>
[[gnu::always_inline]] inline bool while_each(Burst& burst, const Selection& live, F&& f) noexcept {
  Meta* const all = metas(burst);
  const uint32_t count = live.count;
  if (count == 0) return true;
  if (is_run(live)) [[likely]] {
    Meta* m = all + live.index[0];
    Meta* const end = m + count;
    do
      if (!f(*m)) return false;
    while (++m != end);
    return true;
  }
  for (uint32_t k = 0; k < count; ++k)
    if (!f(all[live.index[k]])) return false;
  return true;
}
// The same for all of them.
template <typename F>
[[gnu::always_inline]] inline void for_each(Burst& burst, const Selection& live, F&& f) noexcept {
  Meta* const all = metas(burst);
  const size_t count = live.count;
  if (count == 0) return;
  if (is_run(live)) [[likely]] {
    Meta* const first = all + live.index[0];
#pragma GCC unroll 4
    for (size_t k = 0; k < count; ++k) f(first[k]);
    return;
  }
  for (size_t k = 0; k < count; ++k) f(all[live.index[k]]);
}

// Where in its burst.
inline uint8_t position_of(const Burst& burst, const Meta& m) noexcept {
  return static_cast<uint8_t>(&m - burst.meta);
}

}  // namespace lf
