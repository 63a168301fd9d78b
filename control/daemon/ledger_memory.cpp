// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/ledger_memory.hpp"

#include <sodium.h>
#include <sys/mman.h>

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

}  // namespace

Result<std::unique_ptr<LedgerMemory>> LedgerMemory::create(const config::Ledger& settings,
                                                           uint64_t tsc_hz, int socket) {
  (void)socket;  // first touched by the workers that use it, so the kernel puts it near them
  auto made = std::unique_ptr<LedgerMemory>(new LedgerMemory);
  made->huge_ = true;
  const uint64_t slots = settings.entries * sizeof(ledger::Slot);
  const uint64_t flights = settings.entries * sizeof(ledger::FlightRecord);
  made->bytes_ = slots + flights;
  made->slots_ = map(slots, made->huge_);
  made->flights_ = map(flights, made->huge_);
  if (made->slots_ == nullptr || made->flights_ == nullptr) {
    return fail(ErrorCode::unavailable, "ledger.entries = {} needs {} MiB, which cannot be had",
                settings.entries, made->bytes_ >> 20);
  }
  ledger::Settings s{.entries = settings.entries,
                     .window_tsc = Tsc{settings.window_s} * tsc_hz,
                     .org_share = settings.org_share,
                     .secret = {}};
  randombytes_buf(&s.secret, sizeof s.secret);
  made->ledger_ = std::make_unique<ledger::Ledger>(
      s, ledger::Memory{.slots = made->slots_, .flights = made->flights_});
  return made;
}

LedgerMemory::~LedgerMemory() {
  if (slots_ != nullptr) munmap(slots_, ledger_ ? ledger_->capacity() * sizeof(ledger::Slot) : 0);
  if (flights_ != nullptr) {
    munmap(flights_, ledger_ ? ledger_->capacity() * sizeof(ledger::FlightRecord) : 0);
  }
}

}  // namespace lf::daemon
