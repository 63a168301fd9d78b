// SPDX-License-Identifier: Apache-2.0
#include "tools/common/text.hpp"

#include <charconv>
#include <cmath>

namespace lf::tools {
namespace {

constexpr size_t kListMax = 1'000'000;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<uint64_t> parse_number(std::string_view text, uint64_t max) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return fail(ErrorCode::invalid, "'{}' is not a whole number", text);
  if (value > max) return fail(ErrorCode::invalid, "{} is more than {}", text, max);
  return value;
}

Result<double> parse_decimal(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
    return fail(ErrorCode::invalid, "'{}' is not a number", text);
  if (value < 0) return fail(ErrorCode::invalid, "{} is negative", text);
  return value;
}

Result<std::vector<uint32_t>> parse_list(std::string_view text, uint32_t max) {
  std::vector<uint32_t> list;
  for (const std::string_view piece : split(text, ',')) {
    const size_t dash = piece.find('-');
    const auto first = parse_number(piece.substr(0, dash), max);
    if (!first) return tl::unexpected(first.error());
    const auto last = dash == piece.npos ? first : parse_number(piece.substr(dash + 1), max);
    if (!last) return tl::unexpected(last.error());
    if (*last < *first) return fail(ErrorCode::invalid, "'{}' runs backwards", piece);
    if (list.size() + (*last - *first) >= kListMax)
      return fail(ErrorCode::invalid, "'{}' has more than {} numbers", text, kListMax);
    for (uint64_t n = *first; n <= *last; ++n) list.push_back(static_cast<uint32_t>(n));
  }
  if (list.empty()) return fail(ErrorCode::invalid, "an empty list");
  return list;
}

Result<void> parse_lists(std::span<const NumberList> lists) {
  for (const NumberList& l : lists) {
    auto numbers = parse_list(l.text, l.max);
    if (!numbers) return tl::unexpected(numbers.error());
    l.numbers = std::move(*numbers);
  }
  return {};
}

Result<int64_t> parse_duration_ns(std::string_view text) {
  double unit = 1e9;
  std::string_view number = text;
  const auto ends = [&](std::string_view suffix, double ns) {
    if (!number.ends_with(suffix)) return false;
    number.remove_suffix(suffix.size());
    unit = ns;
    return true;
  };
  if (!ends("ms", 1e6) && !ends("us", 1e3) && !ends("s", 1e9)) ends("m", 60e9);
  const auto value = parse_decimal(trim(number));
  if (!value || *value * unit > 9e18)
    return fail(ErrorCode::invalid, "'{}' is not a duration (250ms, 10s, 2m)", text);
  return static_cast<int64_t>(*value * unit);
}

Result<std::array<uint8_t, 16>> parse_hex16(std::string_view text) {
  std::array<uint8_t, 16> bytes{};
  size_t digits = 0;
  for (const char c : text) {
    if (c == '-' && digits > 0) continue;  // as in a UUID
    const int digit = hex_digit(c);
    if (digit < 0 || digits == 32)
      return fail(ErrorCode::invalid, "'{}' is not 16 bytes in hexadecimal", text);
    bytes[digits / 2] = static_cast<uint8_t>(bytes[digits / 2] << 4 | digit);
    ++digits;
  }
  if (digits != 32) return fail(ErrorCode::invalid, "'{}' is not 16 bytes in hexadecimal", text);
  return bytes;
}

std::string to_hex(const std::array<uint8_t, 16>& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(32);
  for (const uint8_t b : bytes) {
    text.push_back(kDigits[b >> 4]);
    text.push_back(kDigits[b & 15]);
  }
  return text;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  while (true) {
    const size_t at = text.find(separator);
    const std::string_view piece = trim(text.substr(0, at));
    if (!piece.empty()) pieces.push_back(piece);
    if (at == text.npos) return pieces;
    text.remove_prefix(at + 1);
  }
}

}  // namespace lf::tools
