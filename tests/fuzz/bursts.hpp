// SPDX-License-Identifier: Apache-2.0
// Inputs of the fuzz targets that take bursts of frames, and how they are mutated: by whole frames
// as much as by bytes, and mostly with right checksums in the end. By chance alone no bytes make
// two commands, and none of the ways that neighbours in a burst go together would be seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/packet.hpp"

namespace lf::fuzz {

// What goes with a frame; what a target does not know it leaves out.
inline constexpr uint8_t kNextBurst = 1;     // it is the first one of its burst
inline constexpr uint8_t kOtherTable = 2;    // from its burst on, tables are the other ones
inline constexpr uint8_t kSumsGood = 4;      // so says the port
inline constexpr uint8_t kSumsBad = 8;       // likewise
inline constexpr uint8_t kPortFull = 16;     // during its burst
inline constexpr uint8_t kControlFull = 32;  // likewise

struct Item {
  uint8_t how = 0;
  uint8_t number = 0;  // of the port, or how much time passes before its burst
  test::Bytes frame;
};

struct Input {
  uint8_t setup = 0;
  std::vector<Item> items;
};

inline constexpr size_t kFrameMax = 1000;

// Any bytes are an input.
Input read(const uint8_t* data, size_t size);
// As much of it as there is room for; returns the size.
size_t write(const Input& input, uint8_t* data, size_t room);

// Commands and what else there is, to the addresses of test::world() and of the flow services at
// kVip4; ids are few, so that there are duplicates, retries, and replies to what was sent.
inline constexpr const char* kVip4 = "10.0.0.100";
const std::vector<test::Bytes>& right_frames();

// For LLVMFuzzerCustomMutator.
size_t mutate(uint8_t* data, size_t size, size_t room, unsigned seed);

}  // namespace lf::fuzz
