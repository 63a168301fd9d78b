// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_agent/cpu_pressure.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "tools/common/text.hpp"

namespace lf::agent {
namespace {

// Both files say what is wanted in their first line.
std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

std::string_view name(CpuSource source) {
  switch (source) {
    case CpuSource::psi:
      return "psi";
    case CpuSource::run_queue:
      return "run-queue";
    case CpuSource::none:
      break;
  }
  return "none";
}

std::optional<double> parse_psi(std::string_view text) {
  // some avg10=20.28 avg60=9.82 avg300=9.86 total=16457982233
  constexpr std::string_view kAverage = "avg10=";
  const auto words = tools::split(text.substr(0, text.find('\n')), ' ');
  if (words.size() < 2 || words[0] != "some" || !words[1].starts_with(kAverage))
    return std::nullopt;
  const auto percent = tools::parse_decimal(words[1].substr(kAverage.size()));
  if (!percent) return std::nullopt;
  return std::min(*percent / 100, 1.0);
}

std::optional<double> parse_run_queue(std::string_view text, uint32_t cpus, uint32_t own) {
  // 0.20 0.18 0.12 3/80 11206
  const auto words = tools::split(text.substr(0, text.find('\n')), ' ');
  if (words.size() != 5) return std::nullopt;
  const auto running = tools::parse_number(words[3].substr(0, words[3].find('/')), UINT32_MAX);
  if (!running) return std::nullopt;
  const uint64_t work = *running > own ? *running - own : 0;
  return work > cpus ? 1 - static_cast<double>(cpus) / static_cast<double>(work) : 0;
}

CpuPressure::CpuPressure()
    : cpus_(static_cast<uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)))) {
  for (const CpuSource source : {CpuSource::run_queue, CpuSource::psi})
    if (read(source)) source_ = source;
}

double CpuPressure::read() const {
  return read(source_).value_or(0);
}

std::optional<double> CpuPressure::read(CpuSource source) const {
  switch (source) {
    case CpuSource::psi:
      return parse_psi(first_line("/proc/pressure/cpu"));
    case CpuSource::run_queue:
      return parse_run_queue(first_line("/proc/loadavg"), cpus_);
    case CpuSource::none:
      break;
  }
  return std::nullopt;
}

}  // namespace lf::agent
