// SPDX-License-Identifier: Apache-2.0
// The source prefixes that XDP programs drop: those of the configuration (xdp.deny), those that
// the control socket added, and those that policy and quotas push (push.hpp). Each has a place in
// the programs' array of counters while it is listed. Pure: says what is to be put into the maps,
// does not touch them. Thread: control.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"

namespace lf::xdp {

struct Denial {
  config::Prefix prefix;  // no host bits
  uint32_t place = 0;
  bool configured = false;
  bool added = false;   // over the control socket
  bool pushed = false;  // by policy or quotas

  bool is_wanted() const { return configured || added || pushed; }
};

// What a step changed.
struct DenyChange {
  std::vector<Denial> denied, allowed;
};

class DenyList {
 public:
  explicit DenyList(uint32_t prefixes_max);

  // The configuration's prefixes. One of an earlier configuration leaves unless somebody else has
  // listed it, too.
  Result<DenyChange> configure(std::span<const config::Prefix> prefixes) {
    return list_all(prefixes, &Denial::configured, "xdp.deny");
  }
  // The same for all that is pushed now.
  Result<DenyChange> push(std::span<const config::Prefix> prefixes) {
    return list_all(prefixes, &Denial::pushed, "xdp.push");
  }
  // Until allow() or the daemon's end. Once more: nothing changes.
  Result<DenyChange> deny(const config::Prefix& prefix);
  // Takes exactly this prefix off, whoever listed it; the configuration's returns with a reload.
  Result<DenyChange> allow(const config::Prefix& prefix);

  std::vector<Denial> list() const;  // IPv4 first, by address

 private:
  using Key = std::tuple<uint8_t, std::array<uint8_t, 16>, uint8_t>;
  static Key key_of(const config::Prefix& network);
  Result<DenyChange> list_all(std::span<const config::Prefix> prefixes, bool Denial::*by,
                              const char* whose);
  Denial* enter(const config::Prefix& network, DenyChange& change);

  std::map<Key, Denial> denials_;
  std::vector<uint32_t> free_;  // places, the next one last
};

// The prefix without its host bits.
config::Prefix network_of(const config::Prefix& prefix);

}  // namespace lf::xdp
