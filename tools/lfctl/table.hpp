// SPDX-License-Identifier: Apache-2.0
// Tables, bars and colours for a terminal. Pure: everything becomes a string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lf::ctl {

enum class Colour : uint8_t { none, green, yellow, red, dim, bold };

struct Cell {
  std::string text;  // UTF-8
  Colour colour = Colour::none;
  bool right = false;  // alignment
};

class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  // Columns as wide as needed, two spaces between them. A column's heading is aligned as its cells.
  std::string to_text(bool colours) const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<Cell>> rows_;
};

// A number of this many columns filled to `share` (0..1) with block characters, eighths included.
std::string bar(double share, unsigned columns);
std::string painted(std::string_view text, Colour colour, bool colours);
// 1234567 as 1,234,567.
std::string grouped(uint64_t value);
// At most three digits before the point, with k, M or G: 12.3k.
std::string compact(double value);
// Columns that a text takes, taking each code point as one.
size_t width_of(std::string_view text);

}  // namespace lf::ctl
