// SPDX-License-Identifier: Apache-2.0
// Is a concurrent history of one command's entry in the ledger linearizable? Operations have a time
// of invocation and one of response; the search (Wing and Gong, with a memory of where it has been)
// looks for an order that keeps these times and that a plain, sequential entry would have given.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "dataplane/ledger/ledger.hpp"

namespace lf::ledger::test {

struct Operation {
  enum class Kind : uint8_t { admit, sent, settle, release, find };
  Kind kind = Kind::admit;
  uint64_t invoked = 0, responded = 0;
  uint8_t attempt = 0;  // admit: brought; find: seen
  Lookup lookup = Lookup::full;
  State state = State::none;             // find: seen
  lcp::Status status = lcp::Status::ok;  // admit: recorded one; settle: given; find: seen
  bool done = false;                     // sent: recorded; settle: by this call
};

// The plain entry. `may_forget`: other commands press on the bucket, so that an entry that no
// worker is at work on can go at any time, and a new one can find no room.
class History {
 public:
  explicit History(bool may_forget) : may_forget_(may_forget) {}

  void add(const Operation& op) { operations_.push_back(op); }
  size_t size() const { return operations_.size(); }

  bool is_linearizable() {
    seen_.clear();
    return operations_.size() <= 64 && search(0, {});
  }

 private:
  struct Entry {
    State state = State::none;  // none, accepted, in_flight, answered
    uint8_t attempt = 0;
    lcp::Status status = lcp::Status::ok;
    auto operator<=>(const Entry&) const = default;
  };
  using Kind = Operation::Kind;

  static bool step_admit(const Operation& op, Entry& e) {
    switch (e.state) {
      case State::none:
        e = {State::accepted, op.attempt, {}};
        return op.lookup == Lookup::fresh;
      case State::accepted:
        return op.lookup == (op.attempt > e.attempt ? Lookup::unsent : Lookup::duplicate_in_flight);
      case State::in_flight:
        if (op.attempt <= e.attempt) return op.lookup == Lookup::duplicate_in_flight;
        e.attempt = op.attempt;
        return op.lookup == Lookup::retry;
      default:
        return op.lookup == Lookup::duplicate_answered && op.status == e.status;
    }
  }

  // Whether the entry could have answered like that; `e` becomes what it is then.
  bool step(const Operation& op, Entry& e) const {
    switch (op.kind) {
      case Kind::admit:
        return (op.lookup == Lookup::full && may_forget_) || step_admit(op, e);
      case Kind::sent:
        if (!op.done || e.state != State::accepted) return false;
        e.state = State::in_flight;
        return true;
      case Kind::release:
        if (e.state != State::accepted) return false;
        e = {};
        return true;
      case Kind::settle:
        if (!op.done) return true;  // it changed nothing
        if (e.state != State::in_flight) return false;
        e = {State::answered, 0, op.status};
        return true;
      case Kind::find:
        if (op.state != e.state) return false;
        if (e.state == State::answered) return op.status == e.status;
        return e.state == State::none || op.attempt == e.attempt;
    }
    return false;
  }

  bool search(uint64_t taken, const Entry& entry) {
    if (taken ==
        (operations_.size() == 64 ? ~uint64_t{0} : (uint64_t{1} << operations_.size()) - 1))
      return true;
    if (!seen_.emplace(taken, entry).second) return false;
    uint64_t first_response = ~uint64_t{0};
    for (size_t i = 0; i < operations_.size(); ++i)
      if (!(taken >> i & 1)) first_response = std::min(first_response, operations_[i].responded);
    for (size_t i = 0; i < operations_.size(); ++i) {
      const Operation& op = operations_[i];
      if ((taken >> i & 1) || op.invoked > first_response) continue;
      Entry next = entry;
      if (step(op, next) && search(taken | uint64_t{1} << i, next)) return true;
      if (!may_forget_ || (entry.state != State::in_flight && entry.state != State::answered))
        continue;
      next = {};
      if (step(op, next) && search(taken | uint64_t{1} << i, next)) return true;
    }
    return false;
  }

  bool may_forget_;
  std::vector<Operation> operations_;
  std::set<std::pair<uint64_t, Entry>> seen_;
};

}  // namespace lf::ledger::test
