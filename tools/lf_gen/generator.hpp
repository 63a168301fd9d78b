// SPDX-License-Identifier: Apache-2.0
// The loop of lf-gen: sends what is due through the first port, takes what comes in on all of them,
// answers as the nodes do, and keeps the books. One thread, no system calls while a trial runs but
// those of the ports' drivers.
#pragma once

#include <rte_mbuf.h>

#include <atomic>

#include "tools/lf_gen/flights.hpp"
#include "tools/lf_gen/frames.hpp"
#include "tools/lf_gen/options.hpp"
#include "tools/lf_gen/ports.hpp"
#include "tools/lf_gen/results.hpp"

namespace lf::gen {

class Generator {
 public:
  Generator(const Options& options, const Ports& ports, uint64_t run,
            const std::atomic<bool>& stop);

  // Sends, then waits for what is on its way.
  Results run(const Trial& trial);
  // One turn without sending: what a waiting generator does. Returns how many frames came in.
  uint32_t receive_all();

 private:
  void send(const Trial& trial, class Pace& pace, uint64_t now);
  uint32_t fill(const Trial& trial, uint32_t count, uint64_t now);
  void take(const Port& port, rte_mbuf* m, uint64_t now);
  void answer(const Port& port, const rte_mbuf* m, const Recognised& seen);
  void note(Arrivals& arrivals, Point point, const Recognised& r, uint64_t now);
  void transmit_answers(const Port& port);
  bool all_back() const;

  const Options& options_;
  const Ports& ports_;
  const std::atomic<bool>& stop_;
  Maker maker_;
  Flights flights_;
  Results results_;
  uint64_t next_ = 0;   // number of the next frame; never goes back
  uint64_t first_ = 0;  // of this trial
  double ns_per_tick_;
  rte_mbuf* waiting_[kFramesMax];  // made, not yet taken by the port (rate 0 only)
  uint32_t waiting_count_ = 0;
  rte_mbuf* answers_[kFramesMax];
  uint32_t answers_count_ = 0;
};

}  // namespace lf::gen
