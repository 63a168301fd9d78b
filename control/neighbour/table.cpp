// SPDX-License-Identifier: Apache-2.0
#include "control/neighbour/table.hpp"

namespace lf::neighbour {

void Table::want(const std::vector<std::pair<Key, std::optional<rte_ether_addr>>>& wanted,
                 MonoNs now) {
  std::map<Key, Entry> next;
  for (const auto& [key, fixed] : wanted) {
    const auto old = entries_.find(key);
    Entry entry;
    if (fixed) {
      entry = {.state = State::fixed, .mac = *fixed};
    } else if (old != entries_.end() && old->second.state != State::fixed) {
      entry = old->second;
    } else {
      entry.next = now;
    }
    next[key] = entry;
  }
  entries_ = std::move(next);
}

bool Table::heard(const Key& key, const rte_ether_addr& mac, MonoNs now) {
  const auto it = entries_.find(key);
  if (it == entries_.end() || it->second.state == State::fixed) return false;
  if (rte_is_zero_ether_addr(&mac) || rte_is_multicast_ether_addr(&mac)) return false;
  Entry& e = it->second;
  const bool news = !e.known() || !rte_is_same_ether_addr(&e.mac, &mac);
  e.state = State::reachable;
  e.mac = mac;
  e.sent = 0;
  e.next = now + settings_.reachable_ns;
  return news;
}

std::vector<Request> Table::tick(MonoNs now, bool& changed) {
  std::vector<Request> due;
  for (auto& [key, e] : entries_) {
    if (e.state == State::fixed || now < e.next) continue;
    if (e.state == State::reachable) {
      e.state = State::probing;
      e.sent = 0;
    }
    if (e.sent >= settings_.attempts && e.state != State::failed) {
      changed |= e.state == State::probing;
      e.state = State::failed;
    }
    ++e.sent;
    e.next = now + (e.state == State::failed ? settings_.failed_retry_ns : settings_.retransmit_ns);
    Request request{.key = key, .unicast_to = std::nullopt};
    if (e.state == State::probing) request.unicast_to = e.mac;
    due.push_back(request);
  }
  return due;
}

std::optional<rte_ether_addr> Table::find(const Key& key) const {
  const auto it = entries_.find(key);
  if (it == entries_.end() || !it->second.known()) return std::nullopt;
  return it->second.mac;
}

const char* name(State state) {
  switch (state) {
    case State::incomplete:
      return "incomplete";
    case State::reachable:
      return "reachable";
    case State::probing:
      return "probing";
    case State::failed:
      return "failed";
    case State::fixed:
      return "fixed";
  }
  return "?";
}

}  // namespace lf::neighbour
