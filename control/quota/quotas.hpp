// SPDX-License-Identifier: Apache-2.0
// Quotas as control keeps them: the limits of the configuration, those set at run time over them,
// the Table for workers made from both, and the windows, which outlive every Table.
// A limit set at run time holds until it is taken back or the daemon stops, also over a reload.
// Thread: control. Reading a window while workers use it is safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "dataplane/quota/table.hpp"
#include "dataplane/quota/windows.hpp"

namespace lf::quota {

enum class Tier : uint8_t { allow, delay, reject };
const char* name_of(Tier tier);

// What the next command of a key would get.
struct KeyStatus {
  bool counted = false;
  int64_t limit = -1;  // per minute; -1: none
  bool hard = false;
  uint32_t used = 0;  // admitted in the window
  double utilization_percent = 0;
  Tier tier = Tier::allow;
  std::optional<uint32_t> remaining;  // nothing: no limit
  uint32_t reset_seconds = 0;         // until there is room; 0: there is
  uint32_t throttle_ms = 0;           // the delay, or the wait until there is room
  uint64_t rejected = 0;              // since start
};

// Of an (organisation, intent): `rules` is the tighter of the two windows.
struct Status {
  KeyStatus rules, intent, org;
};

class Quotas {
 public:
  // workers: a limit below it is admitted whole. now: TSC; tsc_hz: its rate.
  static Result<std::unique_ptr<Quotas>> create(const config::Config& config,
                                                const forward::Slots& slots, uint32_t workers,
                                                uint64_t tsc_hz, Tsc now);

  // What a new configuration makes of them: prepare() fails where there is no window for everything
  // that is limited, and changes nothing. take() follows it; counts stay with their organisation
  // and intent. Nothing else may happen to the quotas between the two.
  struct Prepared;
  Result<Prepared> prepare(const config::Config& config, const forward::Slots& slots) const;
  void take(Prepared&& next, Tsc now);

  // Sets a limit at run time, or, without one, goes back to the configuration's.
  Result<void> set(Key key, std::optional<config::Quota> quota, Tsc now);

  // The table as it now is; the same pointer while nothing changes.
  std::shared_ptr<const Table> table();
  Windows& windows() { return *windows_; }
  const Windows& windows() const { return *windows_; }

  KeyStatus key_status(Key key, Tsc now) const;

  std::optional<OrgIndex> find_org(std::string_view name) const;
  std::optional<OrgIndex> find_org(uint32_t id) const;
  std::optional<IntentIndex> find_intent(std::string_view name) const;  // "other" is index 0
  IntentIndex find_intent(uint8_t code) const;                          // kOtherIntent: unknown
  std::string org_name(OrgIndex org) const;
  std::string intent_name(IntentIndex intent) const;  // empty: no such intent
  bool is_set(Key key) const { return set_.contains(key); }

 private:
  struct Org {
    std::string name;
    uint32_t id = 0;
    uint32_t epoch = 0;  // of its index: another one means another owner
    bool in_use = false;
  };
  struct Intent {
    std::string name;
    uint8_t code = 0;
    uint32_t epoch = 0;
  };

  struct Names {
    std::vector<Org> orgs;        // by OrgIndex
    std::vector<Intent> intents;  // by IntentIndex; [0] is "other"
    std::unordered_map<std::string, OrgIndex> org_by_name;
    std::unordered_map<uint32_t, OrgIndex> org_by_id;
    template <typename Visit>
    void each_key(Visit&& visit) const;
  };

  Quotas(uint32_t workers, uint64_t tsc_hz) : workers_(workers), tsc_hz_(tsc_hz) {}
  static Result<Names> names_of(const config::Config& config, const forward::Slots& slots);
  Result<void> check_room(const Table& table, const Names& names) const;
  void rename(Names&& next, Tsc now);
  Limit& place(Table& table, Key key) const;
  Limit limit_at(const Table& table, Key key) const;
  void apply_set_limits(Table& table) const;
  void open_windows(Table& table, Tsc now);

  uint32_t workers_;
  uint64_t tsc_hz_;
  std::unique_ptr<Windows> windows_;
  Names names_;
  std::unordered_map<Key, Limit> set_;  // at run time
  Table configured_;                    // limits of the configuration alone
  Table current_;                       // with those set at run time
  std::shared_ptr<const Table> table_;  // current_ as last handed out; null: changed since
};

struct Quotas::Prepared {
  Names names;
  Table table;  // limits of the configuration alone
};

// What the next command of this organisation and intent would get.
Status quota_status(const Quotas& quotas, OrgIndex org, IntentIndex intent, Tsc now);

// The `count` keys that rank highest, the highest first.
enum class Rank : uint8_t { used, utilization, rejected };
struct TopKey {
  Key key = 0;
  KeyStatus status;
};
std::vector<TopKey> top_keys(const Quotas& quotas, Rank rank, size_t count, Tsc now);

}  // namespace lf::quota
