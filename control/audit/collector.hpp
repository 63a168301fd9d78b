// SPDX-License-Identifier: Apache-2.0
// The audit writer: a thread that empties the workers' rings into segment files, compressed and
// chained. It also takes control's own events, and passes what it sees to a tap (compare mode). A
// block is closed when it is full or a tenth of a second old, so a crash loses at most that.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "control/audit/segment.hpp"
#include "control/base/clock.hpp"
#include "dataplane/audit/ring.hpp"

namespace lf::audit {

inline constexpr uint8_t kEventWorker = 255;  // "worker" of the events' blocks

struct CollectorStats {
  uint64_t records = 0;       // written to segments
  uint64_t lost = 0;          // named by gap records
  uint64_t bytes = 0;         // of segments written
  uint64_t write_errors = 0;  // blocks that could not be written (their records are gone)
  std::string last_error;
};

class Collector {
 public:
  struct Options {
    std::string directory;  // empty: nothing is stored, only tapped
    SegmentWriter::Limits limits;
    uint32_t block_age_ms = 100;
    uint32_t sync_ms = 1000;
  };
  // Called on the collector's thread with every batch of decisions.
  using Tap = std::function<void(std::span<const Record>)>;

  // The rings live at least as long as the collector. Continues the log in the directory.
  static Result<std::unique_ptr<Collector>> create(const Options& options, std::vector<Ring*> rings,
                                                   const Clock& clock);
  ~Collector();  // stops, and writes what is left

  void start();
  // Stops the thread after a last round over all rings.
  void stop();

  // One round over all rings; returns the number of records taken. Called by the thread; tests
  // that don't start it call it themselves.
  size_t poll();
  // Closes the open blocks, whatever their age.
  void flush();

  // Any thread.
  void add_event(const Record& event);
  void set_tap(Tap tap);
  CollectorStats stats() const;

  const std::string& directory() const { return options_.directory; }

 private:
  struct Source {
    Ring* ring = nullptr;
    std::vector<Record> open;
    uint64_t opened_us = 0;
    uint64_t sequence = 0;  // of the first decision in `open`
  };

  Collector(const Options& options, const Clock& clock) : options_(options), clock_(clock) {}
  size_t drain(Source& source);
  void take_events();
  void seal(Source& source, uint8_t worker);
  void seal_old(uint64_t now_us);
  void note_error(const Error& error);

  Options options_;
  const Clock& clock_;
  uint64_t run_us_ = 0;
  std::unique_ptr<SegmentWriter> writer_;
  std::vector<Source> sources_;  // by worker; the last: events
  uint64_t synced_us_ = 0;
  bool unsynced_ = false;

  std::mutex tap_mutex_;
  Tap tap_;
  std::mutex events_mutex_;
  std::vector<Record> events_;
  mutable std::mutex stats_mutex_;
  CollectorStats stats_;

  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace lf::audit
