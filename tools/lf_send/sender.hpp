// SPDX-License-Identifier: Apache-2.0
// One thread of lf-send: sockets, pace, commands and what became of them. run() returns when all
// is sent and settled, or when `stop` is set.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "control/base/clock.hpp"
#include "tools/common/udp.hpp"
#include "tools/lf_send/command_source.hpp"
#include "tools/lf_send/options.hpp"
#include "tools/lf_send/pacer.hpp"
#include "tools/lf_send/results.hpp"
#include "tools/lf_send/tracker.hpp"

namespace lf::send {

class Sender {
 public:
  // `options` are this thread's: its share of rate and count.
  Sender(const Options& options, uint64_t run, uint16_t thread, const std::atomic<bool>& stop);

  Result<void> open();
  void run();

  const Results& results() const { return results_; }
  const Tracker& tracker() const { return tracker_; }
  const CommandSource& source() const { return source_; }

 private:
  // A socket and what waits to leave by it. For each of --sockets one of every address family.
  struct Channel {
    tools::UdpSocket socket;
    tools::SendQueue queue;
  };
  struct Later {
    int64_t due_ns;
    uint64_t number;
  };

  void send_new(int64_t now);
  void send_duplicates(int64_t now);
  void send_retries(int64_t now);
  void put(uint64_t number, uint8_t attempt, uint64_t socket);
  void flush();
  void receive_all();
  void take(std::span<const uint8_t> datagram, int64_t now);
  void wait(int64_t now);
  void show(int64_t now);
  bool settled(int64_t now) const;
  Channel& channel(const tools::Endpoint& target, uint64_t socket);
  Second& second_of(int64_t now);

  Options options_;
  const std::atomic<bool>& stop_;
  SystemClock clock_;
  CommandSource source_;
  Tracker tracker_;
  Pacer pacer_;
  Results results_;
  std::vector<Channel> channels_;
  uint32_t families_ = 0;
  bool has_v4_ = false;
  tools::Receiver receiver_;
  std::deque<Later> duplicates_;
  int64_t start_ns_ = 0, last_new_ns_ = 0;
  UnixUs start_unix_us_ = 0;
  int64_t shown_ = 0;  // seconds that --live has printed
};

}  // namespace lf::send
