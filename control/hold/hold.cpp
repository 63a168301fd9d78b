// SPDX-License-Identifier: Apache-2.0
#include "control/hold/hold.hpp"

#include <algorithm>

namespace lf::hold {

bool Hold::park(Command command, UnixUs now_us) {
  const Key key{command.org_id, command.command_id};
  if (const auto it = held_.find(key); it != held_.end()) {
    by_deadline_.erase({it->second.command.deadline_us, key});
    by_deadline_.insert({command.deadline_us, key});
    it->second.command = std::move(command);
    ++it->second.resent;
    ++counts_.resent;
    return true;
  }
  if (held_.size() >= options_.capacity) {
    ++counts_.full;
    return false;
  }
  Held held;
  held.since_us = now_us;
  held.needed = needed_(command);
  held.command = std::move(command);
  by_deadline_.insert({held.command.deadline_us, key});
  const auto it = held_.emplace(key, std::move(held)).first;
  ++counts_.parked;
  if (it->second.command.deadline_us < now_us) {
    end(it, End::expired, 0);
  } else if (it->second.needed == 0) {
    end(it, End::released, 0);
  }
  return true;
}

Approval Hold::approve(uint32_t org_id, const CommandId& id, uint32_t operator_id, UnixUs now_us) {
  const auto it = held_.find({org_id, id});
  if (it == held_.end()) return Approval::unknown;
  Held& held = it->second;
  if (held.command.deadline_us < now_us) {
    end(it, End::expired, 0);
    return Approval::unknown;
  }
  const bool own = operator_id == held.command.operator_id && !options_.issuer_may_approve;
  if (own || !may_approve_(held.command, operator_id)) return Approval::not_allowed;
  auto& by = held.approved_by;
  if (std::find(by.begin(), by.end(), operator_id) != by.end()) return Approval::repeated;
  by.push_back(operator_id);
  if (on_approval_) on_approval_(held.command, operator_id);
  if (by.size() < held.needed) return Approval::counted;
  end(it, End::released, operator_id);
  return Approval::released;
}

Result<Hold::Map::iterator> Hold::required(uint32_t org_id, const CommandId& id) {
  const auto it = held_.find({org_id, id});
  if (it == held_.end()) return fail(ErrorCode::not_found, "no such command is held");
  return it;
}

Result<void> Hold::release(uint32_t org_id, const CommandId& id, uint32_t operator_id) {
  const auto it = required(org_id, id);
  if (!it) return tl::unexpected(it.error());
  end(*it, End::released, operator_id);
  return {};
}

Result<void> Hold::refuse(uint32_t org_id, const CommandId& id, uint32_t operator_id) {
  const auto it = required(org_id, id);
  if (!it) return tl::unexpected(it.error());
  end(*it, End::refused, operator_id);
  return {};
}

void Hold::end(Map::iterator it, End how, uint32_t operator_id) {
  by_deadline_.erase({it->second.command.deadline_us, it->first});
  Held held = std::move(it->second);
  held_.erase(it);
  counts_.released += how == End::released;
  counts_.refused += how == End::refused;
  counts_.expired += how == End::expired;
  on_end_(how, std::move(held), operator_id);
}

void Hold::tick(UnixUs now_us) {
  while (!by_deadline_.empty() && by_deadline_.begin()->first < now_us)
    end(held_.find(by_deadline_.begin()->second), End::expired, 0);
}

std::optional<UnixUs> Hold::next_expiry() const {
  if (by_deadline_.empty()) return std::nullopt;
  return by_deadline_.begin()->first;
}

std::optional<uint32_t> Hold::org_of(const CommandId& id) const {
  std::optional<uint32_t> org;
  for (const auto& [key, held] : held_) {
    if (key.second != id) continue;
    if (org) return std::nullopt;
    org = key.first;
  }
  return org;
}

const Held* Hold::find(uint32_t org_id, const CommandId& id) const {
  const auto it = held_.find({org_id, id});
  return it == held_.end() ? nullptr : &it->second;
}

std::vector<const Held*> Hold::list() const {
  std::vector<const Held*> all;
  for (const auto& [key, held] : held_) all.push_back(&held);
  std::sort(all.begin(), all.end(),
            [](const Held* a, const Held* b) { return a->since_us < b->since_us; });
  return all;
}

}  // namespace lf::hold
