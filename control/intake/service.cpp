// SPDX-License-Identifier: Apache-2.0
#include "control/intake/service.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/intake/deadline.hpp"
#include "control/intake/job.hpp"

namespace lf::intake {
namespace {

constexpr size_t kJobsMax = 16;            // that are not finished
constexpr size_t kJobsKept = 64;           // that `intake.status` shows
constexpr size_t kReadyMax = 4096;         // packets made ahead of the rings
constexpr size_t kInjectedPerTick = 1024;  // so that a tick stays short
constexpr size_t kWaitingMax = 1u << 18;   // commands whose answers callers wait for
constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kWaitSecondsDefault = 10, kWaitSecondsMax = 3600;

template <typename T>
T value_or(const rpc::Json& params, const char* name, T otherwise) {
  const auto found = params.find(name);
  return found == params.end() ? otherwise : found->template get<T>();
}

// One JSON text a line; they have been parsed once, so they are JSON.
std::string lines_of(const rpc::Json& commands) {
  std::string text;
  for (const rpc::Json& command : commands) {
    text += command.dump();
    text += '\n';
  }
  return text;
}

Result<int64_t> now_of(const rpc::Json& value) {
  Deadline now;
  if (value.is_string())
    now = deadline_of(value.get_ref<const std::string&>());
  else if (value.is_number_integer())
    now = deadline_of(value.get<int64_t>());
  else if (value.is_number())
    now = deadline_of(value.get<double>());
  else
    now.fault = DeadlineFault::neither_text_nor_number;
  if (now.fault != DeadlineFault::none)
    return fail(ErrorCode::invalid, "now: neither ISO 8601 nor Unix seconds");
  return now.unix_us;
}

}  // namespace

Service::Service(const Clock& clock, int threads, std::function<void()> on_thread_start, Post post,
                 Inject inject)
    : clock_(clock),
      threads_(threads),
      on_thread_start_(std::move(on_thread_start)),
      post_(std::move(post)),
      inject_(std::move(inject)),
      directory_(std::make_shared<const Directory>()),
      sorter_([this] { sort_out(); }),
      maker_([this] { make_packets(); }) {}

Service::~Service() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [number, job] : jobs_) job->progress.cancel = true;
  }
  changed_.notify_all();
  sorter_.join();
  maker_.join();
}

void Service::configure(Directory directory) {
  directory_ = std::make_shared<const Directory>(std::move(directory));
}

Result<Service::JobPtr> Service::job_of(const rpc::Json& params) const {
  const bool has_path = params.contains("path"), has_commands = params.contains("commands");
  if (has_path == has_commands) return fail(ErrorCode::invalid, "give either path or commands");
  const auto unfinished =
      std::ranges::count_if(jobs_, [](const auto& entry) { return !entry.second->finished; });
  if (static_cast<size_t>(unfinished) >= kJobsMax)
    return fail(ErrorCode::unavailable, "{} batches are being worked on; try again later",
                unfinished);
  auto job = std::make_shared<Job>();
  job->options.now_us = clock_.unix_us();
  if (params.contains("now")) {
    auto now = now_of(params["now"]);
    if (!now) return tl::unexpected(now.error());
    job->options.now_us = *now;
  }
  job->options.threads = threads_;
  job->dry_run = value_or(params, "dry_run", false);
  job->wait = value_or(params, "wait", false) && !job->dry_run;
  job->summary = value_or(params, "summary", false);
  const double wait_s = value_or(params, "wait_s", static_cast<double>(kWaitSecondsDefault));
  if (!(wait_s > 0 && wait_s <= kWaitSecondsMax))
    return fail(ErrorCode::invalid, "wait_s: more than 0, at most {}", kWaitSecondsMax);
  job->wait_ns = static_cast<int64_t>(wait_s * static_cast<double>(kNsPerSecond));
  job->started = clock_.mono_ns();
  job->directory = directory_;
  if (has_path) {
    job->path = params["path"].get<std::string>();
    if (!job->path.starts_with('/'))
      return fail(ErrorCode::invalid, "path: \"{}\" is not absolute", job->path);
  } else {
    job->text = lines_of(params["commands"]);
  }
  return job;
}

void Service::submit(const rpc::Json& params, rpc::Reply reply) {
  auto made = job_of(params);
  if (!made) return reply(tl::unexpected(made.error()));
  const JobPtr job = *made;
  job->number = next_job_++;
  job->reply = std::move(reply);
  jobs_.emplace(job->number, job);
  for (auto it = jobs_.begin(); jobs_.size() > kJobsKept && it != jobs_.end();)
    it = it->second->finished ? jobs_.erase(it) : std::next(it);
  const std::lock_guard lock(mutex_);
  unsorted_.push_back(job);
  changed_.notify_all();
}

// Waits for the next one. Null: the service stops.
Service::JobPtr Service::next_of(std::deque<JobPtr>& queue) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || !queue.empty(); });
  if (stopping_) return nullptr;
  JobPtr job = std::move(queue.front());
  queue.pop_front();
  return job;
}

// Thread: the sorter.
void Service::sort_out() {
  pthread_setname_np(pthread_self(), "lf-intake");
  on_thread_start_();
  while (const JobPtr job = next_of(unsorted_)) {
    work(*job);
    job->sorted.store(true, std::memory_order_release);
    const bool sends = !job->error && !job->dry_run && job->accepted != 0;
    if (job->error || !job->wait || !sends) answer(job);
    if (!sends) {
      post_([this, alive = std::weak_ptr(alive_), job] {
        if (alive.lock()) finish(job);
      });
      continue;
    }
    const std::lock_guard lock(mutex_);
    unsent_.push_back(std::move(job));
    changed_.notify_all();
  }
}

void Service::work(Job& job) {
  auto source = job.path.empty() ? Result<std::unique_ptr<Source>>(text_source(std::move(job.text)))
                                 : file_source(job.path);
  if (!source) {
    job.error = source.error();
    return;
  }
  const MonoNs start = clock_.mono_ns();
  auto batch = process(std::move(*source), job.directory->orgs, job.options, &job.progress);
  job.sorted_us = static_cast<uint64_t>(clock_.mono_ns() - start) / 1000;
  if (!batch) {
    job.error = batch.error();
    if (!job.path.empty()) job.error->message = job.path + ": " + job.error->message;
    return;
  }
  job.accepted = batch->size();
  if (job.wait && job.accepted > kWaitingMax) {
    job.error = Error{ErrorCode::invalid, fmt::format("{} commands: answers to more than {} cannot "
                                                      "be waited for; nothing was sent",
                                                      job.accepted, kWaitingMax)};
    return;
  }
  job.result = result_of(job, *batch, partition_by_urgency(*batch, job.options.now_us));
  if (job.wait) {
    job.ids.reserve(job.accepted);
    for (size_t k = 0; k < job.accepted; ++k) job.ids.emplace_back((*batch)[k].command_id);
    job.answers.assign(job.accepted, kNoAnswer);
  }
  if (!job.dry_run) job.batch = std::move(*batch);
}

// Hands the caller its answer, made here so that control only writes it. Thread: the sorter.
void Service::answer(const JobPtr& job) {
  auto result = std::make_shared<Result<rpc::Json>>(
      job->error ? Result<rpc::Json>(tl::unexpected(*job->error))
                 : Result<rpc::Json>(std::move(job->result)));
  post_([alive = std::weak_ptr(alive_), job, result] {
    if (!alive.lock() || !job->reply) return;
    job->reply(std::move(*result));
    job->reply = {};
  });
}

// Thread: the packet maker.
void Service::make_packets() {
  pthread_setname_np(pthread_self(), "lf-intake-out");
  on_thread_start_();
  while (const JobPtr job = next_of(unsent_)) {
    make_packets_of(job);
  }
}

void Service::make_packets_of(const JobPtr& job) {
  PacketMaker maker(*job->directory);
  for (size_t k = 0; k < job->accepted; ++k) {
    Packet packet = maker.make((*job->batch)[k].row);
    if (packet.why_not != Unsendable::none) {
      job->unsendable.fetch_add(1, std::memory_order_relaxed);
      spdlog::debug("intake: batch {}: {}: {}", job->number, (*job->batch)[k].command_id,
                    name_of(packet.why_not));
    }
    if (!put({job, k, std::move(packet)})) return;
  }
  job->batch.reset();
}

// Waits for room. False: the service stops.
bool Service::put(Ready ready) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || ready_.size() < kReadyMax; });
  if (stopping_) return false;
  ready_.push_back(std::move(ready));
  return true;
}

void Service::tick() {
  const MonoNs now = clock_.mono_ns();
  bool took = false;
  for (size_t k = 0; k < kInjectedPerTick; ++k) {
    Ready next;
    {
      const std::lock_guard lock(mutex_);
      if (ready_.empty()) break;
      next = std::move(ready_.front());
      ready_.pop_front();
    }
    Job& job = *next.job;
    const bool sendable = next.packet.why_not == Unsendable::none;
    if (sendable && !inject_(next.packet.frame, next.packet.port)) {
      ++no_room_;
      const std::lock_guard lock(mutex_);
      ready_.push_front(std::move(next));
      break;
    }
    took = true;
    injected_ += sendable;
    const uint64_t through = job.sent.fetch_add(1, std::memory_order_relaxed) + 1;
    if (job.wait && sendable) {
      waiting_[{next.packet.org_id, next.packet.command_id}] = {next.job, next.number};
    } else if (job.wait) {
      job.answers[next.number] = kUnsendable;
      ++job.answered;
    }
    if (through == job.accepted) {
      if (job.wait)
        job.wait_until = now + job.wait_ns;
      else
        finish(next.job);
    }
  }
  if (took) changed_.notify_all();
  for (auto& [number, job] : jobs_)
    if (job->wait_until && !job->finished &&
        (job->answered == job->accepted || now >= *job->wait_until))
      finish(job);
}

// Nothing more will happen to a job.
void Service::finish(const JobPtr& job) {
  job->finished = true;
  if (!job->wait || !job->wait_until) return;
  if (job->answered != job->accepted)
    std::erase_if(waiting_, [&](const auto& entry) { return entry.second.first == job; });
  if (job->reply) job->reply(with_answers(*job));
  job->reply = {};
}

void Service::answered(uint32_t org_id, std::span<const uint8_t, 16> command_id,
                       lcp::Status status) {
  ++answers_[std::min<size_t>(static_cast<size_t>(status), answers_.size() - 1)];
  Name name{org_id, {}};
  std::copy(command_id.begin(), command_id.end(), name.command_id.begin());
  const auto found = waiting_.find(name);
  if (found == waiting_.end()) return;
  const auto& [job, number] = found->second;
  job->answers[number] = static_cast<uint8_t>(status);
  ++job->answered;
  waiting_.erase(found);
}

rpc::Json Service::status() const {
  rpc::Json jobs = rpc::Json::array(), answers = rpc::Json::object();
  for (const auto& [number, job] : jobs_) jobs.push_back(progress_of(*job));
  for (size_t s = 0; s < answers_.size(); ++s)
    if (answers_[s] != 0)
      answers[std::string(lcp::name_of(static_cast<lcp::Status>(s)))] = answers_[s];
  const std::lock_guard lock(mutex_);
  return {{"jobs", std::move(jobs)}, {"ready", ready_.size()}, {"injected", injected_},
          {"no_room", no_room_},     {"answers", answers},     {"waiting", waiting_.size()}};
}

std::vector<rpc::Command> Service::commands() {
  std::vector<rpc::Command> out;
  out.push_back(
      {.name = "intake.submit",
       .help = "checks a batch of JSON commands, sorts it and sends what is valid",
       .parameters =
           {{"path", "string", false,
             "absolute path of a JSON Lines file that the daemon may read; gzip and zstd, too"},
            {"commands", "array", false, "the commands themselves, instead of path"},
            {"now", "string|number", false,
             "the time that deadlines are compared with; default: now"},
            {"dry_run", "boolean", false, "check and sort only"},
            {"wait", "boolean", false, "answer when the commands have been answered"},
            {"wait_s", "number", false,
             "for how long at most, after the last one was sent; default 10"},
            {"summary", "boolean", false, "numbers and the first 100 errors, no lists of ids"}},
       .mutates = true,
       .handler = {},
       .deferred = [this](const rpc::Json& params, const rpc::Caller&, rpc::Reply reply) {
         submit(params, std::move(reply));
       }});
  out.push_back({.name = "intake.status",
                 .help = "batches that are being worked on and the latest ones, and the answers",
                 .parameters = {},
                 .mutates = false,
                 .handler = [this](const rpc::Json&) -> Result<rpc::Json> { return status(); },
                 .deferred = {}});
  return out;
}

}  // namespace lf::intake
