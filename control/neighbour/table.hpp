// SPDX-License-Identifier: Apache-2.0
// Neighbour table: which MAC address answers for the addresses that we send to (nodes on link,
// gateways). A pure state machine over time: it says which requests to send, it is told what was
// answered. States follow RFC 4861 (and serve ARP as well): incomplete → reachable → probing →
// failed. Only addresses that control asked for are ever learnt, so nobody can fill the table or
// insert a neighbour. Thread: control.
#pragma once

#include <rte_ether.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "control/base/clock.hpp"
#include "dataplane/core/burst.hpp"

namespace lf::neighbour {

struct Key {
  IpAddress address;
  uint16_t port = 0;  // DPDK port that it is reached through
  auto operator<=>(const Key& o) const {
    if (port != o.port) return port <=> o.port;
    if (address.hi != o.address.hi) return address.hi <=> o.address.hi;
    return address.lo <=> o.address.lo;
  }
  bool operator==(const Key&) const = default;
};

enum class State : uint8_t { incomplete, reachable, probing, failed, fixed };

struct Entry {
  State state = State::incomplete;
  rte_ether_addr mac{};
  MonoNs next = 0;    // when to act again
  uint32_t sent = 0;  // requests since the last answer
  bool known() const { return state != State::incomplete && state != State::failed; }
};

struct Settings {
  MonoNs retransmit_ns = 1'000'000'000;    // between requests
  MonoNs reachable_ns = 30'000'000'000;    // before an answer is asked for again
  MonoNs failed_retry_ns = 5'000'000'000;  // between requests to one that does not answer
  uint32_t attempts = 3;                   // unanswered requests before it counts as failed
};

struct Request {
  Key key;
  std::optional<rte_ether_addr> unicast_to;  // refresh of a known neighbour; else broadcast
};

class Table {
 public:
  explicit Table(Settings settings = {}) : settings_(settings) {}

  // The addresses to resolve from now on; others are forgotten. A fixed MAC is never asked for.
  void want(const std::vector<std::pair<Key, std::optional<rte_ether_addr>>>& wanted, MonoNs now);

  // What was heard (an ARP reply or request, a neighbour advertisement). True when a MAC address
  // became known or changed, so that the forwarding table must be built anew.
  bool heard(const Key& key, const rte_ether_addr& mac, MonoNs now);

  // Requests that are due; calls at any rate. `changed` is set when an entry failed.
  std::vector<Request> tick(MonoNs now, bool& changed);

  // MAC of a known neighbour; nothing while it is unresolved.
  std::optional<rte_ether_addr> find(const Key& key) const;
  const std::map<Key, Entry>& entries() const { return entries_; }

 private:
  Settings settings_;
  std::map<Key, Entry> entries_;
};

const char* name(State state);

}  // namespace lf::neighbour
