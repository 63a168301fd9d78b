// SPDX-License-Identifier: Apache-2.0
// How fast the TSC counts. DPDK's own figure is rounded to 10 MHz: two in a thousand off at
// 2.445 GHz, which makes a delay of 2.56 s five milliseconds longer, or a quota's minute shorter
// than a minute. Thread: main, at start; it takes 20 ms.
#pragma once

#include <cstdint>

namespace lf::daemon {

// Ticks a second by CLOCK_MONOTONIC, to a few millionths.
uint64_t measure_tsc_hz();

}  // namespace lf::daemon
