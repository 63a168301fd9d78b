// SPDX-License-Identifier: Apache-2.0
#include "control/policy/condition_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

namespace lf::policy {
namespace {

constexpr int kOtherIntents = 1000;  // stands for every code that is not configured

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// A plain decimal number times `scale` (1 or 100). No sign, no exponent.
std::optional<int> number(std::string_view text, int scale) {
  int value = 0, decimals = -1;
  if (text.empty() || text.size() > 9 || text.front() == '.' || text.back() == '.')
    return std::nullopt;
  for (const char c : text) {
    if (c == '.' && decimals < 0 && scale == 100) {
      decimals = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    if (decimals >= 0 && ++decimals > 2) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  if (scale == 100)
    for (int d = std::max(decimals, 0); d < 2; ++d) value *= 10;
  return value;
}

}  // namespace

void Diagnostics::add(bool error, const YAML::Mark& mark, std::string message) {
  errors_ += error;
  const bool somewhere = !mark.is_null();
  list_.push_back({error, somewhere ? static_cast<uint32_t>(mark.line + 1) : 0,
                   somewhere ? static_cast<uint32_t>(mark.column + 1) : 0, std::move(message)});
}

void for_each_key(
    const YAML::Node& map, std::string_view what, const std::vector<std::string_view>& known,
    Diagnostics& diagnostics,
    const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& f) {
  std::set<std::string> seen;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) {
      diagnostics.error(entry.first.Mark(), "{}: a key must be a word", what);
      continue;
    }
    const std::string& key = entry.first.Scalar();
    if (!known.empty() && std::find(known.begin(), known.end(), key) == known.end()) {
      diagnostics.error(entry.first.Mark(), "{}: unknown key '{}' (known: {})", what, key,
                        fmt::join(known, ", "));
    } else if (!seen.insert(key).second) {
      diagnostics.error(entry.first.Mark(), "{}: key '{}' comes twice", what, key);
    } else {
      f(key, entry.first, entry.second);
    }
  }
}

Condition ConditionParser::parse(const YAML::Node& map) {
  static const std::vector<std::string_view> known = {
      "clearance", "mfa", "role",   "risk",           "intent", "intent_clearance",
      "severity",  "org", "target", "comms_degraded", "payload"};
  Condition c;
  if (!map.IsMap()) {
    diagnostics_.error(map.Mark(), "a condition must be a map like {{clearance: \">= 3\"}}");
    return c;
  }
  for_each_key(map, "condition", known, diagnostics_,
               [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& value) {
                 set(c, key, key_node, value);
               });
  return c;
}

void ConditionParser::set(Condition& c, const std::string& key, const YAML::Node& key_node,
                          const YAML::Node& value) {
  const uint32_t errors_before = diagnostics_.errors();
  if (key == "clearance") c.clearance = small(value, 0, 5);
  if (key == "mfa") c.mfa = small(value, 0, 9);
  if (key == "severity") c.severity = small(value, 1, 5);
  if (key == "risk") c.risk = risk(value);
  if (key == "intent") intents(c, value);
  if (key == "intent_clearance") intent_clearance(c, value);
  if (key == "org") c.orgs = ids(value, [this](const YAML::Node& n) { return org(n); });
  if (key == "target")
    c.groups = ids(value, [this](const YAML::Node& n) { return named(vocabulary_.groups, n); });
  if (key == "role")
    c.roles = bits(value, [this](const YAML::Node& n) { return named(vocabulary_.roles, n); });
  if (key == "payload")
    c.patterns = bits(value, [this](const YAML::Node& n) { return pattern(n); });
  if (key == "comms_degraded") {
    const bool known = value.IsScalar() && (value.Scalar() == "true" || value.Scalar() == "false");
    if (!known)
      diagnostics_.error(value.Mark(), "comms_degraded must be true or false");
    else
      c.comms = value.Scalar() == "true" ? 2 : 1;
  }
  const bool contradiction = c.clearance == 0 || c.mfa == 0 || c.severity == 0 || c.risk.empty();
  if (contradiction && diagnostics_.errors() == errors_before)
    diagnostics_.error(key_node.Mark(), "{}: no value can match this", key);
}

void ConditionParser::expand(const YAML::Node& value, std::vector<YAML::Node>& out, bool nested) {
  if (value.IsSequence() && !nested) {
    for (const YAML::Node& item : value) expand(item, out, true);
    return;
  }
  if (!value.IsScalar()) {
    diagnostics_.error(value.Mark(), "expected a value or a list of values");
    return;
  }
  const std::string& text = value.Scalar();
  if (text.empty()) {
    diagnostics_.error(value.Mark(), "empty value");
  } else if (text.front() != '$') {
    out.push_back(value);
  } else if (const auto list = lists_.find(text.substr(1)); list == lists_.end()) {
    diagnostics_.error(value.Mark(), "unknown list '{}'", text);
  } else {
    out.insert(out.end(), list->second.begin(), list->second.end());
  }
}

ConditionParser::Items ConditionParser::items(const YAML::Node& value) {
  Items items;
  const uint32_t errors_before = diagnostics_.errors();
  YAML::Node inner = value;
  if (value.IsMap()) {
    if (value.size() != 1 || !value["not"]) {
      diagnostics_.error(value.Mark(), "expected a value, a list or {{not: …}}");
      return items;
    }
    items.negated = true;
    inner.reset(value["not"]);
  }
  expand(inner, items.scalars, false);
  if (items.scalars.empty() && diagnostics_.errors() == errors_before)
    diagnostics_.error(value.Mark(), "empty list");
  return items;
}

bool ConditionParser::range(const YAML::Node& scalar, int low, int high, int scale, Range& out) {
  std::string_view text = trimmed(scalar.Scalar());
  int from = low, to = high;
  const auto bound = [&](std::string_view digits) -> std::optional<int> {
    const auto n = number(trimmed(digits), scale);
    if (!n)
      diagnostics_.error(scalar.Mark(), "'{}' is not a number{}, nor a range like \">= 2\" or 2..4",
                         scalar.Scalar(), scale == 100 ? " with at most 2 decimals" : "");
    else if (*n < low || *n > high)
      diagnostics_.error(scalar.Mark(), "'{}' is outside {}..{}", scalar.Scalar(), low / scale,
                         high / scale);
    else
      return n;
    return std::nullopt;
  };
  std::optional<int> n;
  if (const size_t dots = text.find(".."); dots != text.npos) {
    const auto first = bound(text.substr(0, dots));
    n = first ? bound(text.substr(dots + 2)) : std::nullopt;
    if (n) from = *first, to = *n;
  } else if (text.starts_with(">=")) {
    if ((n = bound(text.substr(2)))) from = *n;
  } else if (text.starts_with("<=")) {
    if ((n = bound(text.substr(2)))) to = *n;
  } else if (text.starts_with(">")) {
    if ((n = bound(text.substr(1)))) from = *n + 1;
  } else if (text.starts_with("<")) {
    if ((n = bound(text.substr(1)))) to = *n - 1;
  } else if ((n = bound(text))) {
    from = to = *n;
  }
  if (!n) return false;
  if (text.find("..") != text.npos && from > to) {
    diagnostics_.error(scalar.Mark(), "'{}': the range is backwards", scalar.Scalar());
    return false;
  }
  out = {static_cast<uint16_t>(from), static_cast<uint16_t>(std::max(to, 0))};
  return from <= to;
}

std::vector<Range> ConditionParser::ranges(const Items& items, int low, int high, int scale) {
  std::vector<Range> out;
  for (const YAML::Node& scalar : items.scalars)
    if (Range r; range(scalar, low, high, scale, r)) out.push_back(r);
  std::sort(out.begin(), out.end(), [](const Range& a, const Range& b) { return a.low < b.low; });
  std::vector<Range> merged;
  for (const Range& r : out) {
    if (!merged.empty() && r.low <= merged.back().high + 1)
      merged.back().high = std::max(merged.back().high, r.high);
    else
      merged.push_back(r);
  }
  if (!items.negated) return merged;
  std::vector<Range> gaps;
  int next = low;
  for (const Range& r : merged) {
    if (next < r.low)
      gaps.push_back({static_cast<uint16_t>(next), static_cast<uint16_t>(r.low - 1)});
    next = r.high + 1;
  }
  if (next <= high) gaps.push_back({static_cast<uint16_t>(next), static_cast<uint16_t>(high)});
  return gaps;
}

std::vector<Range> ConditionParser::risk(const YAML::Node& value) {
  return ranges(items(value), 0, kRiskValues - 1, 100);
}

// Values past the domain's end count as the last one, so its bit stands for them too.
uint16_t ConditionParser::small(const YAML::Node& value, int low, int high) {
  uint16_t mask = 0;
  for (const Range& r : ranges(items(value), low, high, 1))
    for (int v = r.low; v <= r.high; ++v) mask |= static_cast<uint16_t>(1u << v);
  if (mask >> high & 1) mask |= static_cast<uint16_t>(0xffffu << high);
  if (mask >> low & 1) mask |= static_cast<uint16_t>((1u << low) - 1);
  return mask;
}

int64_t ConditionParser::intent_code(const YAML::Node& scalar) {
  const std::string& name = scalar.Scalar();
  if (name == "other") return kOtherIntents;
  if (const IntentSpec* spec = vocabulary_.intent(name)) return spec->code;
  if (names_ == NameCheck::strict)
    diagnostics_.error(scalar.Mark(), "unknown intent '{}' ('other' is any not configured)", name);
  return -1;
}

void ConditionParser::intents(Condition& c, const YAML::Node& value) {
  const Items list = items(value);
  std::bitset<256> set;
  for (const YAML::Node& scalar : list.scalars) {
    const int64_t code = intent_code(scalar);
    if (code == kOtherIntents) {
      for (uint32_t i = 0; i < 256; ++i)
        if (!vocabulary_.intent(static_cast<uint8_t>(i))) set.set(i);
    } else if (code >= 0) {
      set.set(static_cast<size_t>(code));
    }
  }
  c.intents &= list.negated ? ~set : set;
}

void ConditionParser::intent_clearance(Condition& c, const YAML::Node& value) {
  const std::vector<Range> wanted = ranges(items(value), 0, 15, 1);
  for (uint32_t code = 0; code < 256; ++code)
    if (!in_ranges(wanted, vocabulary_.intent_clearance(static_cast<uint8_t>(code))))
      c.intents.reset(code);
}

int64_t ConditionParser::org(const YAML::Node& scalar) {
  const auto it = vocabulary_.orgs.find(scalar.Scalar());
  if (it != vocabulary_.orgs.end()) return it->second;
  if (names_ == NameCheck::strict)
    diagnostics_.error(scalar.Mark(), "unknown organisation '{}'", scalar.Scalar());
  return -1;
}

int64_t ConditionParser::named(Names& names, const YAML::Node& scalar) {
  const auto id = names.intern(scalar.Scalar());
  if (id) return *id;
  diagnostics_.error(scalar.Mark(), "{}", id.error().message);
  return -1;
}

int64_t ConditionParser::pattern(const YAML::Node& scalar) {
  for (size_t i = 0; i < patterns_.size(); ++i)
    if (patterns_[i].name == scalar.Scalar()) return static_cast<int64_t>(i);
  diagnostics_.error(scalar.Mark(), "unknown pattern '{}'", scalar.Scalar());
  return -1;
}

IdSet ConditionParser::ids(const YAML::Node& value, const Intern& intern) {
  const Items list = items(value);
  IdSet set;
  set.negated = list.negated;
  for (const YAML::Node& scalar : list.scalars)
    if (const int64_t id = intern(scalar); id >= 0) set.ids.push_back(static_cast<uint32_t>(id));
  std::sort(set.ids.begin(), set.ids.end());
  set.ids.erase(std::unique(set.ids.begin(), set.ids.end()), set.ids.end());
  return set;
}

BitTest ConditionParser::bits(const YAML::Node& value, const Intern& intern) {
  BitTest test;
  const auto mask = [&](const YAML::Node& list) {
    uint32_t m = 0;
    for (const YAML::Node& scalar : items(list).scalars)
      if (const int64_t bit = intern(scalar); bit >= 0) m |= 1u << bit;
    return m;
  };
  if (!value.IsMap()) {
    test.any = mask(value);
    return test;
  }
  if (value.size() == 0) diagnostics_.error(value.Mark(), "expected any, all or not");
  for_each_key(value, "set", {"any", "all", "not"}, diagnostics_,
               [&](const std::string& key, const YAML::Node&, const YAML::Node& list) {
                 if (list.IsMap())
                   diagnostics_.error(list.Mark(), "'{}' takes a value or a list", key);
                 else
                   (key == "any" ? test.any : key == "all" ? test.all : test.none) = mask(list);
               });
  if ((test.all & test.none) != 0 || (test.any != 0 && (test.any & ~test.none) == 0))
    diagnostics_.error(value.Mark(), "no value can match this");
  return test;
}

}  // namespace lf::policy
