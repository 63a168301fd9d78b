// SPDX-License-Identifier: Apache-2.0
// Whose command is it: an organisation's name or number in a row, and the number that the row's
// duplicates are looked for under. Built from the configuration (directory.hpp), immutable, read
// by all threads that work on a batch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace lf::intake {

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};
template <typename T>
using ByName = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

inline constexpr uint32_t kUnknownOrg = UINT32_MAX;  // not configured: told apart by its text

struct OrgNames {
  ByName<uint32_t> ids;  // names, and ids as decimal text

  uint32_t find(std::string_view text) const {
    const auto found = ids.find(text);
    return found == ids.end() ? kUnknownOrg : found->second;
  }
};

}  // namespace lf::intake
