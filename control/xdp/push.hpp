// SPDX-License-Identifier: Apache-2.0
// Which organisations' source prefixes the XDP deny list gets because whatever they ask for would
// be refused anyway (xdp.push): a hard quota that is used up while more keeps coming, or a policy
// that can allow nothing. Each push has its reason and an end. Never a prefix in which there are
// other organisations' clients, nodes or gateways. Pure: time and what is known of an organisation
// come in as arguments, prefixes come out. Called once a second. Thread: control.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/clock.hpp"
#include "control/config/config.hpp"

namespace lf::xdp {

enum class PushReason : uint8_t { quota, policy };
std::string_view name(PushReason reason);

// What is known of an organisation now.
struct Standing {
  bool quota_is_zero = false;
  bool quota_is_used_up = false;  // a hard one
  uint64_t rejected = 0;          // by its quota, since start
  uint32_t reset_seconds = 0;     // until its quota has room again; 0: not known
  bool policy_denies_all = false;
};

// Prefixes in which there is nobody but clients of one organisation, and those left out.
struct PushPrefixes {
  struct Owner {
    uint32_t org_id = 0;
    std::string organisation;
    std::vector<config::Prefix> prefixes;  // without host bits
  };
  std::vector<Owner> owners;
  std::vector<std::string> left_out;  // each with what is in it, for the log
};
PushPrefixes find_pushable(const config::Config& config);

struct Pushed {
  config::Prefix prefix;
  std::string organisation;
  PushReason reason = PushReason::quota;
  uint32_t left_s = 0;  // until it is looked at anew
};

class Pusher {
 public:
  using StandingOf = std::function<Standing(uint32_t org_id)>;

  // What is pushed stays while its organisation and prefix stay.
  void configure(const config::XdpPush& settings, std::vector<PushPrefixes::Owner> owners);
  bool is_on() const { return settings_.quota || settings_.policy; }

  void tick(MonoNs now, const StandingOf& standing_of);
  // An operator took the prefix off: its organisation is left alone for as long as a push lasts.
  void take_back(const config::Prefix& network, MonoNs now);

  std::vector<Pushed> pushed(MonoNs now) const;

 private:
  struct Watched {
    PushPrefixes::Owner owner;
    std::optional<uint64_t> rejected;  // at the last tick
    MonoNs ticked = 0;
    std::optional<MonoNs> quota_since, policy_since;  // since when there is a reason
    std::optional<PushReason> reason;                 // pushed, until `until`
    MonoNs until = 0;
    MonoNs left_alone_until = 0;
  };
  void step(Watched& w, const Standing& standing, MonoNs now) const;
  bool is_refused_by_quota(const Watched& w, const Standing& standing, MonoNs now) const;

  config::XdpPush settings_;
  std::vector<Watched> watched_;
};

}  // namespace lf::xdp
