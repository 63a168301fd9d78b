// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/replay_director.hpp"

#include <utility>

namespace lf::resilience {
namespace {

using rpc::Json;

constexpr MonoNs kMs = 1'000'000;

Json describe(const ReplayDirector::Status& status, const BreakerBoard& board, MonoNs now) {
  const ReplayRun& run = status.run;
  Json json{{"stage", name(run.stage())},
            {"started_ms_ago", (now - status.started) / kMs},
            {"round", run.round()},
            {"rounds", run.plan().retries},
            {"events", run.events()},
            {"sent", run.sent()},
            {"left", run.left()},
            {"budget", run.plan().budget},
            {"batch_size", run.plan().batch_size},
            {"region", run.plan().region},
            {"outage_class", name(run.plan().outage_class)}};
  for (const BoardNode& node : board.nodes()) {
    if (node.slot != status.slot) continue;
    json["node"] = node.name;
    json["service"] = node.service;
  }
  return json;
}

}  // namespace

void ReplayDirector::give(NodeSlot slot, const NextOrder& next) {
  setup_.orders->give(slot, next.order, {epochs_[slot], next.deadline_us});
}

OrderProgress ReplayDirector::progress(NodeSlot slot) const {
  const replay::Order order = setup_.orders->read(slot);
  OrderProgress p{.all_reported = true, .left = 0, .tokens_left = order.tokens};
  for (const replay::KeepPool* pool : setup_.pools) {
    const replay::Report report = pool->report(slot);
    if (report.ticket == order.ticket)
      p.left += report.left;
    else
      p.all_reported = false;
  }
  return p;
}

void ReplayDirector::on_transitions(std::span<const BoardTransition> transitions, MonoNs now) {
  for (const BoardTransition& t : transitions) {
    if (t.transition.to != BreakerState::open) continue;
    const auto old = runs_.find(t.slot);
    const bool running = old != runs_.end() && old->second.run.stage() != ReplayRun::Stage::done;
    ReplayRun run(setup_.timeout_s, setup_.regions ? setup_.regions(t.slot) : ReplayRegions{});
    epochs_[t.slot] = t.transition.epoch;
    give(t.slot, run.start(now));
    runs_.insert_or_assign(t.slot, Status{t.slot, now, std::move(run)});
    active_ += !running;
  }
}

std::span<const ReplayDirector::Status> ReplayDirector::tick(MonoNs now, UnixUs unix_us) {
  ended_.clear();
  if (active_ == 0) return ended_;
  for (auto& [slot, status] : runs_) {
    if (status.run.stage() == ReplayRun::Stage::done) continue;
    const auto next = status.run.step(progress(slot), now, unix_us);
    if (!next) continue;
    give(slot, *next);
    if (status.run.stage() != ReplayRun::Stage::done) continue;
    ended_.push_back(status);
    --active_;
  }
  return ended_;
}

std::vector<rpc::Command> replay_commands(const ReplayDirector& director, const BreakerBoard& board,
                                          std::vector<const WorkerStats*> stats,
                                          std::vector<const replay::KeepPool*> pools,
                                          const Clock& clock) {
  auto status = [&director, &board, &clock, stats = std::move(stats),
                 pools = std::move(pools)](const Json&) -> Result<Json> {
    Json runs = Json::array();
    for (const auto& [slot, run] : director.runs())
      runs.push_back(describe(run, board, clock.mono_ns()));
    uint64_t kept = 0, capacity = 0, expired = 0;
    for (const replay::KeepPool* pool : pools) {
      capacity += pool->capacity();
      kept += pool->size();
      expired += pool->expired();
    }
    uint64_t replays = 0, unkept = 0, refused = 0, uncopied = 0;
    for (const WorkerStats* s : stats) {
      replays += s->replays.read();
      unkept += s->replay_unkept.read();
      refused += s->replay_refused.read();
      uncopied += s->verdicts[static_cast<uint8_t>(Verdict::replay_uncopied)].read();
    }
    return Json{{"runs", std::move(runs)},
                {"active", director.active()},
                {"kept", kept},
                {"capacity", capacity},
                {"replayed", replays},
                {"refused", refused},
                {"expired", expired},
                {"unkept", unkept},
                {"uncopied", uncopied}};
  };
  return {{.name = "replay.status",
           .help = "commands that are kept, and what is or was sent again after breakers opened",
           .handler = std::move(status)}};
}

}  // namespace lf::resilience
