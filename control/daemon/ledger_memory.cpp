// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/ledger_memory.hpp"

#include <numaif.h>
#include <rte_common.h>
#include <rte_lcore.h>
#include <rte_memory.h>
#include <sodium.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>

#include <optional>

namespace lf::daemon {
namespace {

constexpr uint32_t kFirstWorkerLcore = 1;  // ports/eal.cpp: the main lcore is 0

// Anonymous memory is zeroed and page-aligned.
void* map(uint64_t bytes, int flags) {
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

// Takes pages of that NUMA node while it has some, and takes them now: page faults belong to the
// start, not to the first packets. A kernel without NUMA refuses the first, which does no harm.
bool populate(void* memory, uint64_t bytes, uint32_t numa_node) {
  if (numa_node < 64) {
    const unsigned long node = 1ul << numa_node;
    mbind(memory, bytes, MPOL_PREFERRED, &node, 64, 0);
  }
  return madvise(memory, bytes, MADV_POPULATE_WRITE) == 0;
}

// Explicit huge pages first, else transparent ones.
void* take(uint64_t bytes, uint32_t numa_node, bool& huge) {
  void* memory = map(bytes, MAP_HUGETLB);
  huge = memory != nullptr && populate(memory, bytes, numa_node);
  if (huge) return memory;
  if (memory != nullptr) munmap(memory, bytes);
  memory = map(bytes, 0);
  if (memory == nullptr) return nullptr;
  madvise(memory, bytes, MADV_HUGEPAGE);
  populate(memory, bytes, numa_node);
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
  made->bytes_ = RTE_ALIGN_CEIL(settings.entries * ledger::kBytesPerEntry, RTE_PGSIZE_2M);
  made->memory_ = take(made->bytes_, rte_lcore_to_socket_id(kFirstWorkerLcore), made->huge_);
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
