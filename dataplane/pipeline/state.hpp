// SPDX-License-Identifier: Apache-2.0
// Everything that one worker's pipeline keeps: the state of each stage and scratch for a burst.
// Allocated once, before the loop. Writer: the worker; control reads the counters in it.
#pragma once

#include "dataplane/audit/audit.hpp"
#include "dataplane/authenticate/authenticate.hpp"
#include "dataplane/choose/choose.hpp"
#include "dataplane/core/stage_times.hpp"
#include "dataplane/dedup/dedup.hpp"
#include "dataplane/exception/exception.hpp"
#include "dataplane/exception/too_big.hpp"
#include "dataplane/flow/flow.hpp"
#include "dataplane/match/match.hpp"
#include "dataplane/parse/parse.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/policy/policy.hpp"
#include "dataplane/quota/quota.hpp"
#include "dataplane/replay/keep_pool.hpp"
#include "dataplane/rewrite/client.hpp"

namespace lf::pipeline {

struct State {
  explicit State(const Pipeline::Setup& setup);

  StageTimes times;
  StageClock clock{times};
  parse::State parse;
  parse::Sorted sorted;
  authenticate::State authenticate;
  dedup::State dedup;
  policy::State policy;
  audit::State audit;
  quota::State quota;
  choose::State choose;
  match::State match;
  flow::State flow;
  too_big::State too_big;
  replay::KeepPool kept;
  replay::Work kept_work;
  Tsc kept_swept = 0;  // when settled commands were looked for last
  exception::Out exceptions;
  rewrite::Client clients[kBurstMax];  // of a burst with replayable commands, by position
  Burst notices;                       // REPLYs to commands that are kept
  Tsc now = 0;                         // of the burst that was forwarded last
  bool all_sent = false;               // all packets of the burst are on their way to nodes
  std::atomic<uint64_t> backlog{0};    // packets in the worker's receive queues; read by control
};

}  // namespace lf::pipeline
