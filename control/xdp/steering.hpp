// SPDX-License-Identifier: Apache-2.0
// XDP steering as the daemon runs it: one Program for each af_xdp port, the deny list that all of
// them share, the control socket's methods and the counters. Must go before the ports do.
// Thread: control.
#pragma once

#include <memory>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/event_loop.hpp"
#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/metrics/stats_view.hpp"
#include "control/ports/port_set.hpp"
#include "control/rpc/command.hpp"
#include "control/xdp/deny_list.hpp"
#include "control/xdp/program.hpp"
#include "control/xdp/push.hpp"

namespace lf::xdp {

class Steering {
 public:
  // A neighbour's answer on a DPDK port, of which the kernel got the original.
  using Heard = std::function<void(uint16_t port, std::span<const uint8_t> frame)>;

  // The ports are started. Without an af_xdp port among them there is nothing to steer.
  static Result<std::unique_ptr<Steering>> start(const config::Config& config,
                                                 const std::vector<ports::PortInfo>& ports,
                                                 std::shared_ptr<const parse::Table> table,
                                                 EventLoop& loop, Heard heard);
  ~Steering();
  Steering(const Steering&) = delete;
  Steering& operator=(const Steering&) = delete;

  // Whether configure() could follow; changes nothing.
  Result<void> check(const config::Config& config, const parse::Table& table) const;
  void configure(const config::Config& config, std::shared_ptr<const parse::Table> table);
  // Once a second: follows the kernel's addresses, and pushes prefixes (push.hpp).
  void tick_second(MonoNs now, const Pusher::StandingOf& standing_of);

  std::vector<rpc::Command> commands();
  void add_to(metrics::StatsView& view) const;

 private:
  struct Steered {
    SteeredPort port;
    std::string name;  // of the configuration
    std::unique_ptr<Program> program;
  };

  explicit Steering(EventLoop& loop) : loop_(loop), denials_(LF_XDP_DENY_MAX) {}
  void follow_host();
  void push(MonoNs now, const Pusher::StandingOf& standing_of);
  Result<void> fill();
  Result<void> apply(const DenyChange& change);
  Result<rpc::Json> change(const rpc::Json& params,
                           Result<DenyChange> (DenyList::*step)(const config::Prefix&));
  Result<rpc::Json> allow(const rpc::Json& params);
  rpc::Json list() const;

  EventLoop& loop_;
  std::vector<Steered> steered_;
  std::shared_ptr<const parse::Table> table_;
  std::vector<HostAddress> host_;
  DenyList denials_;
  Pusher pusher_;
  std::vector<Pushed> pushed_;  // as of the last second
  MonoNs pushed_at_ = 0;
};

}  // namespace lf::xdp
