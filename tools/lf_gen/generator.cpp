// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_gen/generator.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "tools/lf_gen/neighbours.hpp"
#include "tools/lf_gen/pace.hpp"

namespace lf::gen {
namespace {

uint64_t deadline_us(uint64_t deadline_ms) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count()) +
         deadline_ms * 1000;
}

std::span<const uint8_t> bytes_of(const rte_mbuf* m) {
  return {rte_pktmbuf_mtod(m, const uint8_t*), m->data_len};
}

}  // namespace

Generator::Generator(const Options& options, const Ports& ports, uint64_t run,
                     const std::atomic<bool>& stop)
    : options_(options),
      ports_(ports),
      stop_(stop),
      maker_(options.content, run, ports.ports.front().mac),
      ns_per_tick_(1e9 / static_cast<double>(rte_get_tsc_hz())) {}

// Makes `count` frames behind those that wait already; returns how many there were buffers for.
uint32_t Generator::fill(const Trial& trial, uint32_t count, uint64_t now) {
  if (count == 0) return 0;
  rte_mbuf** fresh = waiting_ + waiting_count_;
  if (rte_pktmbuf_alloc_bulk(ports_.send, fresh, count) != 0) {
    results_.no_buffer += count;
    return 0;
  }
  Frame frames[kFramesMax];
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t size = trial.sizes[(next_ + i) % trial.sizes.size()] - kCheckSequence;
    fresh[i]->data_len = static_cast<uint16_t>(size);
    fresh[i]->pkt_len = size;
    frames[i] = {rte_pktmbuf_mtod(fresh[i], uint8_t*), size};
    flights_.sent(next_ + i, now);
  }
  maker_.make({frames, count}, next_, deadline_us(options_.content.deadline_ms));
  next_ += count;
  waiting_count_ += count;
  return count;
}

void Generator::send(const Trial& trial, Pace& pace, uint64_t now) {
  uint32_t most = options_.burst - waiting_count_;
  if (trial.count != 0)
    most = static_cast<uint32_t>(std::min<uint64_t>(most, trial.count - (next_ - first_)));
  fill(trial, pace.due(now, most), now);
  if (waiting_count_ == 0) return;
  const uint16_t sent =
      rte_eth_tx_burst(ports_.ports.front().id, 0, waiting_, static_cast<uint16_t>(waiting_count_));
  results_.sent += sent;
  if (sent == waiting_count_) {
    waiting_count_ = 0;
  } else if (trial.rate > 0) {  // a wire would not wait
    results_.refused += waiting_count_ - sent;
    rte_pktmbuf_free_bulk(waiting_ + sent, waiting_count_ - sent);
    waiting_count_ = 0;
  } else {
    std::copy(waiting_ + sent, waiting_ + waiting_count_, waiting_);
    waiting_count_ -= sent;
  }
}

void Generator::note(Arrivals& arrivals, Point point, const Recognised& r, uint64_t now) {
  uint64_t sent_at = 0;
  if (!r.ours || r.number < first_) {
    ++results_.strays;
    return;
  }
  switch (flights_.seen(r.number, point, sent_at)) {
    case Seen::first:
      ++arrivals.received;
      arrivals.latency_ns.add(
          static_cast<uint64_t>(static_cast<double>(now - sent_at) * ns_per_tick_));
      return;
    case Seen::again:
      ++arrivals.duplicated;
      return;
    case Seen::unknown:
      ++results_.strays;
  }
}

void Generator::answer(const Port& port, const rte_mbuf* m, const Recognised& seen) {
  rte_mbuf* out = rte_pktmbuf_alloc(ports_.receive);
  if (out == nullptr) {
    ++results_.unanswered;
    return;
  }
  auto* bytes = rte_pktmbuf_mtod(out, uint8_t*);
  const uint32_t size = seen.kind == Kind::neighbour_request
                            ? write_neighbour_reply(bytes_of(m), port.mac, bytes)
                            : write_answer(bytes_of(m), seen, bytes);
  if (size == 0) return rte_pktmbuf_free(out);
  out->data_len = static_cast<uint16_t>(size);
  out->pkt_len = size;
  answers_[answers_count_++] = out;
}

void Generator::take(const Port& port, rte_mbuf* m, uint64_t now) {
  const Recognised r = recognise(bytes_of(m), maker_.run());
  switch (r.kind) {
    case Kind::command:
    case Kind::plain:
      note(results_.nodes, Point::node, r, now);
      if (options_.answer) answer(port, m, r);
      break;
    case Kind::probe:
      if (options_.answer) answer(port, m, r);
      break;
    case Kind::neighbour_request:
      answer(port, m, r);
      break;
    case Kind::reply:
      if (r.from_data_plane && r.ours && r.number >= first_) {
        const auto status = std::min(static_cast<size_t>(r.status), kStatuses - 1);
        ++results_.from_data_plane[status];
        break;
      }
      [[fallthrough]];
    case Kind::plain_answer:
      note(results_.answers, Point::client, r, now);
      break;
    case Kind::other:
      break;
  }
}

void Generator::transmit_answers(const Port& port) {
  if (answers_count_ == 0) return;
  const uint16_t sent =
      rte_eth_tx_burst(port.id, 0, answers_, static_cast<uint16_t>(answers_count_));
  if (sent < answers_count_) {
    results_.unanswered += answers_count_ - sent;
    rte_pktmbuf_free_bulk(answers_ + sent, answers_count_ - sent);
  }
  answers_count_ = 0;
}

uint32_t Generator::receive_all() {
  uint32_t all = 0;
  for (const Port& port : ports_.ports) {
    rte_mbuf* in[kFramesMax];
    const uint16_t count = rte_eth_rx_burst(port.id, 0, in, static_cast<uint16_t>(options_.burst));
    if (count == 0) continue;
    const uint64_t now = rte_rdtsc();
    for (uint16_t i = 0; i < count; ++i) take(port, in[i], now);
    rte_pktmbuf_free_bulk(in, count);
    transmit_answers(port);
    all += count;
  }
  return all;
}

bool Generator::all_back() const {
  const Arrivals& last = options_.answer ? results_.answers : results_.nodes;
  return last.received >= results_.sent;
}

Results Generator::run(const Trial& trial) {
  const auto hz = static_cast<double>(rte_get_tsc_hz());
  const auto ticks = [hz](double seconds) { return static_cast<uint64_t>(seconds * hz); };
  const uint64_t start = rte_rdtsc(), end = start + ticks(trial.seconds);
  Pace pace(trial.rate, hz, start, ticks(trial.catch_up_us * 1e-6), options_.burst);
  uint64_t now = start, before = start, gap = 0;
  while (now < end && (trial.count == 0 || next_ - first_ < trial.count || waiting_count_ != 0) &&
         !stop_.load(std::memory_order_relaxed)) {
    send(trial, pace, now);
    receive_all();
    before = now;
    now = rte_rdtsc();
    gap = std::max(gap, now - before);
  }
  results_.seconds = static_cast<double>(now - start) / hz;
  rte_pktmbuf_free_bulk(waiting_, waiting_count_);  // never offered
  waiting_count_ = 0;
  const uint64_t drained = now + ticks(trial.drain_ms * 1e-3);
  while (!all_back() && rte_rdtsc() < drained && !stop_.load(std::memory_order_relaxed))
    receive_all();
  results_.due = results_.sent + results_.refused;
  results_.slipped = pace.slipped();
  results_.gap_us_max = static_cast<double>(gap) * ns_per_tick_ / 1e3;
  // What still comes is a stray, in the books of the next trial.
  first_ = next_;
  return std::exchange(results_, {});
}

}  // namespace lf::gen
