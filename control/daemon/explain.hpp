// SPDX-License-Identifier: Apache-2.0
// route.explain: what would become of a command, and why. Makes the datagram that the command would
// be, and shows it to the workers' own stages with the snapshot in force; where a stage changes
// shared state (dedup, quota, choice of node), it is asked without the change. Nothing is sent,
// counted or remembered. Thread: control.
#pragma once

#include <rte_mempool.h>

#include <functional>
#include <vector>

#include "control/base/clock.hpp"
#include "control/config/config.hpp"
#include "control/health/engine.hpp"
#include "control/quota/quotas.hpp"
#include "control/rpc/command.hpp"
#include "dataplane/admission/admission.hpp"
#include "dataplane/core/snapshot.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::daemon {

struct ExplainContext {
  const config::Config& config;
  const Snapshot& snapshot;
  const ledger::Ledger& ledger;
  const quota::Quotas& quotas;
  const health::HealthEngine& health;
  rte_mempool* pool;  // one mbuf is borrowed
  int64_t unix_us;    // now
  Tsc now;
  bool draining = false;
  admission::Load load;                                         // of all workers
  std::function<Result<rpc::Json>(const rpc::Json&)> evaluate;  // policy.evaluate
};

const std::vector<rpc::Parameter>& explain_parameters();

// {verdict, service, node or nodes, stages: [{stage, verdict, why}]}; the last stage listed is the
// one that decided.
Result<rpc::Json> explain(const ExplainContext& context, const rpc::Json& params);

}  // namespace lf::daemon
