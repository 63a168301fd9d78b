// SPDX-License-Identifier: Apache-2.0
#include "control/policy/classes.hpp"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <map>

namespace lf::policy {
namespace {

uint64_t hash_of(const Bits& bits) {
  uint64_t h = 0x243f6a8885a308d3ull;
  for (const uint64_t w : bits) {
    h = (h ^ w) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 29;
  }
  return h;
}

// For dimensions with few values: asks every row about every value.
template <typename Matches>
ClassMap by_asking(Dim dim, const RowList& list, uint32_t values, Matches matches) {
  ClassMap map{dim, {}, {}};
  BitmapSet set;
  for (uint32_t v = 0; v < values; ++v) {
    Bits bits(list.words());
    for (uint32_t r = 0; r < list.rows.size(); ++r)
      if (matches(*list.rows[r], v)) policy::set(bits, r);
    map.of_value.push_back(set.intern(std::move(bits)));
  }
  map.rows = set.take();
  return map;
}

// Severity 0 counts as 1 and what is above 5 as 5; the rules' masks say so already.
ClassMap severity_classes(const RowList& list) {
  return by_asking(Dim::severity, list, kSmallValues,
                   [](const Condition& c, uint32_t v) { return c.severity >> v & 1; });
}

// The value is a subset of the mentioned roles, squeezed together. Rows with the same test are
// asked once.
ClassMap role_classes(const RowList& list) {
  std::vector<std::pair<BitTest, Bits>> tests;
  for (uint32_t r = 0; r < list.rows.size(); ++r) {
    const BitTest& test = list.rows[r]->roles;
    auto it = std::find_if(tests.begin(), tests.end(),
                           [&](const auto& known) { return known.first == test; });
    if (it == tests.end()) it = tests.insert(tests.end(), {test, Bits(list.words())});
    set(it->second, r);
  }
  ClassMap map{Dim::role, {}, {}};
  BitmapSet set;
  std::map<Bits, uint32_t> by_answers;  // which tests hold -> class
  for (uint32_t v = 0; v < 1u << std::popcount(list.role_mask); ++v) {
    const uint32_t roles = _pdep_u32(v, list.role_mask);
    Bits answers((tests.size() + 63) / 64);
    for (uint32_t t = 0; t < tests.size(); ++t)
      if (tests[t].first.test(roles)) policy::set(answers, t);
    const auto [it, added] = by_answers.emplace(answers, 0);
    if (added) {
      Bits bits(list.words());
      for (uint32_t t = 0; t < tests.size(); ++t)
        if (test(answers, t))
          for (uint32_t w = 0; w < list.words(); ++w) bits[w] |= tests[t].second[w];
      it->second = set.intern(std::move(bits));
    }
    map.of_value.push_back(it->second);
  }
  map.rows = set.take();
  return map;
}

// Sweeps over the risks; a row's bit flips where one of its ranges begins or ends.
ClassMap risk_classes(const RowList& list) {
  std::map<uint32_t, std::vector<uint32_t>> flips;  // risk -> rows
  for (uint32_t r = 0; r < list.rows.size(); ++r)
    for (const Range& range : list.rows[r]->risk) {
      flips[range.low].push_back(r);
      flips[range.high + 1u].push_back(r);
    }
  ClassMap map{Dim::risk, std::vector<uint32_t>(kRiskValues), {}};
  BitmapSet set;
  Bits bits(list.words());
  uint32_t current = 0;
  auto next = flips.begin();
  for (uint32_t risk = 0; risk < kRiskValues; ++risk) {
    if (risk == 0 || (next != flips.end() && next->first == risk)) {
      if (next != flips.end() && next->first == risk) {
        for (const uint32_t r : next->second) flip(bits, r);
        ++next;
      }
      current = set.intern(Bits(bits));
    }
    map.of_value[risk] = current;
  }
  map.rows = set.take();
  return map;
}

// Values that no row names share the class of the last value ("every other").
template <typename SetOf>
ClassMap id_classes(Dim dim, const RowList& list, const std::vector<uint32_t>& id_of_value,
                    SetOf set_of) {
  Bits other(list.words());
  std::unordered_map<uint32_t, std::vector<uint32_t>> named;  // id -> rows that name it
  for (uint32_t r = 0; r < list.rows.size(); ++r) {
    const IdSet& ids = set_of(*list.rows[r]);
    if (ids.negated) set(other, r);
    for (const uint32_t id : ids.ids) named[id].push_back(r);
  }
  ClassMap map{dim, {}, {}};
  BitmapSet set;
  const uint32_t other_class = set.intern(Bits(other));
  for (const uint32_t id : id_of_value) {
    const auto rows = named.find(id);
    if (rows == named.end()) {
      map.of_value.push_back(other_class);
      continue;
    }
    Bits bits = other;
    for (const uint32_t r : rows->second) flip(bits, r);
    map.of_value.push_back(set.intern(std::move(bits)));
  }
  map.of_value.push_back(other_class);
  map.rows = set.take();
  return map;
}

std::vector<uint32_t> mentioned_groups(const RowList& list) {
  uint32_t last = 0;
  for (const Condition* c : list.rows)
    if (!c->groups.ids.empty()) last = std::max(last, c->groups.ids.back());
  std::vector<uint32_t> ids(last + 1);
  for (uint32_t i = 0; i <= last; ++i) ids[i] = i;
  return ids;
}

}  // namespace

Bits operator&(const Bits& a, const Bits& b) {
  Bits out(a.size());
  for (size_t w = 0; w < a.size(); ++w) out[w] = a[w] & b[w];
  return out;
}

uint32_t first_bit(const Bits& bits) {
  for (size_t w = 0; w < bits.size(); ++w)
    if (bits[w]) return static_cast<uint32_t>(w * 64) + std::countr_zero(bits[w]);
  return kNoRow;
}

uint32_t BitmapSet::intern(Bits&& bits) {
  const uint64_t hash = hash_of(bits);
  const auto [from, to] = by_hash_.equal_range(hash);
  for (auto it = from; it != to; ++it)
    if (bits_[it->second] == bits) return it->second;
  const uint32_t id = static_cast<uint32_t>(bits_.size());
  bits_.push_back(std::move(bits));
  by_hash_.emplace(hash, id);
  return id;
}

void append_rows(const RuleSet& rules, RowList& list) {
  for (const Rule& rule : rules.rules)
    for (const Condition& c : rule.alternatives) {
      list.rows.push_back(&c);
      list.role_mask |= c.roles.mentioned();
    }
}

std::vector<ClassMap> build_classes(const RowList& list, const OrgIds& orgs) {
  std::vector<ClassMap> maps;
  maps.push_back(by_asking(Dim::clearance, list, kSmallValues,
                           [](const Condition& c, uint32_t v) { return c.clearance >> v & 1; }));
  maps.push_back(by_asking(Dim::mfa, list, kSmallValues,
                           [](const Condition& c, uint32_t v) { return c.mfa >> v & 1; }));
  maps.push_back(severity_classes(list));
  maps.push_back(by_asking(Dim::comms, list, 2,
                           [](const Condition& c, uint32_t v) { return c.comms >> v & 1; }));
  maps.push_back(by_asking(Dim::intent, list, 256,
                           [](const Condition& c, uint32_t v) { return c.intents.test(v); }));
  maps.push_back(role_classes(list));
  maps.push_back(risk_classes(list));
  maps.push_back(
      id_classes(Dim::org, list, orgs, [](const Condition& c) -> const IdSet& { return c.orgs; }));
  maps.push_back(id_classes(Dim::group, list, mentioned_groups(list),
                            [](const Condition& c) -> const IdSet& { return c.groups; }));
  return maps;
}

uint32_t constrained_dims(const Condition& c) {
  const auto bit = [](Dim dim, bool constrained) {
    return static_cast<uint32_t>(constrained) << static_cast<uint32_t>(dim);
  };
  const bool any_risk = c.risk.size() == 1 && c.risk[0] == Range{0, kRiskValues - 1};
  return bit(Dim::clearance, c.clearance != 0xffff) | bit(Dim::mfa, c.mfa != 0xffff) |
         bit(Dim::severity, c.severity != 0xffff) | bit(Dim::comms, c.comms != 3) |
         bit(Dim::intent, !c.intents.all()) | bit(Dim::role, c.roles.mentioned() != 0) |
         bit(Dim::risk, !any_risk) | bit(Dim::org, !c.orgs.is_all()) |
         bit(Dim::group, !c.groups.is_all()) | (c.patterns.mentioned() != 0 ? 1u << kDims : 0);
}

}  // namespace lf::policy
