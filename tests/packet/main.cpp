// SPDX-License-Identifier: Apache-2.0
// Starts DPDK without hugepages, ports or root, then runs the tests. --several-workers: on tables
// as several workers share them, which a lone worker changes with fewer compare-and-swaps.
#include <gtest/gtest.h>
#include <rte_eal.h>

#include <cstdio>
#include <cstring>
#include <iterator>

#include "tests/packet/harness.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--several-workers") == 0) lf::test::Rig::workers = 2;
  char program[] = "packet_tests", no_huge[] = "--no-huge", no_pci[] = "--no-pci",
       no_telemetry[] = "--no-telemetry", no_shconf[] = "--no-shconf", memory[] = "-m",
       megabytes[] = "64", cores[] = "-l", core[] = "0", quiet[] = "--log-level=error";
  char* eal[] = {program, no_huge,   no_pci, no_telemetry, no_shconf,
                 memory,  megabytes, cores,  core,         quiet};
  if (rte_eal_init(static_cast<int>(std::size(eal)), eal) < 0) {
    std::fputs("packet_tests: DPDK's EAL did not start\n", stderr);
    return 1;
  }
  return RUN_ALL_TESTS();
}
