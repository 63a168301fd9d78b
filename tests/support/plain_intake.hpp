// SPDX-License-Identifier: Apache-2.0
// Batch intake as one would write it first: a row after the other, nlohmann's parser, a std::map
// for duplicates, one sort at the end. What control/intake is compared with, for its results
// (tests) and for its speed (perf/intake_bench.cpp).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/intake/names.hpp"

namespace lf::test {

struct PlainBatch {
  struct Command {
    int64_t deadline_us = 0;
    std::string command_id;
    std::string_view row;
  };
  std::vector<Command> accepted;  // in output order
  std::vector<std::string> errors;
  uint64_t rows = 0, duplicates = 0;
  size_t urgent = 0, normal = 0;
};

PlainBatch plain_intake(std::string_view text, const intake::OrgNames& orgs, int64_t now_us);

}  // namespace lf::test
