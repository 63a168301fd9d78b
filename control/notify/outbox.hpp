// SPDX-License-Identifier: Apache-2.0
// Notifications that are not delivered yet, in SQLite, so that neither a sink's outage nor a
// restart loses one; when the throttle last let one through; and which sinks there were. A write is
// on disk when the call returns. Thread: any; calls wait for each other. Slow (it syncs): never
// call it on the control thread except list().
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "control/notify/message.hpp"

struct sqlite3;

namespace lf::notify {

struct LastSent {
  std::string recipient;
  uint8_t channel = 0;
  UnixUs at_us = 0;
};

class Outbox {
 public:
  // An empty path: in memory, lost at the end.
  static Result<std::unique_ptr<Outbox>> open(const std::string& path);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Stores messages and throttle times together: all or none.
  Result<void> add(const std::vector<Message>& messages, const std::vector<LastSent>& sent);
  Result<std::vector<LastSent>> last_sent();

  // The oldest message of a sink whose time has come. A time further ahead than any delay is the
  // trace of a clock that was set back: it has come too.
  Result<std::optional<Message>> next_due(const std::string& sink, UnixUs now_us);
  // When the sink's next attempt is, if anything waits for one.
  Result<std::optional<UnixUs>> next_attempt(const std::string& sink);
  Result<void> delivered(int64_t id, UnixUs now_us);
  // Failed: to be tried again at next_us.
  Result<void> failed(int64_t id, const std::string& error, UnixUs next_us);

  // The sinks of the last change_sinks().
  Result<std::set<std::string>> sinks();
  // Sinks that messages wait for, and the messages of one.
  Result<std::set<std::string>> waited_for();
  Result<std::vector<Message>> waiting(const std::string& sink);
  // Moves messages that wait to another sink, as if nobody had tried them yet, or removes them, and
  // remembers these sinks: all or none.
  struct Move {
    int64_t id = 0;
    std::string to;  // empty: it is removed
  };
  Result<void> change_sinks(const std::vector<std::string>& sinks, const std::vector<Move>& moves,
                            UnixUs now_us);

  // Pending ones first, then the latest delivered.
  Result<std::vector<Message>> list(uint32_t count);
  Result<uint64_t> pending();

 private:
  explicit Outbox(sqlite3* db) : db_(db) {}
  Result<void> run(const char* sql);
  // Runs all of `write` as one transaction.
  template <typename Write>
  Result<void> all_or_none(Write&& write);
  Result<std::set<std::string>> names(const char* sql);

  std::mutex mutex_;
  sqlite3* db_;
};

}  // namespace lf::notify
