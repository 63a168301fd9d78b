// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/tsc_rate.hpp"

#include <rte_cycles.h>
#include <time.h>

#include <limits>

#include "dataplane/core/types.hpp"

namespace lf::daemon {
namespace {

constexpr long kApartNs = 20'000'000;
constexpr int kTries = 32;

struct Moment {
  Tsc tsc = 0;
  uint64_t ns = 0;
};

// Both clocks at one moment: of several readings the one that took least, so that no interrupt or
// other program came in between.
Moment read_both() {
  Moment best;
  Tsc shortest = std::numeric_limits<Tsc>::max();
  for (int i = 0; i < kTries; ++i) {
    timespec t;
    const Tsc before = rte_rdtsc_precise();
    clock_gettime(CLOCK_MONOTONIC, &t);
    const Tsc took = rte_rdtsc_precise() - before;
    if (took >= shortest) continue;
    shortest = took;
    best = {before + took / 2,
            static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec)};
  }
  return best;
}

}  // namespace

uint64_t measure_tsc_hz() {
  const Moment begin = read_both();
  const timespec wait{0, kApartNs};
  nanosleep(&wait, nullptr);
  const Moment end = read_both();
  return static_cast<uint64_t>(Int128{end.tsc - begin.tsc} * 1'000'000'000 / (end.ns - begin.ns));
}

}  // namespace lf::daemon
