// SPDX-License-Identifier: Apache-2.0
// What is wrong with a row of a batch: eight bytes while the batch is worked on, texts when
// somebody asks. The texts and their order are those of docs/intake.md; every word of them is in
// fault.cpp. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lf::intake {

inline constexpr size_t kRowBytesMax = 1u << 20;
inline constexpr uint32_t kDepthMax = 64;  // arrays and objects in each other, the row included

// Fields that every command has, sorted: a bit each in Shape::present.
inline constexpr std::string_view kRequired[] = {
    "command_id", "deadline", "intent", "issued_by", "satellite_id", "signature", "trace_id"};
inline constexpr uint8_t kAllRequired = 0x7f;

// Of those, the ones that must be strings, in the order of their messages: a bit in not_text.
inline constexpr std::string_view kTexts[] = {"intent", "signature", "command_id", "satellite_id"};

// Which fields a command has, and which of them are of the wrong kind.
struct Shape {
  uint8_t present = 0;
  uint8_t not_text = 0;
  bool operator==(const Shape&) const = default;
};

// The messages about a command's shape; none when it is right.
std::vector<std::string> validate_command_shape(const Shape& shape);

enum class FaultKind : uint8_t {
  none,
  too_long,
  not_utf8,
  too_deep,
  not_json,
  not_object,
  shape,
  deadline,
  annotations,
  payload,
  expired,
  org,
};

enum class DeadlineFault : uint8_t { none, neither_text_nor_number, not_iso8601, out_of_range };

struct Fault {
  uint32_t row = 0;
  FaultKind kind = FaultKind::none;
  DeadlineFault deadline = DeadlineFault::none;
  Shape shape;
};
static_assert(sizeof(Fault) == 8);

// "row N: message"; several for a shape with several faults.
std::vector<std::string> texts_of(const Fault& fault);

}  // namespace lf::intake
