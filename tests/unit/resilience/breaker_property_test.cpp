// SPDX-License-Identifier: Apache-2.0
// The breaker under arbitrary events and times, against a model that keeps every failure and every
// time and knows no ring, no steps and no own clock.
#include <gtest/gtest.h>

#include <vector>

#include "control/resilience/breaker.hpp"
#include "dataplane/core/types.hpp"
#include "tests/support/property.hpp"

namespace lf::resilience {
namespace {

constexpr MonoNs kMs = 1'000'000;

enum class Kind : uint8_t { tick, ok, failed, burst, stale, admit, trip, reset };

struct Event {
  Kind kind = Kind::tick;
  int64_t step_ns = 0;  // may be negative
  uint32_t count = 0;
};

void showValue(const Event& e, std::ostream& os) {
  os << "{kind " << static_cast<int>(e.kind) << ", step " << e.step_ns << ", count " << e.count
     << "}";
}

rc::Gen<Event> any_event(const rc::Gen<int64_t>& step) {
  const auto kind = rc::gen::weightedElement<Kind>({{3, Kind::tick},
                                                    {8, Kind::ok},
                                                    {8, Kind::failed},
                                                    {2, Kind::burst},
                                                    {2, Kind::stale},
                                                    {6, Kind::admit},
                                                    {1, Kind::trip},
                                                    {1, Kind::reset}});
  return rc::gen::build<Event>(rc::gen::set(&Event::kind, kind),
                               rc::gen::set(&Event::step_ns, step),
                               rc::gen::set(&Event::count, rc::gen::inRange<uint32_t>(0, 8)));
}

rc::Gen<int64_t> forward_step() {
  return rc::gen::weightedOneOf<int64_t>(
      {{10, rc::gen::inRange<int64_t>(0, 2000 * kMs)},
       {2, rc::gen::just<int64_t>(0)},
       {3, rc::gen::elementOf(std::vector<int64_t>{999 * kMs, 1000 * kMs, 1001 * kMs, 29'999 * kMs,
                                                   30'000 * kMs, 60'000 * kMs, 300'000 * kMs})}});
}

// What the specification says, as plainly as it can be written.
struct Model {
  BreakerSettings s;
  BreakerState state = BreakerState::closed;
  Int128 now = 0, since = 0, open_for = 0, last_taken = 0;
  std::vector<Int128> failures;
  uint64_t taken = 0, passed = 0, in_a_row = 0;  // openings since the last close
  uint64_t transitions = 0;

  void to(BreakerState next) {
    state = next;
    since = now;
    failures.clear();
    taken = passed = 0;
    ++transitions;
  }
  void open() {
    open_for = s.open_ns;
    for (uint64_t i = 0; i < in_a_row && open_for < s.open_max_ns; ++i) open_for *= 2;
    if (open_for > s.open_max_ns) open_for = s.open_max_ns;
    ++in_a_row;
    to(BreakerState::open);
  }
  void close() {
    in_a_row = 0;
    to(BreakerState::closed);
  }
  void results(uint64_t ok, uint64_t failed) {
    if (state == BreakerState::open) {
      if (now - since >= open_for) to(BreakerState::half_open);
    } else if (state == BreakerState::closed) {
      failures.insert(failures.end(), failed, now);
      uint64_t young = 0;
      for (const Int128 at : failures) young += now - at < s.window_ns;
      if (young >= s.failures) open();
    } else {
      passed += ok;
      if (failed > 0)
        open();
      else if (passed >= s.trials)
        close();
      else if (taken > passed && now - last_taken >= s.trial_timeout_ns)
        open();
    }
  }
  bool admit() {
    if (state != BreakerState::half_open) return state == BreakerState::closed;
    if (taken >= s.trials) return false;
    ++taken;
    last_taken = now;
    return true;
  }
  void apply(const Event& e) {
    if (e.step_ns > 0) now += e.step_ns;
    switch (e.kind) {
      case Kind::tick:
      case Kind::stale:
        return results(0, 0);
      case Kind::ok:
        return results(1, 0);
      case Kind::failed:
        return results(0, 1);
      case Kind::burst:
        return results(e.count, e.count / 2);
      case Kind::admit:
        results(0, 0);
        return;
      case Kind::trip:
        if (state == BreakerState::open)
          since = now;
        else
          open();
        return;
      case Kind::reset:
        failures.clear();
        if (state != BreakerState::closed) close();
        in_a_row = 0;
    }
  }
};

void apply(Breaker& b, const Event& e, MonoNs now) {
  const uint16_t stale = b.epoch() - 1;
  switch (e.kind) {
    case Kind::tick:
      b.tick(now);
      break;
    case Kind::stale:
      b.record({.ok = 3, .failed = 9}, stale, now);
      break;
    case Kind::ok:
      b.record({.ok = 1}, b.epoch(), now);
      break;
    case Kind::failed:
      b.record({.failed = 1}, b.epoch(), now);
      break;
    case Kind::burst:
      b.record({.ok = e.count, .failed = e.count / 2}, b.epoch(), now);
      break;
    case Kind::admit:
      b.tick(now);
      break;
    case Kind::trip:
      b.trip(now);
      break;
    case Kind::reset:
      b.reset(now);
      break;
  }
}

BreakerSettings any_settings() {
  BreakerSettings s;
  s.failures = *rc::gen::inRange<uint32_t>(1, 8);
  s.trials = *rc::gen::inRange<uint32_t>(1, 5);
  s.window_ns = *rc::gen::inRange<int64_t>(1, 40'000) * kMs;
  s.open_ns = *rc::gen::inRange<int64_t>(1, 40'000) * kMs;
  s.open_max_ns = s.open_ns * *rc::gen::inRange<int64_t>(1, 12);
  return s;
}

TEST(BreakerProperty, AgreesWithModel) {
  test::check_property(3'000, [] {
    const BreakerSettings settings = any_settings();
    const auto events = *rc::gen::container<std::vector<Event>>(any_event(forward_step()));
    Breaker breaker(settings);
    Model model{settings};
    MonoNs now = 0;
    breaker.tick(now);
    for (const Event& e : events) {
      now += e.step_ns;
      apply(breaker, e, now);
      model.apply(e);
      if (e.kind == Kind::admit) RC_ASSERT(breaker.admit() == model.admit());
      RC_ASSERT(breaker.state() == model.state);
      RC_ASSERT(breaker.epoch() == static_cast<uint16_t>(model.transitions));
    }
  });
}

// Arbitrary times, running backwards and jumping over the whole range too; rates, slow calls and
// jitter on; and at the end a node that answers every command well.
TEST(BreakerProperty, NeverUndefinedNeverTooManyTrialsNeverOpenForEver) {
  test::check_property(10'000, [] {
    BreakerSettings settings = any_settings();
    settings.jitter = *rc::gen::inRange(0, 3) / 2.0;
    settings.failure_rate = *rc::gen::inRange(0, 3) / 2.0;
    settings.slow_rate = *rc::gen::inRange(0, 3) / 2.0;
    settings.min_calls = *rc::gen::inRange<uint32_t>(0, 10);
    const auto step =
        rc::gen::oneOf(forward_step(), rc::gen::map(forward_step(), [](int64_t ns) { return -ns; }),
                       rc::gen::arbitrary<int64_t>());
    const auto events = *rc::gen::container<std::vector<Event>>(any_event(step));
    Breaker breaker(settings, *rc::gen::arbitrary<uint64_t>());
    MonoNs now = *rc::gen::arbitrary<int64_t>();
    uint32_t let_through = 0;
    uint16_t epoch = breaker.epoch();
    for (const Event& e : events) {
      now = static_cast<MonoNs>(static_cast<uint64_t>(now) + static_cast<uint64_t>(e.step_ns));
      apply(breaker, e, now);
      RC_ASSERT(breaker.state() <= BreakerState::half_open);
      RC_ASSERT(static_cast<uint16_t>(breaker.epoch() - epoch) <= 1);
      if (breaker.epoch() != epoch) let_through = 0;
      epoch = breaker.epoch();
      const bool admitted = breaker.admit();
      RC_ASSERT(admitted == breaker.admit() || breaker.state() == BreakerState::half_open);
      if (breaker.state() == BreakerState::half_open)
        let_through = settings.trials - breaker.trials_left();
      RC_ASSERT(let_through <= settings.trials);
      RC_ASSERT(breaker.state() != BreakerState::open || !admitted);
    }
    // From here on time runs as it should, from wherever it is, and the node is well. A trial from
    // before that was never answered may cost one more opening.
    for (uint32_t round = 0; round < 3 && breaker.state() != BreakerState::closed; ++round) {
      now = settings.open_max_ns * 5 / 2 * round;
      breaker.tick(now);
      if (breaker.state() != BreakerState::half_open) continue;
      for (uint32_t i = 0; i < settings.trials; ++i) {
        breaker.admit();
        breaker.record({.ok = 1}, breaker.epoch(), now);
      }
    }
    RC_ASSERT(breaker.state() == BreakerState::closed);
  });
}

// Counts what is really let through in each half-open, trial by trial.
TEST(BreakerProperty, HalfOpenAdmitsExactlyItsTrials) {
  test::check_property(10'000, [] {
    const BreakerSettings settings = any_settings();
    Breaker breaker(settings);
    breaker.trip(0);
    breaker.tick(settings.open_ns);
    RC_ASSERT(breaker.state() == BreakerState::half_open);
    uint32_t admitted = 0;
    for (uint32_t i = 0; i < settings.trials * 4; ++i) {
      admitted += breaker.admit();
      if (*rc::gen::arbitrary<bool>()) breaker.tick(settings.open_ns);
    }
    RC_ASSERT(admitted == settings.trials);
  });
}

}  // namespace
}  // namespace lf::resilience
