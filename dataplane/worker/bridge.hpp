// SPDX-License-Identifier: Apache-2.0
// The bridge between the control thread and the workers: the current snapshot, and how control
// learns that nobody reads an old one any more.
#pragma once

#include <rte_rcu_qsbr.h>

#include <atomic>

#include "dataplane/core/snapshot.hpp"

namespace lf {

struct Bridge {
  // Writer: control (publisher). Readers: workers, once a burst.
  std::atomic<const Snapshot*> snapshot{nullptr};
  rte_rcu_qsbr* qsbr = nullptr;   // worker i reports as thread i
  std::atomic<bool> stop{false};  // writer: control; workers leave their loop
};

}  // namespace lf
