// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_agent/agent.hpp"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

namespace lf::agent {
namespace {

constexpr MonoNs kNapMax = 100'000'000;  // to notice `stop`

uint64_t random_number() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

std::string listed(const auto& things) {
  std::string text;
  for (const auto& thing : things) text += (text.empty() ? "" : ", ") + to_string(thing);
  return text;
}

}  // namespace

Agent::Agent(const Options& options, std::atomic<bool>& stop) : options_(options), stop_(stop) {}

Result<void> Agent::open() {
  auto sockets = SocketReader::load(options_.listen);
  if (!sockets) return tl::unexpected(sockets.error());
  sockets_ = std::move(*sockets);
  if (options_.once) return {};
  reports_.emplace(options_.owner, random_number());
  for (const tools::Endpoint& to : options_.to) {
    auto socket = tools::UdpSocket::bind(tools::any_endpoint(to.family()));
    if (!socket) return tl::unexpected(socket.error());
    targets_.push_back({to, std::move(*socket)});
  }
  if (!options_.json) {
    fmt::print("node {}: {} by BPF iterators, CPU pressure from {}; REPORTs to {} every {} ms\n",
               options_.node_id, listed(options_.listen), name(cpu_.source()), listed(options_.to),
               options_.interval_ns / 1'000'000);
    std::fflush(stdout);
  }
  return {};
}

Result<void> Agent::run() {
  const MonoNs start = clock_.mono_ns();
  const MonoNs end = options_.run_ns == INT64_MAX ? INT64_MAX : start + options_.run_ns;
  for (MonoNs at = start; at < end;) {
    if (auto done = read(); !done) return done;
    if (report_) {
      if (options_.json) fmt::print("{}\n", to_json(reading_, cpu_.source(), *report_));
      if (options_.once && !options_.json)
        fmt::print("{}", to_text(reading_, cpu_.source(), *report_));
      std::fflush(stdout);
      if (options_.once) return {};
      send();
      tell_changes();
    }
    // Keeps the beat; what was missed (the machine slept) is not made up for.
    at = std::max(at + options_.interval_ns, clock_.mono_ns());
    if (!sleep_until(std::min(at, end))) return {};
  }
  return {};
}

Result<void> Agent::read() {
  auto ports = sockets_->read();
  if (!ports) return tl::unexpected(ports.error());
  reading_ = {std::move(*ports), cpu_.read()};
  const Signals now = signals_of(reading_.ports, reading_.cpu);
  if (before_) report_ = report_of(options_.node_id, standing(*before_, now));
  before_ = now;
  return {};
}

void Agent::send() {
  const tools::ReportDatagram datagram = reports_->make(*report_, clock_.unix_us());
  bool refused = false;
  for (const Target& t : targets_) {
    if (::sendto(t.socket.fd(), datagram.data(), datagram.size(), MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&t.endpoint.storage), t.endpoint.size) >= 0)
      continue;
    refused = true;
    if (!was_refused_)
      fmt::print(stderr, "lf-agent: {}: {}\n", to_string(t.endpoint), std::strerror(errno));
  }
  was_refused_ = refused;
}

// For the log: why the node calls itself degraded, once.
void Agent::tell_changes() {
  if (report_->degraded == was_degraded_ || options_.json) return;
  was_degraded_ = report_->degraded;
  if (was_degraded_)
    fmt::print("degraded\n{}", to_text(reading_, cpu_.source(), *report_));
  else
    fmt::print("no longer degraded\n");
  std::fflush(stdout);
}

bool Agent::sleep_until(MonoNs at) const {
  while (!stop_.load(std::memory_order_relaxed)) {
    const MonoNs left = at - clock_.mono_ns();
    if (left <= 0) return true;
    const timespec span{0, std::min(left, kNapMax)};
    ::nanosleep(&span, nullptr);
  }
  return false;
}

}  // namespace lf::agent
