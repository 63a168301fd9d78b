// SPDX-License-Identifier: Apache-2.0
#include "control/policy/region_text.hpp"

#include <fmt/format.h>
#include <immintrin.h>

#include <algorithm>

namespace lf::policy {
namespace {

constexpr const char* kDimNames[kWalkDims] = {"clearance", "mfa",    "severity", "comms_degraded",
                                              "intent",    "role",   "risk",     "org",
                                              "target",    "payload"};
constexpr size_t kNamesMax = 12;

// Runs of true as "3-4, 7"; numbers are divided by `scale` for show.
std::string runs(const std::vector<bool>& in, uint32_t low, uint32_t high, uint32_t scale) {
  const auto show = [scale](uint32_t v) {
    return scale == 1 ? fmt::format("{}", v) : fmt::format("{:g}", v / static_cast<double>(scale));
  };
  std::string text;
  for (uint32_t v = low; v <= high; ++v) {
    if (!in[v]) continue;
    uint32_t end = v;
    while (end < high && in[end + 1]) ++end;
    text += (text.empty() ? "" : ", ") + (end > v ? show(v) + "-" + show(end) : show(v));
    v = end;
  }
  return text;
}

std::string name_in(const std::vector<std::string>& names, size_t number) {
  return number < names.size() ? names[number] : std::to_string(number);
}

std::string listed(std::vector<std::string> names) {
  const size_t more = names.size() > kNamesMax ? names.size() - kNamesMax : 0;
  names.resize(names.size() - more);
  std::string text = fmt::format("{}", fmt::join(names, ", "));
  return more ? text + fmt::format(" and {} more", more) : text;
}

}  // namespace

std::vector<bool> RegionText::values(uint32_t dim, const std::vector<uint32_t>& classes) const {
  const ClassMap& map = walk_.map(dim);
  std::vector<bool> wanted(map.rows.size());
  for (const uint32_t c : classes) wanted[c] = true;
  std::vector<bool> in;
  for (const uint32_t c : map.of_value) in.push_back(wanted[c]);
  return in;
}

std::string RegionText::name_of(uint32_t dim, uint32_t value) const {
  if (dim == static_cast<uint32_t>(Dim::org)) return vocabulary_.org_name(orgs_[value]);
  return name_in(vocabulary_.groups.all(), value);
}

// The last value stands for everything that no rule names: then the rest is easier to list.
std::string RegionText::names(const std::vector<bool>& in, uint32_t dim) const {
  const bool other = in.back();
  std::vector<std::string> names;
  for (uint32_t v = 0; v + 1 < in.size(); ++v)
    if (in[v] != other) names.push_back(name_of(dim, v));
  return (other ? "not " : "") + listed(std::move(names));
}

std::string RegionText::intents(const std::vector<bool>& in) const {
  std::vector<std::string> names;
  for (const IntentSpec& spec : vocabulary_.intents)
    if (in[spec.code]) names.push_back(spec.name);
  if (in[vocabulary_.unconfigured_code()]) names.push_back("other");
  return listed(std::move(names));
}

// Sets of roles or patterns: "{planner, not security}" for each subset, joined where one of them
// makes no difference.
std::string RegionText::subsets(const std::vector<bool>& in, uint32_t mask, bool roles) const {
  std::vector<std::pair<uint32_t, uint32_t>> cubes;  // (bits that count, their values)
  const uint32_t full = static_cast<uint32_t>(in.size()) - 1;
  for (uint32_t v = 0; v < in.size(); ++v)
    if (in[v]) cubes.emplace_back(full, v);
  for (uint32_t bit = 1; bit <= full; bit <<= 1) {
    std::vector<std::pair<uint32_t, uint32_t>> next;
    for (const auto& [care, value] : cubes) {
      const bool pair =
          std::find(cubes.begin(), cubes.end(), std::pair(care, value ^ bit)) != cubes.end();
      if (!pair)
        next.emplace_back(care, value);
      else if (!(value & bit))
        next.emplace_back(care & ~bit, value & ~bit);
    }
    cubes = std::move(next);
  }
  std::vector<std::string> texts;
  for (const auto& [care, value] : cubes) {
    std::string text;
    for (uint32_t bit = 0; full >> bit; ++bit) {
      if (!(care >> bit & 1)) continue;
      const auto number = static_cast<size_t>(_tzcnt_u32(_pdep_u32(1u << bit, mask)));
      const std::string name =
          roles ? name_in(vocabulary_.roles.all(), number) : patterns_[number].name;
      text += (text.empty() ? "" : " and ") + std::string(value >> bit & 1 ? "" : "not ") + name;
    }
    texts.push_back(std::move(text));
  }
  return listed(std::move(texts));
}

std::string RegionText::dim_text(uint32_t dim, const std::vector<bool>& in) const {
  if (dim == kDims) return subsets(in, pattern_mask_, false);
  switch (static_cast<Dim>(dim)) {
    case Dim::clearance:
      return runs(in, 0, 5, 1);
    case Dim::mfa:
      return runs(in, 0, 9, 1);
    case Dim::severity:
      return runs(in, 1, 5, 1);
    case Dim::comms:
      return in[1] ? "true" : "false";
    case Dim::intent:
      return intents(in);
    case Dim::role:
      return subsets(in, role_mask_, true);
    case Dim::risk:
      return runs(in, 0, kRiskValues - 1, 100);
    case Dim::org:
    case Dim::group:
      return names(in, dim);
  }
  return "?";
}

Conditions RegionText::conditions(const Walk::Region& region) const {
  Conditions out;
  for (uint32_t d = 0; d < kWalkDims; ++d) {
    if (region[d].size() == walk_.map(d).rows.size()) continue;
    out.emplace_back(kDimNames[d], dim_text(d, values(d, region[d])));
  }
  return out;
}

}  // namespace lf::policy
