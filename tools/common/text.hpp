// SPDX-License-Identifier: Apache-2.0
// Small formats on the command lines of the reference client and node.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"

namespace lf::tools {

// A whole number within limits.
Result<uint64_t> parse_number(std::string_view text, uint64_t max);
// A finite number that is not negative.
Result<double> parse_decimal(std::string_view text);

// "1", "1,2,5-9": the numbers in that order. At most a million of them.
Result<std::vector<uint32_t>> parse_list(std::string_view text, uint32_t max = 0xffffffff);

// A list of an option, and where its numbers go.
struct NumberList {
  const std::string& text;
  uint32_t max;
  std::vector<uint32_t>& numbers;
};
Result<void> parse_lists(std::span<const NumberList> lists);

// Of an option that may be repeated.
template <typename T, typename Parse>
Result<void> parse_each(std::span<const std::string> texts, std::vector<T>& to, Parse parse) {
  for (const std::string& text : texts) {
    auto value = parse(text);
    if (!value) return tl::unexpected(value.error());
    to.push_back(std::move(*value));
  }
  return {};
}

// "250ms", "10s", "2m", "1.5" (seconds): nanoseconds.
Result<int64_t> parse_duration_ns(std::string_view text);

Result<std::array<uint8_t, 16>> parse_hex16(std::string_view text);
std::string to_hex(const std::array<uint8_t, 16>& bytes);

std::string_view trim(std::string_view text);
// The pieces between separators, trimmed; empty ones are left out.
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace lf::tools
