// SPDX-License-Identifier: Apache-2.0
#include "control/forward/stable_index.hpp"

#include <set>

namespace lf::forward {

Result<void> StableIndex::sync(std::span<const std::string> keys) {
  const std::set<std::string_view> wanted(keys.begin(), keys.end());
  if (wanted.size() > capacity_)
    return fail(ErrorCode::invalid, "{} entries, but there is room for {}", wanted.size(),
                capacity_);
  for (auto it = places_.begin(); it != places_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    free_.push_back(it->second.index);
    it = places_.erase(it);
  }
  for (const std::string& key : keys) {  // in the caller's order, not the set's
    const auto [it, fresh] = places_.try_emplace(key);
    if (!fresh) continue;
    it->second.epoch = ++epoch_;
    if (used_ < capacity_) {
      it->second.index = used_++;
    } else {
      it->second.index = free_.front();
      free_.pop_front();
    }
  }
  return {};
}

std::optional<StableIndex::Place> StableIndex::find(std::string_view key) const {
  const auto it = places_.find(key);
  if (it == places_.end()) return std::nullopt;
  return it->second;
}

}  // namespace lf::forward
