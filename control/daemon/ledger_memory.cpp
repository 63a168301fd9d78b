// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/ledger_memory.hpp"

#include <rte_common.h>
#include <rte_memory.h>
#include <sodium.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>

#include <optional>

namespace lf::daemon {
namespace {

// Anonymous memory is zeroed and page-aligned. Explicit huge pages first, else transparent ones.
void* map(uint64_t bytes, bool& huge) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
  if (memory != MAP_FAILED) return memory;
  huge = false;
  memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, bytes, MADV_HUGEPAGE);
  // Page faults belong to the start, not to the first packets.
  madvise(memory, bytes, MADV_POPULATE_WRITE);
  return memory;
}

// A ledger that cannot be taken over is no reason not to start.
std::optional<ledger::SavedHeader> check(const std::string& path) {
  if (path.empty()) return {};
  const auto saved = ledger::check_saved(path);
  if (saved) return *saved;
  if (saved.error().code != ErrorCode::not_found)
    spdlog::warn("ledger: starts empty: {}", saved.error().message);
  return {};
}

}  // namespace

Result<std::unique_ptr<LedgerMemory>> LedgerMemory::create(const config::Ledger& settings,
                                                           const ledger::Moment& now,
                                                           uint32_t workers) {
  auto made = std::unique_ptr<LedgerMemory>(new LedgerMemory);
  made->huge_ = true;
  made->bytes_ = RTE_ALIGN_CEIL(settings.entries * ledger::kBytesPerEntry, RTE_PGSIZE_2M);
  made->memory_ = map(made->bytes_, made->huge_);
  if (made->memory_ == nullptr) {
    return fail(ErrorCode::unavailable, "ledger.entries = {} needs {} MiB, which cannot be had",
                settings.entries, made->bytes_ >> 20);
  }
  ledger::Settings s{.entries = settings.entries,
                     .window_tsc = Tsc{settings.window_s} * now.tsc_hz,
                     .org_share = settings.org_share,
                     .secret = {},
                     .lone_worker = workers == 1};
  randombytes_buf(&s.secret, sizeof s.secret);
  made->path_ = settings.save;
  const auto saved = check(settings.save);
  if (saved) s.secret = saved->secret;
  made->secret_ = s.secret;
  made->ledger_ = std::make_unique<ledger::Ledger>(s, made->memory_);
  if (saved) {
    const auto restored = ledger::restore(settings.save, *saved, *made->ledger_, now);
    if (restored)
      spdlog::info("ledger: {} of {} saved commands are young enough", *restored, saved->count);
    else
      spdlog::warn("ledger: starts empty: {}", restored.error().message);
  }
  return made;
}

void LedgerMemory::save(const ledger::Moment& now) const {
  if (path_.empty()) return;
  const auto saved = ledger::save(path_, *ledger_, secret_, now);
  if (saved)
    spdlog::info("ledger: {} answered commands saved in {}", *saved, path_);
  else
    spdlog::error("ledger: not saved: {}", saved.error().message);
}

LedgerMemory::~LedgerMemory() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
}

}  // namespace lf::daemon
