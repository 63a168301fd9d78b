// SPDX-License-Identifier: Apache-2.0
#include "control/policy/parse_bands.hpp"

#include <charconv>

namespace lf::policy {
namespace {

constexpr uint32_t kApproversMax = 16;

std::vector<Range> risk_from(uint16_t centi) {
  return {{centi, kRiskValues - 1}};
}

void approvers(const YAML::Node& value, Diagnostics& diagnostics, RiskBand& band) {
  const std::string text = value.IsScalar() ? value.Scalar() : "";
  const auto end = std::from_chars(text.data(), text.data() + text.size(), band.approvers);
  if (text.empty() || end.ptr != text.data() + text.size() || band.approvers > kApproversMax)
    diagnostics.error(value.Mark(), "distinct must be 0..{}", kApproversMax);
}

void tags(const YAML::Node& value, Diagnostics& diagnostics, RiskBand& band) {
  bool good = value.IsSequence() && value.size() > 0;
  if (good)
    for (const YAML::Node& tag : value) {
      good &= tag.IsScalar();
      if (tag.IsScalar()) band.tags.push_back(tag.Scalar());
    }
  if (!good) diagnostics.error(value.Mark(), "tags must be a list of words");
}

RiskBand band(const YAML::Node& map, std::string_view section,
              const std::vector<std::string_view>& keys, ConditionParser& conditions,
              Diagnostics& diagnostics) {
  RiskBand b;
  bool has_result = false;
  for_each_key(map, section, keys, diagnostics,
               [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                 has_result |= key == keys.front();
                 if (key == "risk") b.risk = conditions.risk(value);
                 if (key == "distinct") approvers(value, diagnostics, b);
                 if (key == "tags") tags(value, diagnostics, b);
                 if (key == "hold") {
                   const std::string text = value.IsScalar() ? value.Scalar() : "";
                   if (text != "true" && text != "false")
                     diagnostics.error(value.Mark(), "hold must be true or false");
                   b.hold = text == "true" ? 2 : 1;
                 }
                 if (key == "band") {
                   if (!value.IsScalar() || value.Scalar().empty())
                     diagnostics.error(value.Mark(), "band must be a word");
                   else
                     b.band = value.Scalar();
                 }
               });
  if (!has_result) diagnostics.error(map.Mark(), "{}: '{}' is missing", section, keys.front());
  return b;
}

std::vector<RiskBand> section(const YAML::Node& root, const char* name,
                              const std::vector<std::string_view>& keys,
                              std::vector<RiskBand> defaults, ConditionParser& conditions,
                              Diagnostics& diagnostics) {
  const YAML::Node list = root[name];
  if (!list) return defaults;
  std::vector<RiskBand> bands;
  if (!list.IsSequence() || list.size() == 0)
    diagnostics.error(list.Mark(), "{} must be a list", name);
  else
    for (const YAML::Node& map : list) {
      if (map.IsMap())
        bands.push_back(band(map, name, keys, conditions, diagnostics));
      else
        diagnostics.error(map.Mark(), "{}: expected a map", name);
    }
  return bands;
}

}  // namespace

void parse_bands(const YAML::Node& root, ConditionParser& conditions, Diagnostics& diagnostics,
                 RuleSet& set) {
  const std::vector<Range> any = risk_from(0);
  set.approvals = section(root, "approvals", {"distinct", "risk"},
                          {{risk_from(6600), 3, 2}, {any, 3, 1}}, conditions, diagnostics);
  set.escalation = section(root, "escalation", {"band", "risk", "hold"},
                           {{risk_from(8000), 2, 0, "board"},
                            {any, 2, 0, "director"},
                            {risk_from(5500), 3, 0, "supervisor"},
                            {any, 3, 0, "automatic"}},
                           conditions, diagnostics);
  set.tags = section(root, "tags", {"tags", "risk"},
                     {{risk_from(7000), 3, 0, "", {"review-required", "board-notify"}},
                      {risk_from(4500), 3, 0, "", {"ops-supervision", "audit-trace"}},
                      {any, 3, 0, "", {"routine", "auto-approved"}}},
                     conditions, diagnostics);
}

}  // namespace lf::policy
