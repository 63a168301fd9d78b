// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lf::ctl {
namespace {

std::string padded(const std::string& text, size_t width, bool right) {
  const size_t have = width_of(text);
  const std::string space(width > have ? width - have : 0, ' ');
  return right ? space + text : text + space;
}

}  // namespace

size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string painted(std::string_view text, Colour colour, bool colours) {
  if (!colours || colour == Colour::none) return std::string(text);
  constexpr int kCodes[] = {0, 32, 33, 31, 2, 1};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<size_t>(colour)], text);
}

std::string Table::to_text(bool colours) const {
  std::vector<size_t> widths;
  std::vector<bool> right(headings_.size(), false);
  for (const std::string& heading : headings_) widths.push_back(width_of(heading));
  for (const auto& row : rows_)
    for (size_t i = 0; i < std::min(row.size(), widths.size()); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i].text));
      if (row[i].right) right[i] = true;
    }
  std::string out;
  const auto end_line = [&out] {
    while (out.ends_with(' ')) out.pop_back();
    out += '\n';
  };
  for (size_t i = 0; i < headings_.size(); ++i) {
    const std::string heading = padded(headings_[i], widths[i], right[i]);
    out += (i > 0 ? "  " : "") + painted(heading, Colour::bold, colours);
  }
  end_line();
  for (const auto& row : rows_) {
    for (size_t i = 0; i < std::min(row.size(), widths.size()); ++i)
      out += (i > 0 ? "  " : "") +
             painted(padded(row[i].text, widths[i], row[i].right), row[i].colour, colours);
    end_line();
  }
  return out;
}

std::string bar(double share, unsigned columns) {
  if (!std::isfinite(share)) share = 0;
  constexpr std::string_view kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths =
      static_cast<unsigned>(std::lround(std::clamp(share, 0.0, 1.0) * columns * 8));
  std::string out;
  for (unsigned i = 0; i < eighths / 8; ++i) out += "█";
  out += kEighths[eighths % 8];
  out.append(columns - (eighths + 7) / 8, ' ');
  return out;
}

std::string grouped(uint64_t value) {
  std::string digits = std::to_string(value);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string compact(double value) {
  constexpr std::string_view kUnits[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  const bool whole = unit == 0 && value == std::floor(value);
  return fmt::format("{:.{}f}{}", value, whole || std::abs(value) >= 99.95 ? 0 : 1, kUnits[unit]);
}

}  // namespace lf::ctl
