// SPDX-License-Identifier: Apache-2.0
// Values as an engineer writes them in YAML: "100ms", "512M", "600/min", "192.0.2.1/24", "0,2-5".
// Each parser takes the scalar's text and gives the value, or says in a few words what would be
// right. Pure functions; shared by the loader and by lfctl-facing commands that take such text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "control/base/address.hpp"
#include "control/base/suggest.hpp"
#include "control/config/config.hpp"

namespace lf::config {

template <typename T>
using Parsed = tl::expected<T, std::string>;  // the error completes "VALUE …"

Parsed<int64_t> parse_integer(std::string_view text);
Parsed<double> parse_number(std::string_view text);
Parsed<bool> parse_bool(std::string_view text);
// A number with us, ms, s, min, h or d; a bare 0. In microseconds.
Parsed<uint64_t> parse_duration_us(std::string_view text);
// A number with K, M or G (powers of 1024; "iB" and "B" may follow). In bytes.
Parsed<uint64_t> parse_size(std::string_view text);
// "600/min", "10/s", "unlimited" (-1). Commands per minute.
Parsed<int64_t> parse_rate_per_minute(std::string_view text);
Parsed<Prefix> parse_prefix(std::string_view text);  // host bits are kept
Parsed<std::array<uint8_t, 6>> parse_mac(std::string_view text);
// Text as it is, or any bytes as "hex:00ff10"; at most 512.
Parsed<std::string> parse_bytes(std::string_view text);
Parsed<std::array<uint8_t, 16>> parse_key(std::string_view text);  // 32 hexadecimal digits
// "0,2-5": ascending numbers, none twice, at most 1024.
Parsed<std::vector<uint32_t>> parse_cpus(std::string_view text);
// "2026-01-01T00:00:00Z", an offset or none (UTC). Unix microseconds.
Parsed<int64_t> parse_time_us(std::string_view text);

// Each in the form that its parser reads; the largest unit that stays exact.
std::string format_duration_us(uint64_t us);
std::string format_size(uint64_t bytes);
std::string format_rate(int64_t per_minute);
std::string format_prefix(const Prefix& prefix);

}  // namespace lf::config
