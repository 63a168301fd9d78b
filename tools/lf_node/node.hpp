// SPDX-License-Identifier: Apache-2.0
// The reference node: takes commands, answers them as its Behaviour says, reports on itself. One
// thread; run() returns when `stop` is set or its time is over.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <queue>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/clock.hpp"
#include "tools/common/histogram.hpp"
#include "tools/common/key_ring.hpp"
#include "tools/common/report_maker.hpp"
#include "tools/common/udp.hpp"
#include "tools/lf_node/behaviour.hpp"
#include "tools/lf_node/control_lines.hpp"
#include "tools/lf_node/options.hpp"
#include "tools/lf_node/summary.hpp"

namespace lf::node {

class Node {
 public:
  Node(const Options& options, std::atomic<bool>& stop);

  Result<void> open();
  void run();

  // "set capacity 300", "get", "stop"; the answer is one line.
  std::string obey(std::string_view line);

  const Summary& summary() const { return summary_; }
  const SeenCommands& seen() const { return seen_; }
  // Where the first socket is bound; for tests that listen on a port of the kernel's choice.
  tools::Endpoint address() const { return channels_.front().socket.local(); }

 private:
  struct Channel {
    tools::UdpSocket socket;
    tools::SendQueue queue;
  };
  struct Answer {
    int64_t at_ns;
    uint64_t order;  // equal times leave in the order of arrival
    int64_t received_ns;
    lcp::Fields request;
    tools::Endpoint to;
    uint32_t channel;
    lcp::Status status;
    bool operator>(const Answer& o) const {
      return at_ns != o.at_ns ? at_ns > o.at_ns : order > o.order;
    }
  };

  void receive_all();
  void take(uint32_t channel, std::span<const uint8_t> datagram, const tools::Endpoint& from,
            int64_t now);
  bool authentic(std::span<const uint8_t> datagram, const lcp::Fields& fields);
  void take_command(uint32_t channel, const lcp::Fields& fields, const tools::Endpoint& from,
                    int64_t now);
  void answer_probe(uint32_t channel, const lcp::Fields& fields, const tools::Endpoint& from);
  void answer_due(int64_t now);
  void answer(const Answer& a, int64_t now);
  void sign_like(const lcp::Fields& request, std::span<uint8_t> datagram);
  std::span<uint8_t> add(Channel& channel, const tools::Endpoint& to, uint32_t size);
  void flush();
  void follow_script(int64_t now);
  void report(int64_t now);
  void wait();
  double chance() { return std::uniform_real_distribution<double>()(random_); }

  Options options_;
  std::atomic<bool>& stop_;
  SystemClock clock_;
  tools::KeyRing keys_;
  Behaviour behaviour_;
  Server server_;
  std::mt19937_64 random_;
  std::optional<tools::ReportMaker> reports_;
  ControlLines control_;
  std::vector<Channel> channels_;  // one for each --listen, and one for --reply-from
  uint32_t reply_channel_ = 0;     // of --reply-from, else not used
  tools::Receiver receiver_;
  std::priority_queue<Answer, std::vector<Answer>, std::greater<>> answers_;
  uint64_t order_ = 0;
  Summary summary_;
  SeenCommands seen_;

  int64_t start_ns_ = 0, next_report_ns_ = 0, last_report_ns_ = 0;
  size_t script_at_ = 0;
  // since the last report
  uint64_t ok_ = 0, failed_ = 0, worked_off_ = 0;
  tools::Histogram service_;
};

}  // namespace lf::node
