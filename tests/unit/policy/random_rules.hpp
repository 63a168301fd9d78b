// SPDX-License-Identifier: Apache-2.0
// Random rule sets and inputs for property tests and benchmarks.
#pragma once

#include <algorithm>
#include <random>

#include "control/policy/rules.hpp"

namespace lf::policy {

class RandomRules {
 public:
  RandomRules(uint64_t seed, uint32_t orgs, bool patterns)
      : random_(seed), orgs_(orgs), patterns_(patterns) {}

  RuleSet rules(uint32_t count) {
    RuleSet set;
    set.version = 7;
    for (uint32_t n = 0; n < count; ++n) {
      Rule rule;
      rule.id = "r" + std::to_string(n + 1);
      rule.outcome = static_cast<PolicyOutcome>(below(3));
      rule.alternatives.resize(one_in(4) ? 1 + below(3) : 1);
      for (Condition& c : rule.alternatives) c = condition();
      set.rules.push_back(std::move(rule));
    }
    return set;
  }

  Inputs inputs() {
    Inputs in;
    in.org_id = 1 + below(orgs_ + 1);  // one of them is not configured
    in.intent = static_cast<uint8_t>(below(8));
    in.severity = static_cast<uint8_t>(below(8));
    in.clearance = static_cast<uint8_t>(below(8));
    in.mfa_level = static_cast<uint8_t>(below(5));
    in.comms_degraded = one_in(2);
    in.risk_centi = static_cast<uint16_t>(one_in(2) ? below(21) * 500 : below(10'001));
    in.group = static_cast<uint16_t>(below(7));
    in.role_bits = one_in(2) ? 1u << below(8) : below(256);
    in.pattern_bits = patterns_ ? below(16) : 0;
    return in;
  }

  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool one_in(uint32_t n) { return below(n) == 0; }

 private:
  uint16_t mask() { return static_cast<uint16_t>(1 + below(0xffff)); }
  BitTest bit_test(uint32_t bits) {
    BitTest t;
    if (one_in(2)) t.any = below(1u << bits);
    if (one_in(3)) t.all = 1u << below(bits);
    if (one_in(3)) t.none = 1u << below(bits);
    return t;
  }
  IdSet id_set(uint32_t values) {
    IdSet set;
    set.negated = one_in(3);
    for (uint32_t n = 1 + below(3); n > 0; --n) set.ids.push_back(1 + below(values));
    std::sort(set.ids.begin(), set.ids.end());
    set.ids.erase(std::unique(set.ids.begin(), set.ids.end()), set.ids.end());
    return set;
  }
  std::vector<Range> ranges() {
    std::vector<Range> out;
    uint32_t at = below(2) * below(100);
    for (uint32_t n = 1 + below(3); n > 0 && at < 100; --n) {
      const uint32_t end = std::min(100u, at + below(50));
      out.push_back({static_cast<uint16_t>(at * 100), static_cast<uint16_t>(end * 100)});
      at = end + 2;
    }
    if (out.empty()) out.push_back({10'000, 10'000});
    return out;
  }
  // A mask as the parser makes it: severity 0 like 1, 6 and above like 5.
  uint16_t severity_mask() {
    uint16_t m = mask() & 0x3e;
    if (m == 0) m = 2;
    if (m & 2) m |= 1;
    if (m & 0x20) m |= 0xffc0;
    return m;
  }
  Condition condition() {
    Condition c;
    if (one_in(3)) c.clearance = mask();
    if (one_in(4)) c.mfa = mask();
    if (one_in(4)) c.severity = severity_mask();
    if (one_in(5)) c.comms = static_cast<uint8_t>(1 + below(2));
    if (one_in(2)) {
      c.intents.reset();
      for (uint32_t n = 1 + below(3); n > 0; --n) c.intents.set(below(8));
      if (one_in(4)) c.intents.flip();
    }
    if (one_in(3)) c.risk = ranges();
    if (one_in(4)) c.roles = bit_test(8);
    if (one_in(2)) c.orgs = id_set(orgs_);
    if (one_in(4)) c.groups = id_set(5);
    if (patterns_ && one_in(3)) c.patterns = bit_test(4);
    return c;
  }

  std::mt19937_64 random_;
  uint32_t orgs_;
  bool patterns_;
};

}  // namespace lf::policy
