// SPDX-License-Identifier: Apache-2.0
// Small numbers for names that come and go: what keeps its name keeps its number, a new name gets
// a number that was never used or has been free for longest, and each use of a number has its own
// epoch, so that state kept by number can tell a new owner from the last. A value: copy, sync the
// copy, and move it back only when the whole change is accepted. Thread: control.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "control/base/result.hpp"

namespace lf::forward {

class StableIndex {
 public:
  struct Place {
    uint32_t index = 0;
    uint32_t epoch = 0;  // counts from 1 over all assignments
    bool operator==(const Place&) const = default;
  };

  explicit StableIndex(uint32_t capacity) : capacity_(capacity) {}

  // Makes `keys` the living names; repeated ones count once. Fails when there are more than
  // numbers, and then changes nothing.
  Result<void> sync(std::span<const std::string> keys);

  std::optional<Place> find(std::string_view key) const;
  const std::map<std::string, Place, std::less<>>& places() const { return places_; }
  uint32_t used() const { return used_; }  // all numbers ever given are below this

 private:
  uint32_t capacity_;
  uint32_t used_ = 0;
  uint32_t epoch_ = 0;
  std::map<std::string, Place, std::less<>> places_;
  std::deque<uint32_t> free_;  // the one that has been free for longest first
};

}  // namespace lf::forward
