// SPDX-License-Identifier: Apache-2.0
// Says a region of inputs (class numbers of each dimension) as people write conditions. Part of
// analyse.cpp.
#pragma once

#include "control/policy/analyse.hpp"
#include "control/policy/walk.hpp"

namespace lf::policy {

class RegionText {
 public:
  RegionText(const Walk& walk, const Vocabulary& vocabulary, const OrgIds& orgs, uint32_t role_mask,
             uint32_t pattern_mask, const std::vector<Pattern>& patterns)
      : walk_(walk),
        vocabulary_(vocabulary),
        orgs_(orgs),
        role_mask_(role_mask),
        pattern_mask_(pattern_mask),
        patterns_(patterns) {}

  // Dimensions that the region does not narrow are left out.
  Conditions conditions(const Walk::Region& region) const;

 private:
  std::vector<bool> values(uint32_t dim, const std::vector<uint32_t>& classes) const;
  std::string dim_text(uint32_t dim, const std::vector<bool>& in) const;
  std::string names(const std::vector<bool>& in, uint32_t dim) const;
  std::string intents(const std::vector<bool>& in) const;
  std::string subsets(const std::vector<bool>& in, uint32_t mask, bool roles) const;
  std::string name_of(uint32_t dim, uint32_t value) const;

  const Walk& walk_;
  const Vocabulary& vocabulary_;
  const OrgIds& orgs_;
  uint32_t role_mask_, pattern_mask_;
  const std::vector<Pattern>& patterns_;
};

}  // namespace lf::policy
