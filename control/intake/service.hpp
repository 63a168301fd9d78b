// SPDX-License-Identifier: Apache-2.0
// Batch intake as the daemon runs it. `intake.submit` becomes a job: a helper thread sorts the
// batch out, a second one makes packets of its commands, and the control thread puts those into the
// workers' rings, as many as there is room for, and keeps the books of the answers. Everything that
// waits is bounded; a caller whose job does not fit is refused. Thread: control, unless stated.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "control/base/clock.hpp"
#include "control/intake/batch.hpp"
#include "control/intake/directory.hpp"
#include "control/intake/packet.hpp"
#include "control/rpc/command.hpp"

namespace lf::intake {

struct Job;

class Service {
 public:
  // Runs a frame through a worker's pipeline; false: no room now.
  using Inject = std::function<bool(std::span<const uint8_t> frame, uint8_t port)>;
  // Runs work on the control thread. Thread: any.
  using Post = std::function<void(std::function<void()>)>;

  Service(const Clock& clock, int threads, std::function<void()> on_thread_start, Post post,
          Inject inject);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  void configure(Directory directory);
  std::vector<rpc::Command> commands();

  // An answer to a command that came from here: from a node, or from the data plane itself.
  void answered(uint32_t org_id, std::span<const uint8_t, 16> command_id, lcp::Status status);
  // Every few milliseconds: packets into the pipeline, time-outs of waiting callers.
  void tick();

 private:
  using JobPtr = std::shared_ptr<Job>;
  struct Ready {
    JobPtr job;
    size_t number = 0;  // in the batch's output
    Packet packet;
  };
  struct Name {
    uint32_t org_id;
    lcp::Id command_id;
    auto operator<=>(const Name&) const = default;
  };

  void submit(const rpc::Json& params, rpc::Reply reply);
  Result<JobPtr> job_of(const rpc::Json& params) const;
  rpc::Json status() const;
  void finish(const JobPtr& job);

  // Helper threads.
  void sort_out();
  JobPtr next_of(std::deque<JobPtr>& queue);
  void work(Job& job);
  void make_packets();
  void make_packets_of(const JobPtr& job);
  bool put(Ready ready);
  void answer(const JobPtr& job);

  const Clock& clock_;
  const int threads_;
  const std::function<void()> on_thread_start_;
  const Post post_;
  const Inject inject_;
  std::shared_ptr<const Directory> directory_;

  // Control's own.
  std::map<uint64_t, JobPtr> jobs_;  // by number; the latest ones stay for a while
  std::map<Name, std::pair<JobPtr, size_t>> waiting_;
  uint64_t next_job_ = 1, injected_ = 0, no_room_ = 0;
  std::array<uint64_t, 16> answers_{};  // by status

  // Between the threads.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<JobPtr> unsorted_, unsent_;                        // guarded by mutex_
  std::deque<Ready> ready_;                                     // guarded by mutex_
  bool stopping_ = false;                                       // guarded by mutex_
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is posted
  std::thread sorter_, maker_;
};

}  // namespace lf::intake
