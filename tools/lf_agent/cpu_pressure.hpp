// SPDX-License-Identifier: Apache-2.0
// How much of the time work waits for a CPU of this machine, 0..1. From pressure stall
// information (/proc/pressure/cpu: "some", average over 10 s) where the kernel has it, else from
// the run queue (/proc/loadavg: the share of the runnable tasks that no CPU is left for).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lf::agent {

enum class CpuSource : uint8_t { psi, run_queue, none };
std::string_view name(CpuSource source);

// nullopt: not such a file.
std::optional<double> parse_psi(std::string_view text);
// `own`: running tasks that are not work, for the reader of the file is one.
std::optional<double> parse_run_queue(std::string_view text, uint32_t cpus, uint32_t own = 1);

class CpuPressure {
 public:
  CpuPressure();  // takes the best source that there is now
  CpuSource source() const { return source_; }
  double read() const;  // 0 when there is no source

 private:
  std::optional<double> read(CpuSource source) const;

  uint32_t cpus_ = 1;
  CpuSource source_ = CpuSource::none;
};

}  // namespace lf::agent
