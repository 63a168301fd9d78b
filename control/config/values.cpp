// SPDX-License-Identifier: Apache-2.0
#include "control/config/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace lf::config {
namespace {

tl::unexpected<std::string> no(std::string why) {
  return tl::unexpected(std::move(why));
}

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr Unit kDurations[] = {{"us", 1},           {"ms", 1'000},        {"s", 1'000'000},
                               {"min", 60'000'000}, {"h", 3'600'000'000}, {"d", 86'400'000'000}};
constexpr Unit kSizes[] = {{"", 1}, {"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}};

// A decimal number (a fraction is allowed) before its unit; the rest is left in `unit`.
Parsed<double> number_and_unit(std::string_view text, std::string_view& unit) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (error != std::errc{} || value < 0 || !std::isfinite(value)) return no("is not a number");
  unit = std::string_view(rest, static_cast<size_t>(end - rest));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return value;
}

Parsed<uint64_t> scaled(double value, uint64_t factor) {
  const double product = value * static_cast<double>(factor);
  if (product > 9e18) return no("is too large");
  const double rounded = std::round(product);
  if (std::abs(product - rounded) > 1e-6 * std::max(1.0, product))
    return no("is finer than the unit allows");
  return static_cast<uint64_t>(rounded);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Parsed<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range) return no("is out of range");
  if (error != std::errc{} || rest != end) return no("is not a whole number");
  return value;
}

Parsed<double> parse_number(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end || !std::isfinite(value)) return no("is not a number");
  return value;
}

Parsed<bool> parse_bool(std::string_view text) {
  for (const auto word : {"true", "yes", "on"})
    if (text == word) return true;
  for (const auto word : {"false", "no", "off"})
    if (text == word) return false;
  return no("is neither true nor false");
}

Parsed<uint64_t> parse_duration_us(std::string_view text) {
  std::string_view unit;
  const auto value = number_and_unit(text, unit);
  if (!value) return no("is not a duration such as 100ms, 5s or 2min");
  if (unit.empty() && *value == 0) return 0;
  for (const Unit& u : kDurations)
    if (unit == u.name) return scaled(*value, u.factor);
  return no(unit.empty() ? "has no unit: write us, ms, s, min, h or d after it"
                         : "is not a duration such as 100ms, 5s or 2min");
}

Parsed<uint64_t> parse_size(std::string_view text) {
  std::string_view unit;
  const auto value = number_and_unit(text, unit);
  if (!value) return no("is not a size such as 64K, 512M or 2G");
  if (unit.ends_with("iB")) unit.remove_suffix(2);
  if (unit.ends_with("B")) unit.remove_suffix(1);
  for (const Unit& u : kSizes)
    if (unit == u.name) return scaled(*value, u.factor);
  return no("is not a size such as 64K, 512M or 2G");
}

Parsed<int64_t> parse_rate_per_minute(std::string_view text) {
  if (text == "unlimited") return -1;
  constexpr auto kWhat = "is not a rate such as 600/min, 10/s or unlimited";
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return no(kWhat);
  std::string_view number = text.substr(0, slash), unit = text.substr(slash + 1);
  while (number.ends_with(' ')) number.remove_suffix(1);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const auto value = parse_integer(number);
  if (!value || *value < 0) return no(kWhat);
  if (*value > 1'000'000'000'000) return no("is too large");
  if (unit == "min") return *value;
  if (unit == "s") return *value * 60;
  return no(kWhat);
}

Parsed<Prefix> parse_prefix(std::string_view text) {
  constexpr auto kWhat = "is not an address with a prefix length such as 192.0.2.1/24";
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return no(kWhat);
  const auto address = parse_address(text.substr(0, slash));
  const auto length = parse_integer(text.substr(slash + 1));
  if (!address || !length) return no(kWhat);
  const int64_t longest = address->ip_version == 4 ? 32 : 128;
  if (*length < 0 || *length > longest)
    return no(fmt::format("has a prefix length outside 0..{}", longest));
  return Prefix{address->address, static_cast<uint8_t>(*length), address->ip_version};
}

Parsed<std::array<uint8_t, 6>> parse_mac(std::string_view text) {
  std::array<uint8_t, 6> mac{};
  constexpr auto kWhat = "is not a MAC address such as 02:00:5e:10:00:01";
  if (text.size() != 17) return no(kWhat);
  for (size_t i = 0; i < 6; ++i) {
    const int high = hex_digit(text[i * 3]), low = hex_digit(text[i * 3 + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':')) return no(kWhat);
    mac[i] = static_cast<uint8_t>(high << 4 | low);
  }
  if (mac[0] & 1) return no("is a multicast MAC address");
  return mac;
}

Parsed<std::string> parse_bytes(std::string_view text) {
  constexpr std::string_view kHex = "hex:";
  constexpr size_t kBytesMax = 512;
  std::string bytes(text);
  if (text.starts_with(kHex)) {
    text.remove_prefix(kHex.size());
    if (text.size() % 2 != 0) return no("has half a byte; a byte is two hexadecimal digits");
    bytes.clear();
    for (size_t i = 0; i < text.size(); i += 2) {
      const int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
      if (high < 0 || low < 0)
        return no(fmt::format("has a byte \"{}\" that is not hexadecimal", text.substr(i, 2)));
      bytes.push_back(static_cast<char>(high << 4 | low));
    }
  }
  if (bytes.size() > kBytesMax) return no(fmt::format("has more than {} bytes", kBytesMax));
  return bytes;
}

Parsed<std::array<uint8_t, 16>> parse_key(std::string_view text) {
  if (text.size() != 32)
    return no(fmt::format("has {} characters; a key is 32 hexadecimal digits", text.size()));
  std::array<uint8_t, 16> key{};
  for (size_t i = 0; i < key.size(); ++i) {
    const int high = hex_digit(text[i * 2]), low = hex_digit(text[i * 2 + 1]);
    if (high < 0 || low < 0)
      return no(fmt::format("has a character at position {} that is not a hexadecimal digit",
                            i * 2 + (high < 0 ? 1 : 2)));
    key[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return key;
}

Parsed<std::vector<uint32_t>> parse_cpus(std::string_view text) {
  constexpr auto kWhat = "is not a list of CPUs such as 1,3 or 2-5";
  constexpr int64_t kCpusMax = 1024;
  std::vector<uint32_t> cpus;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const size_t dash = item.find('-');
    const auto first = parse_integer(item.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_integer(item.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last >= kCpusMax) return no(kWhat);
    for (int64_t cpu = *first; cpu <= *last; ++cpu) {
      if (!cpus.empty() && static_cast<uint32_t>(cpu) <= cpus.back())
        return no("is not in ascending order, or names a CPU twice");
      cpus.push_back(static_cast<uint32_t>(cpu));
    }
    if (comma == std::string_view::npos) return cpus;
    text.remove_prefix(comma + 1);
  }
}

Parsed<int64_t> parse_time_us(std::string_view text) {
  constexpr auto kWhat = "is not a time such as 2026-01-31T12:00:00Z";
  const std::string copy(text);
  std::tm tm{};
  int used = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon,
                  &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
      used != 19)
    return no(kWhat);
  if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
      tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60 ||
      tm.tm_year < 1970)
    return no(kWhat);
  int64_t offset_s = 0;
  const std::string rest = copy.substr(19);
  if (!rest.empty() && rest != "Z") {
    int hours = 0, minutes = 0, taken = 0;
    char sign = 0;
    if (std::sscanf(rest.c_str(), "%c%2d:%2d%n", &sign, &hours, &minutes, &taken) != 3 ||
        taken != static_cast<int>(rest.size()) || (sign != '+' && sign != '-') || hours > 23 ||
        hours < 0 || minutes < 0 || minutes > 59)
      return no(kWhat);
    offset_s = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  }
  const int day = tm.tm_mday;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  const int64_t seconds = ::timegm(&tm);
  if (tm.tm_mday != day) return no("names a day that its month does not have");
  return (seconds - offset_s) * 1'000'000;
}

std::string format_duration_us(uint64_t us) {
  if (us == 0) return "0";
  for (size_t i = std::size(kDurations); i-- > 0;)
    if (us % kDurations[i].factor == 0)
      return fmt::format("{}{}", us / kDurations[i].factor, kDurations[i].name);
  return fmt::format("{}us", us);
}

std::string format_size(uint64_t bytes) {
  if (bytes == 0) return "0";
  for (size_t i = std::size(kSizes); i-- > 0;)
    if (bytes % kSizes[i].factor == 0)
      return fmt::format("{}{}", bytes / kSizes[i].factor, kSizes[i].name);
  return fmt::format("{}", bytes);
}

std::string format_rate(int64_t per_minute) {
  return per_minute < 0 ? "unlimited" : fmt::format("{}/min", per_minute);
}

std::string format_prefix(const Prefix& prefix) {
  return fmt::format("{}/{}", format_address(prefix.address), prefix.length);
}

}  // namespace lf::config
