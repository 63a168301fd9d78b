// SPDX-License-Identifier: Apache-2.0
// What is kept of commands on their way to nodes.
#include <cstddef>
#include <cstring>

#include "dataplane/core/metas.hpp"
#include "dataplane/match/flight_of.hpp"
#include "dataplane/match/match.hpp"

namespace lf::match {
namespace {

using forward::Table;
using ledger::FlightWords;
using ledger::Ledger;
using ledger::Timeouts;

// Of one that control submitted: there is no client on the wire.
[[gnu::noinline]] FlightWords submitted_flight(const Meta& m, Tsc now) noexcept {
  const ledger::Transmission transmission{
      .sent = now,
      .service = m.service,
      .node = m.node,
      .breaker_epoch = m.breaker_epoch,
      .attempt = m.attempt,
      .flags = static_cast<uint8_t>(ledger::kFlightFromControl |
                                    (m.replayable ? ledger::kFlightReplayable : 0))};
  return {{transmission, {}}};
}

// Mostly all are watched, in this burst and in those before.
void note_unwatched(State& state, const Selection& commands, uint64_t unwatched) noexcept {
  if ((state.unwatched | unwatched) == 0) return;
  uint64_t seen = 0;
  for (const uint8_t i : commands) seen |= uint64_t{1} << i;
  state.unwatched = (state.unwatched & ~seen) | unwatched;
}

// Records a burst's commands, run by run of one service's.
class Recorder {
 public:
  Recorder(const Table& table, Ledger& ledger, State& state, const Burst& burst,
           const Selection& commands, uint64_t from_control, Tsc now) noexcept
      : table_(table),
        ledger_(ledger),
        state_(state),
        burst_(burst),
        commands_(commands),
        from_control_(from_control),
        now_(now),
        moment_(now),
        stamp_(ledger::stamp_of(now)),
        epoch_(ledger.epoch_of(now)) {}

  enum class How : uint8_t {
    usual_alone,   // of a lone worker, off the wire, and nothing is between them
    usual_shared,  // of several workers, the same
    any
  };
  template <How kHow>
  void record() noexcept {
    constexpr bool kUsual = kHow != How::any;
    const Meta* const meta = metas(burst_);
    const uint32_t base = kUsual ? commands_.index[0] : 0, count = commands_.count;
    const auto at = [this, base](uint32_t k) { return kUsual ? base + k : commands_.index[k]; };
    for (uint32_t k = 0; k < count;) {
      const ServiceIndex service = meta[at(k)].service;
      const auto is_next = [=](uint32_t n) { return n < count && meta[at(n)].service == service; };
      const forward::Service& to = table_.services[service];
      if (to.mode != forward::Mode::proxy) [[unlikely]] {
        do record_any(at(k), false);
        while (is_next(++k));
      } else if (kUsual) {
        k += record_usual<kHow == How::usual_alone>(meta + at(k), count - k);
      } else {
        auto watch = watch_for(to);
        do
          if (record_any(at(k), true)) insert(watch, meta[at(k)]);
        while (is_next(++k));
      }
    }
    note_unwatched(state_, commands_, unwatched_);
    state_.flights.began.add(count);
    if (left_ != 0) state_.flights.ended.add(left_);
  }

 private:
  Timeouts::Run watch_for(const forward::Service& to) noexcept {
    return state_.timeouts.watch(state_.timeouts.tick_of(now_ + to.timeout_tsc));
  }
  [[gnu::always_inline]] static ledger::Watched watched_of(const Meta& m, uint32_t stamp) noexcept {
    static_assert(offsetof(Meta, breaker_epoch) == offsetof(Meta, node) + 2 &&
                  offsetof(ledger::Watched, breaker_epoch) == offsetof(ledger::Watched, node) + 2);
    ledger::Watched watched{.ref = m.ledger_ref, .stamp = stamp};
    std::memcpy(&watched.node, &m.node, 4);  // and the epoch: as four bytes
    return watched;
  }
  [[gnu::always_inline]] void insert(Timeouts::Run& watch, const Meta& m) noexcept {
    if (!watch.insert(watched_of(m, stamp_))) [[unlikely]]
      state_.stats->timeouts_untracked.add(1);
  }

  // One more command sent to a node: as stats[node].sent.add(1), in two instructions instead of
  // eight.
  [[gnu::always_inline]] static void count_sent(NodeStats* stats, NodeSlot node) noexcept {
    uint64_t distance;
    asm("imulq %2, %1, %0" : "=r"(distance) : "r"(uint64_t{node}), "i"(sizeof(NodeStats)) : "cc");
    auto& sent = reinterpret_cast<NodeStats*>(reinterpret_cast<char*>(stats) + distance)->sent;
    asm("addq $1, %0" : "+m"(sent) : : "cc");
  }

  // The commands from `first` on that are for the same service. Returns how many.
  template <bool kAlone>
  uint32_t record_usual(const Meta* first, uint32_t count) noexcept {
    auto watch = watch_for(table_.services[first->service]);
    const Meta* m = first;
    const Meta* const end = first + count;
    do {
      if (watch.make_places()) [[likely]] {
        m = record_front<kAlone>(m, end, watch);
        if (m == end || m->service != first->service) break;
        if (!watch.has_places()) continue;  // that was why it stopped
      }
      if (record_any(static_cast<uint32_t>(m - burst_.meta), true)) insert(watch, *m);
      ++m;
    } while (m != end && m->service == first->service);
    return static_cast<uint32_t>(m - first);
  }

  // The short way, as far as it goes and there are places to watch them from. A function of its
  // own, which calls nothing, and copies, which no store can change: so what its loop needs is in
  // registers.
  template <bool kAlone>
  [[gnu::noinline]] const Meta* record_front(const Meta* m, const Meta* end,
                                             Timeouts::Run& watch) noexcept {
    auto places = watch.places();
    end = m + std::min(end - m, ptrdiff_t{places.count()});
    Ledger ledger = ledger_;
    const Moment moment = moment_;
    const uint32_t stamp = stamp_, epoch = epoch_;
    NodeStats* const nodes = state_.nodes;
    const ServiceIndex service = m->service;
    do {
      if (m->service != service || m->is_retry ||
          !ledger.record_fresh<kAlone>(m->ledger_ref, flight_of(*m, moment), epoch)) [[unlikely]]
        break;
      count_sent(nodes, m->node);
      places.put(watched_of(*m, stamp));
    } while (++m != end);
    watch.left(places);
    return m;
  }

  // Whatever it is. Returns whether its time-out is to be watched.
  [[gnu::noinline]] bool record_any(uint32_t i, bool answers_pass) noexcept {
    const Meta& m = burst_.meta[i];
    const bool from_control = (from_control_ >> i & 1) != 0;
    const FlightWords flight = from_control ? submitted_flight(m, now_) : flight_of(m, moment_);
    bool kept = !m.is_retry && !from_control && !ledger_.is_alone() &&
                ledger_.record_fresh<false>(m.ledger_ref, flight, epoch_);
    if (!kept) {
      const ledger::Sent sent =
          ledger_.record_sent(m.ledger_ref, flight, m.is_retry, now_, state_.counts);
      kept = sent.recorded;
      if (sent.left != kNoNode) {
        state_.nodes[sent.left].left.add(1);
        ++left_;
      }
    }
    NodeStats& stats = state_.nodes[m.node];
    stats.sent.add(1);
    if (answers_pass && kept) return true;
    stats.left.add(1);  // no reply to it will come by, or be known
    ++left_;
    unwatched_ |= uint64_t{1} << i;
    return false;
  }

  const Table& table_;
  Ledger& ledger_;
  State& state_;
  const Burst& burst_;
  const Selection& commands_;
  const uint64_t from_control_;
  const Tsc now_;
  const Moment moment_;
  const uint32_t stamp_, epoch_;
  uint64_t unwatched_ = 0;
  uint32_t left_ = 0;  // transmissions that are no longer waited for
};

}  // namespace

void record_sent(const Table& table, Ledger& ledger, State& state, const Burst& burst,
                 const Selection& commands, uint64_t from_control, Tsc now) noexcept {
  if (commands.count == 0) return;
  Recorder recorder(table, ledger, state, burst, commands, from_control, now);
  if (from_control != 0 || !is_run(commands)) [[unlikely]]
    recorder.record<Recorder::How::any>();
  else if (ledger.is_alone())
    recorder.record<Recorder::How::usual_alone>();
  else
    recorder.record<Recorder::How::usual_shared>();
}

void not_sent(Ledger& ledger, State& state, const Burst& burst, uint32_t i, Tsc sent) noexcept {
  const Meta& meta = burst.meta[i];
  if (!ledger.take_back(meta.ledger_ref, ledger::stamp_of(sent), meta.is_retry, state.counts))
    return;
  // What is not watched has left the node's books already.
  if ((state.unwatched >> i & 1) != 0) return;
  state.nodes[meta.node].left.add(1);
  state.flights.ended.add(1);
}

}  // namespace lf::match
