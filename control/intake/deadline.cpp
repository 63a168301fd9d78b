// SPDX-License-Identifier: Apache-2.0
#include "control/intake/deadline.hpp"

#include <cmath>
#include <optional>

namespace lf::intake {
namespace {

constexpr int64_t kUsPerSecond = 1'000'000;
constexpr int64_t kFirstSecond = -62'135'596'800;  // 0001-01-01
constexpr int64_t kLastSecond = 253'402'300'799;   // 9999-12-31T23:59:59

// Reads a text from the left; every function says whether what it wanted was there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool at_end() const { return at_ == end_; }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool take_any(std::string_view some) {
    if (at_ == end_ || some.find(*at_) == std::string_view::npos) return false;
    ++at_;
    return true;
  }
  // Exactly `digits` of them, at most `max`.
  bool number(int digits, int max, int& value) {
    if (end_ - at_ < digits) return false;
    value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      if (*at_ < '0' || *at_ > '9') return false;
      value = value * 10 + (*at_ - '0');
    }
    return value <= max;
  }
  // One digit or more, as microseconds.
  bool fraction_us(int& value) {
    int digits = 0;
    for (value = 0; at_ != end_ && *at_ >= '0' && *at_ <= '9'; ++at_, ++digits)
      if (digits < 6) value = value * 10 + (*at_ - '0');
    for (int left = digits; left < 6; ++left) value *= 10;
    return digits != 0;
  }
  bool is_digit() const { return at_ != end_ && *at_ >= '0' && *at_ <= '9'; }

 private:
  const char* at_;
  const char* end_;
};

bool is_leap(int year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int days_in(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDays[month - 1];
}

// Since 1970-01-01, in the Gregorian calendar.
int64_t days_since_epoch(int year, int month, int day) {
  const int64_t y = month <= 2 ? year - 1 : year;
  const int64_t era = y / 400, of_era = y - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

std::optional<int64_t> date_days(Scanner& in, bool& extended) {
  int year = 0, month = 0, day = 0;
  if (!in.number(4, 9999, year) || year == 0) return {};
  extended = in.take('-');
  if (!in.number(2, 12, month) || month == 0) return {};
  if (extended && !in.take('-')) return {};
  if (!in.number(2, days_in(year, month), day) || day == 0) return {};
  return days_since_epoch(year, month, day);
}

// hh[:mm[:ss[.fraction]]], or without the colons.
std::optional<int64_t> time_us(Scanner& in, bool extended) {
  int hours = 0, minutes = 0, seconds = 0, us = 0;
  if (!in.number(2, 23, hours)) return {};
  if (extended ? in.take(':') : in.is_digit()) {
    if (!in.number(2, 59, minutes)) return {};
    if (extended ? in.take(':') : in.is_digit()) {
      if (!in.number(2, 59, seconds)) return {};
      if (in.take_any(".,") && !in.fraction_us(us)) return {};
    }
  }
  return (hours * 3600 + minutes * 60 + seconds) * kUsPerSecond + us;
}

// East of UTC; nothing: UTC.
std::optional<int64_t> offset_us(Scanner& in) {
  if (in.at_end() || in.take_any("Zz")) return 0;
  const bool west = in.take('-');
  if (!west && !in.take('+')) return {};
  int hours = 0, minutes = 0;
  if (!in.number(2, 23, hours)) return {};
  if (in.take(':') || in.is_digit())
    if (!in.number(2, 59, minutes)) return {};
  const int64_t us = (hours * 3600 + minutes * 60) * kUsPerSecond;
  return west ? -us : us;
}

Deadline fault(DeadlineFault which) {
  return {0, which};
}

Deadline in_range(int64_t unix_us) {
  if (unix_us < kFirstSecond * kUsPerSecond || unix_us >= (kLastSecond + 1) * kUsPerSecond)
    return fault(DeadlineFault::out_of_range);
  return {unix_us, DeadlineFault::none};
}

}  // namespace

Deadline deadline_of(std::string_view iso8601) noexcept {
  Scanner in(iso8601);
  bool extended = false;
  const auto days = date_days(in, extended);
  if (!days) return fault(DeadlineFault::not_iso8601);
  int64_t us = *days * 86'400 * kUsPerSecond;
  if (in.take_any("Tt ")) {
    const auto time = time_us(in, extended);
    const auto offset = time ? offset_us(in) : std::nullopt;
    if (!offset) return fault(DeadlineFault::not_iso8601);
    us += *time - *offset;
  }
  if (!in.at_end()) return fault(DeadlineFault::not_iso8601);
  return in_range(us);
}

Deadline deadline_of(int64_t unix_s) noexcept {
  if (unix_s < kFirstSecond || unix_s > kLastSecond) return fault(DeadlineFault::out_of_range);
  return {unix_s * kUsPerSecond, DeadlineFault::none};
}

Deadline deadline_of(double unix_s) noexcept {
  if (!(unix_s >= static_cast<double>(kFirstSecond) && unix_s <= static_cast<double>(kLastSecond)))
    return fault(DeadlineFault::out_of_range);
  return in_range(std::llround(unix_s * 1e6));
}

}  // namespace lf::intake
