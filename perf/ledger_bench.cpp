// SPDX-License-Identifier: Apache-2.0
// What the ledger costs a command: a burst of 32 distinct new ids is hashed, looked up and entered,
// in a table that is full of live ids. As on a worker, the buckets of a burst are asked for a while
// before they are read (there, tags are computed meanwhile; here, the burst before is entered):
// "at_once" does without that. Rows without "threads" or a layout's name are of a ledger that has
// one worker alone, and so writes without compare-and-swap. The clock stops while the entries are
// marked as sent, which is the next stage's work, and bursts in which the thread was interrupted are
// left out. "ledger_tags" are the same with the other layout of perf/ledger_designs.hpp.
//
// `ledger_bench --distinct N` instead enters N distinct ids and says how many were not fresh.
#include <benchmark/benchmark.h>

#include <rte_cycles.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dataplane/ledger/ledger.hpp"
#include "perf/ledger_designs.hpp"

namespace lf::ledger {
namespace {

constexpr uint32_t kBurst = 32;
constexpr double kInterruptedNs = 20'000;  // longer than any burst takes by itself
constexpr size_t kHugePage = 2u << 20;

// Zeroed, in huge pages where there are any.
class Pages {
 public:
  explicit Pages(size_t bytes) : bytes_((bytes + kHugePage) / kHugePage * kHugePage + kHugePage) {
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory_, bytes_, MADV_HUGEPAGE);
  }
  ~Pages() { munmap(memory_, bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  void* begin() const {
    const auto at = reinterpret_cast<uintptr_t>(memory_);
    return reinterpret_cast<void*>((at + kHugePage - 1) / kHugePage * kHugePage);
  }

 private:
  size_t bytes_;
  void* memory_;
};

double ns_per_tick() {
  static const double value = [] {
    const auto start = std::chrono::steady_clock::now();
    const uint64_t tsc = rte_rdtsc();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const std::chrono::duration<double, std::nano> ns = std::chrono::steady_clock::now() - start;
    return ns.count() / static_cast<double>(rte_rdtsc() - tsc);
  }();
  return value;
}

Settings settings_of(uint64_t entries) {
  Settings s{.entries = entries, .window_tsc = uint64_t{1} << 50, .org_share = 0.5, .secret = {}};
  for (int i = 0; i < 16; ++i) s.secret.aes_key[i] = static_cast<uint8_t>(29 * i + 7);
  s.secret.tweak[0] = 0x0123456789abcdef;
  s.secret.tweak[1] = 0xfedcba9876543210;
  return s;
}

// Ids of many organisations, or of one: new ones, or those from `first` to `last` over and over.
class Ids {
 public:
  Ids(uint64_t first, uint32_t orgs, uint64_t last = UINT64_MAX)
      : first_(first), last_(last), next_(first), orgs_(orgs) {}
  void fill(Name* names, uint16_t* groups) {
    for (uint32_t k = 0; k < kBurst; ++k, next_ = next_ == last_ ? first_ : next_ + 1) {
      std::memcpy(bytes_[k], &next_, sizeof next_);
      const auto org = static_cast<uint32_t>(1 + next_ % orgs_);
      names[k] = {bytes_[k], space_of(org, true)};
      groups[k] = Ledger::group_of(static_cast<OrgIndex>(org), true);
    }
  }

 private:
  uint64_t first_, last_, next_;
  uint32_t orgs_;
  uint8_t bytes_[kBurst][16] = {};
};

template <typename Table>
struct Worker {
  explicit Worker(const Ids& which) : ids(which) {}

  // `count` commands from `first` on.
  void hash(const Table& ledger, Command* to, uint32_t first = 0, uint32_t count = kBurst) {
    Hash hashes[kBurst];
    ledger.hasher().run(names + first, count, hashes);
    for (uint32_t k = 0; k < count; ++k) {
      to[first + k] = {hashes[k], groups[first + k], 0};
      ledger.prefetch(hashes[k]);
    }
  }
  // As if sent: an entry that a worker still owns is not overwritten.
  void done(Table& ledger) {
    for (const Admission& a : admissions)
      if (a.result == Lookup::fresh) ledger.park(a.ref);
  }

  Ids ids;
  Name names[kBurst];
  uint16_t groups[kBurst];
  Command commands[2][kBurst];
  Admission admissions[kBurst];
  Counts counts;
};

constexpr uint32_t kPart = 8;
constexpr uint32_t kOrgs = 64;

// As the daemon's of one worker.
struct LoneLedger : Ledger {
  LoneLedger(Settings settings, void* memory) : Ledger(alone(settings), memory) {}
  static Settings alone(Settings s) {
    s.lone_worker = true;
    return s;
  }
};

template <typename Table>
constexpr size_t kEntryBytes = Table::kBytesPerEntry;
template <>
constexpr size_t kEntryBytes<LoneLedger> = kBytesPerEntry;
template <>
constexpr size_t kEntryBytes<Ledger> = kBytesPerEntry;

template <typename Table>
struct Rig {
  explicit Rig(uint64_t entries)
      : memory(entries * kEntryBytes<Table>), ledger(settings_of(entries), memory.begin()) {
    // Twice its size, so that all buckets but a handful are full. Flights are not written here.
    Worker<Table> filler(Ids(1, kOrgs));
    for (uint64_t n = 0; n < 2 * entries; n += kBurst) enter(filler);
  }
  // New ids of organisation 1, until it has its share of the buckets.
  void flood(uint64_t ids) {
    Worker<Table> flooder(Ids(uint64_t{1} << 60, 1));
    for (uint64_t n = 0; n < ids; n += kBurst) enter(flooder);
  }
  void enter(Worker<Table>& worker) {
    worker.ids.fill(worker.names, worker.groups);
    worker.hash(ledger, worker.commands[0]);
    ledger.admit(worker.commands[0], kBurst, 1, worker.counts, worker.admissions);
    worker.done(ledger);
  }

  Pages memory;
  Table ledger;
};

// One rig at a time: the large one takes 1.3 GB.
struct Made {
  uint64_t entries = 0;
  bool flooded = false;
};
Made made;
void (*drop_rig)() = nullptr;  // of whichever table

template <typename Table>
Rig<Table>& rig_of(uint64_t entries, bool flooded) {
  static std::unique_ptr<Rig<Table>> rig;
  if (!rig || made.entries != entries || (made.flooded && !flooded)) {
    if (drop_rig != nullptr) drop_rig();
    rig = std::make_unique<Rig<Table>>(entries);
    drop_rig = [] { rig.reset(); };
    made = {entries, false};
  }
  if (flooded && !made.flooded) rig->flood(entries);
  made.flooded = flooded;
  return *rig;
}

enum class Fetch { ahead, at_once };

enum class What {
  fresh,
  flood,      // new ids of one organisation, which has its share of each bucket already
  duplicates  // of the newest entries: half as many as the table has
};

template <typename Table>
void insert(benchmark::State& bench, uint64_t entries, What what, Fetch fetch = Fetch::ahead) {
  static Rig<Table>* rig = nullptr;
  if (bench.thread_index() == 0) rig = &rig_of<Table>(entries, what == What::flood);
  static std::atomic<uint64_t> runs{1};
  const uint64_t first_id = runs.fetch_add(1) << 40;
  auto worker = std::make_unique<Worker<Table>>(
      what == What::duplicates ? Ids(first_id, kOrgs, first_id + entries / 2 - 1)
                               : Ids(first_id, what == What::flood ? 1 : kOrgs));
  uint32_t turn = 0;
  uint64_t ticks = 0, packets = 0, interrupted = 0, fresh_before = 0;
  const auto limit = static_cast<uint64_t>(kInterruptedNs / ns_per_tick());
  bool first = true;
  for (auto _ : bench) {
    if (first) {  // threads wait for each other before the loop: the rig is there now
      if (what == What::duplicates) {
        bench.PauseTiming();  // or it would be counted when the number of bursts is chosen
        for (uint64_t n = 0; n < entries / 2; n += kBurst) rig->enter(*worker);
        bench.ResumeTiming();
      }
      fresh_before = worker->counts.fresh.read();
      worker->ids.fill(worker->names, worker->groups);
      worker->hash(rig->ledger, worker->commands[0]);
      first = false;
    }
    worker->ids.fill(worker->names, worker->groups);
    const uint64_t start = rte_rdtsc();
    if (fetch == Fetch::at_once) {
      worker->hash(rig->ledger, worker->commands[turn ^ 1]);
      rig->ledger.admit(worker->commands[turn ^ 1], kBurst, 1, worker->counts, worker->admissions);
    } else {  // in parts: more prefetches at once would be dropped (docs/decisions/0006)
      for (uint32_t at = 0; at < kBurst; at += kPart) {
        worker->hash(rig->ledger, worker->commands[turn ^ 1], at, kPart);
        rig->ledger.admit(worker->commands[turn] + at, kPart, 1, worker->counts,
                          worker->admissions + at);
      }
    }
    const uint64_t took = rte_rdtsc() - start;
    turn ^= 1;
    worker->done(rig->ledger);
    if (took > limit) {
      ++interrupted;
      continue;
    }
    ticks += took;
    packets += kBurst;
  }
  const double ns = static_cast<double>(ticks) * ns_per_tick() / static_cast<double>(packets);
  bench.counters["time_per_packet"] = benchmark::Counter(ns * 1e-9, benchmark::Counter::kAvgThreads);
  bench.counters["interrupted"] = static_cast<double>(interrupted);
  bench.counters["fresh_share"] = benchmark::Counter(
      static_cast<double>(worker->counts.fresh.read() - fresh_before) /
          static_cast<double>(bench.iterations() * kBurst),
      benchmark::Counter::kAvgThreads);
  bench.counters["evicted_share"] = benchmark::Counter(
      static_cast<double>(worker->counts.evicted_early.read()) /
          static_cast<double>(std::max<uint64_t>(worker->counts.fresh.read(), 1)),
      benchmark::Counter::kAvgThreads);
  bench.counters["full"] = static_cast<double>(worker->counts.full.read());
}

// What no ledger of this layout can do without: the lines of random buckets asked for, a part ahead,
// and then one slot and its flight written. No hash, no look, no decision.
enum class Write { store, swap };

void memory_only(benchmark::State& bench, uint64_t entries, Write how) {
  const uint64_t buckets = entries / kWays;
  const Pages memory(entries * kBytesPerEntry);
  auto* const table = static_cast<Bucket*>(memory.begin());
  for (uint64_t b = 0; b < buckets; ++b) table[b].slot[0].set({b, b});
  std::vector<uint64_t> picks(1u << 20);
  uint64_t random = 88172645463325252;
  for (uint64_t& pick : picks) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    pick = random;
  }
  const FlightWords flight{Flight{}};
  size_t next = 0, done = 0;
  for (auto _ : bench) {
    for (uint32_t part = 0; part < kBurst; part += kPart) {
      for (uint32_t k = 0; k < kPart; ++k) {
        Bucket& b = table[picks[next + k] & (buckets - 1)];
        __builtin_prefetch(&b, 1);
        __builtin_prefetch(reinterpret_cast<const char*>(&b) + kCacheLine, 1);
        __builtin_prefetch(&b.flight[picks[next + k] >> 60 & (kWays - 1)], 1);
      }
      for (uint32_t k = 0; k < kPart && next != 0; ++k) {
        const uint64_t pick = picks[next + k - kPart];
        Bucket& b = table[pick & (buckets - 1)];
        const uint32_t way = pick >> 60 & (kWays - 1);
        const Word now = b.slot[way].load();
        if (how == Write::store)
          b.slot[way].set({pick, now.hi + 1});
        else
          benchmark::DoNotOptimize(b.slot[way].replace(now, {pick, now.hi + 1}));
        b.flight[way].store(flight);
      }
      done += kPart;
      next = (next + kPart) % picks.size();
    }
  }
  bench.counters["time_per_packet"] =
      benchmark::Counter(static_cast<double>(done), benchmark::Counter::kIsRate |
                                                        benchmark::Counter::kInvert);
}

constexpr uint64_t kLarge = uint64_t{1} << 24;

// What the layouts are compared by: sizes from the caches' to memory's, one worker and two.
template <typename Table>
void register_layout(const std::string& name) {
  using benchmark::RegisterBenchmark;
  for (const uint32_t bits : {14, 20, 24}) {
    const uint64_t entries = uint64_t{1} << bits;
    const std::string size = "/" + std::to_string(bits);
    RegisterBenchmark((name + ".fresh" + size).c_str(), [entries](benchmark::State& s) {
      insert<Table>(s, entries, What::fresh);
    })->ThreadRange(1, 2);
    RegisterBenchmark((name + ".duplicates" + size).c_str(), [entries](benchmark::State& s) {
      insert<Table>(s, entries, What::duplicates);
    });
  }
}

void register_all() {
  using benchmark::RegisterBenchmark;
  RegisterBenchmark("ledger.burst_insert",
                    [](benchmark::State& s) { insert<LoneLedger>(s, kLarge, What::fresh); });
  RegisterBenchmark("ledger.burst_insert_at_once", [](benchmark::State& s) {
    insert<LoneLedger>(s, kLarge, What::fresh, Fetch::at_once);
  });
  RegisterBenchmark("ledger.flood",
                    [](benchmark::State& s) { insert<LoneLedger>(s, kLarge, What::flood); });
  for (uint64_t bits = 10; bits <= 24; bits += 2)
    RegisterBenchmark(
        ("ledger.burst_insert_by_entries/" + std::to_string(bits)).c_str(),
        [bits](benchmark::State& s) { insert<LoneLedger>(s, uint64_t{1} << bits, What::fresh); });
  RegisterBenchmark("ledger.burst_insert_by_threads", [](benchmark::State& s) {
    insert<Ledger>(s, kLarge, What::fresh);
  })->ThreadRange(1, 2);
  for (const uint32_t bits : {14, 20, 24}) {
    const uint64_t entries = uint64_t{1} << bits;
    RegisterBenchmark(("ledger.memory_only.store/" + std::to_string(bits)).c_str(),
                      [entries](benchmark::State& s) { memory_only(s, entries, Write::store); });
    RegisterBenchmark(("ledger.memory_only.swap/" + std::to_string(bits)).c_str(),
                      [entries](benchmark::State& s) { memory_only(s, entries, Write::swap); });
  }
  register_layout<Ledger>("ledger_slots");
  register_layout<designs::Tags<designs::Ids::beside>>("ledger_tags");
  register_layout<designs::Tags<designs::Ids::in_flight>>("ledger_tags_in_flight");
}

// Distinct ids, 64 organisations' by turns, into 2^24 entries: how many were not fresh. 0 is right.
int run_distinct(uint64_t ids) {
  const auto start = std::chrono::steady_clock::now();
  const auto rig = std::make_unique<Rig<Ledger>>(kLarge);
  const auto worker = std::make_unique<Worker<Ledger>>(Ids(uint64_t{1} << 40, kOrgs));
  for (uint64_t n = 0; n < ids; n += kBurst) rig->enter(*worker);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const uint64_t asked = (ids + kBurst - 1) / kBurst * kBurst;
  const uint64_t fresh = worker->counts.fresh.read();
  std::printf("%llu distinct ids, %llu fresh, %llu not, %.0f s\n",
              static_cast<unsigned long long>(asked), static_cast<unsigned long long>(fresh),
              static_cast<unsigned long long>(asked - fresh), took.count());
  return asked == fresh ? 0 : 1;
}

}  // namespace
}  // namespace lf::ledger

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--distinct") == 0)
    return lf::ledger::run_distinct(std::strtoull(argv[2], nullptr, 10));
  lf::ledger::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
