// SPDX-License-Identifier: Apache-2.0
// A ledger with memory of its own, and names for commands, for the tests of all that uses one.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/ledger/find.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::ledger::test {

inline Secret test_secret() {
  Secret s;
  for (int i = 0; i < 16; ++i) s.aes_key[i] = static_cast<uint8_t>(17 * i + 3);
  s.tweak[0] = 0x0123456789abcdef;
  s.tweak[1] = 0xfedcba9876543210;
  return s;
}

inline Settings small(Tsc window_tsc = 6400, double org_share = 0.5, bool lone_worker = false) {
  return {kEntriesMin, window_tsc, org_share, test_secret(), lone_worker};
}

struct Id {
  uint8_t bytes[16] = {};
  explicit Id(uint64_t n) { std::memcpy(bytes, &n, sizeof n); }
};

class TestLedger {
 public:
  explicit TestLedger(const Settings& settings = small())
      : buckets_(settings.entries / kWays),
        ledger_(settings, buckets_.data()) {}

  Ledger& operator*() { return ledger_; }
  Ledger* operator->() { return &ledger_; }
  const Ledger* operator->() const { return &ledger_; }

  Hash hash(uint32_t org, uint64_t id) const {
    const Id name(id);
    return ledger_.hasher().one({name.bytes, space_of(org, true)});
  }
  Admission admit(uint32_t org, uint64_t id, uint8_t attempt, Tsc now) {
    const Command c{hash(org, id), static_cast<uint16_t>(org % kGroups), attempt};
    Admission a;
    ledger_.admit(&c, 1, now, counts, &a);
    return a;
  }
  Found find(uint32_t org, uint64_t id, Tsc now) const {
    const Hash h = hash(org, id);
    Found f;
    ledger_.find(&h, 1, now, &f);
    return f;
  }
  // The first `count` ids of an organisation that fall into a bucket.
  std::vector<uint64_t> ids_of_bucket(uint32_t org, uint64_t bucket, size_t count) const {
    std::vector<uint64_t> ids;
    for (uint64_t id = 1; ids.size() < count; ++id)
      if ((hash(org, id).hi & (ledger_.buckets() - 1)) == bucket) ids.push_back(id);
    return ids;
  }

  Counts counts;

 private:
  std::vector<Bucket> buckets_;
  Ledger ledger_;
};

inline Flight flight_to(NodeSlot node, Tsc sent, uint8_t attempt = 0) {
  Flight f;
  f.client.address = {0x1122334455667788, 0x99aabbccddeeff00};
  f.client.local = {0, 0x0100007fffff0000};
  f.client.port = 0x1234;
  f.client.local_port = 0x4321;
  f.client.mac = {{2, 0, 0, 0, 0, 9}};
  f.client.vlan_tci = 7;
  f.client.out_port = 3;
  f.client.ip_version = 6;
  f.sent = sent & ~Tsc{0xff};
  f.replay_slot = 0xabcdef01;
  f.service = 5;
  f.node = node;
  f.breaker_epoch = 0x8001;
  f.attempt = attempt;
  f.flags = kFlightReplayable;
  return f;
}

}  // namespace lf::ledger::test
