// SPDX-License-Identifier: Apache-2.0
// lf-agent's loop: at each interval a reading, and a REPORT of what stands in it and in the one
// before. One thread; run() returns when `stop` is set or the time is over.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "control/base/clock.hpp"
#include "tools/common/report_maker.hpp"
#include "tools/lf_agent/options.hpp"
#include "tools/lf_agent/render.hpp"
#include "tools/lf_agent/socket_reader.hpp"

namespace lf::agent {

class Agent {
 public:
  Agent(const Options& options, std::atomic<bool>& stop);

  Result<void> open();
  Result<void> run();

 private:
  struct Target {
    tools::Endpoint endpoint;
    tools::UdpSocket socket;
  };

  Result<void> read();  // into reading_, report_
  void send();
  void tell_changes();
  bool sleep_until(MonoNs at) const;  // false: it is time to end

  Options options_;
  std::atomic<bool>& stop_;
  SystemClock clock_;
  CpuPressure cpu_;
  std::unique_ptr<SocketReader> sockets_;
  std::optional<tools::ReportMaker> reports_;
  std::vector<Target> targets_;
  Reading reading_;
  std::optional<Signals> before_;
  std::optional<lcp::Report> report_;  // from the second reading on
  bool was_degraded_ = false;
  bool was_refused_ = false;
};

}  // namespace lf::agent
