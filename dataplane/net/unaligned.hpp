// SPDX-License-Identifier: Apache-2.0
// 16-bit words of a packet wherever they lie, in wire order as they are. For workers.
#pragma once

#include <cstdint>
#include <cstring>

namespace lf::net {

inline uint16_t load16(const uint8_t* p) noexcept {
  uint16_t v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
inline void store16(uint8_t* p, uint16_t v) noexcept {
  std::memcpy(p, &v, sizeof(v));
}

}  // namespace lf::net
