// SPDX-License-Identifier: Apache-2.0
// The ledger and its memory: huge pages where there are any, on the first worker's NUMA node.
// Created before the workers start and freed after they have left. Thread: main.
#pragma once

#include <memory>
#include <string>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/ledger/save.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::daemon {

class LedgerMemory {
 public:
  // `workers`: that will use it.
  static Result<std::unique_ptr<LedgerMemory>> create(const config::Ledger& settings,
                                                      const ledger::Moment& now,
                                                      uint32_t workers);
  ~LedgerMemory();
  LedgerMemory(const LedgerMemory&) = delete;
  LedgerMemory& operator=(const LedgerMemory&) = delete;

  // After the workers have left: keeps the answered commands for the next start, where configured.
  void save(const ledger::Moment& now) const;

  ledger::Ledger& ledger() { return *ledger_; }
  uint64_t bytes() const { return bytes_; }
  bool huge() const { return huge_; }

 private:
  LedgerMemory() = default;

  void* memory_ = nullptr;
  uint64_t bytes_ = 0;  // whole huge pages
  bool huge_ = false;
  std::string path_;  // of the saved ledger; empty: none
  ledger::Secret secret_;
  std::unique_ptr<ledger::Ledger> ledger_;
};

}  // namespace lf::daemon
