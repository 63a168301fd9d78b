// SPDX-License-Identifier: Apache-2.0
// Commands that policy holds: parked here, bounded, until enough distinct operators approved, an
// operator released or refused them on the control socket, or their deadline passed. Knows no
// packets, rings or clocks: bytes and times come in, ends go out through a callback. Control
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/result.hpp"

namespace lf::hold {

using CommandId = std::array<uint8_t, 16>;

// What is kept of a held command: its frame as it came in, and what decides about its release.
struct Command {
  CommandId command_id{}, trace_id{};
  uint32_t org_id = 0, operator_id = 0, target_id = 0;
  uint8_t intent = 0, severity = 0, attempt = 0, flags = 0;  // flags: of the LCP header
  uint8_t in_port = 0;
  uint16_t risk_centi = 0, rule = 0;
  uint32_t policy_version = 0;
  UnixUs deadline_us = 0;
  std::vector<uint8_t> frame;
};

enum class End : uint8_t { released, refused, expired };

struct Held {
  Command command;
  UnixUs since_us = 0;
  uint32_t needed = 1;                // approvals
  std::vector<uint32_t> approved_by;  // distinct operators
  uint32_t resent = 0;                // times that the sender sent it again while held
};

enum class Approval : uint8_t {
  counted,      // and more are needed
  released,     // this was the last one needed
  unknown,      // no such command is held
  not_allowed,  // the operator lacks the clearance, or issued the command
  repeated,     // this operator approved before
};

struct Options {
  uint32_t capacity = 1024;
  bool issuer_may_approve = false;
};

class Hold {
 public:
  // How many approvals a command needs.
  using Needed = std::function<uint32_t(const Command&)>;
  // May this operator approve it (member of the organisation, clearance, MFA)?
  using MayApprove = std::function<bool(const Command&, uint32_t operator_id)>;
  // The command's way on: back into the pipeline (released), an answer to the client (others).
  using OnEnd = std::function<void(End, Held&&, uint32_t operator_id)>;
  // For the audit log: an approval that counted.
  using OnApproval = std::function<void(const Command&, uint32_t operator_id)>;

  Hold(const Options& options, Needed needed, MayApprove may_approve, OnEnd on_end)
      : options_(options),
        needed_(std::move(needed)),
        may_approve_(std::move(may_approve)),
        on_end_(std::move(on_end)) {}

  void on_approval(OnApproval f) { on_approval_ = std::move(f); }

  // False: full (the caller refuses the command as hold_full). A command that is held already is
  // kept once: the newer frame replaces the older, approvals stay. One past its deadline ends at
  // once.
  bool park(Command command, UnixUs now_us);

  Approval approve(uint32_t org_id, const CommandId& id, uint32_t operator_id, UnixUs now_us);

  // From the control socket: overrides the approvals. operator_id 0: whoever has the socket.
  Result<void> release(uint32_t org_id, const CommandId& id, uint32_t operator_id);
  Result<void> refuse(uint32_t org_id, const CommandId& id, uint32_t operator_id);

  // Ends what is past its deadline.
  void tick(UnixUs now_us);
  // Deadline of the next one to expire.
  std::optional<UnixUs> next_expiry() const;

  // The organisation of a held command, when its id is held for one organisation only.
  std::optional<uint32_t> org_of(const CommandId& id) const;
  const Held* find(uint32_t org_id, const CommandId& id) const;
  std::vector<const Held*> list() const;  // oldest first
  size_t size() const { return held_.size(); }

  struct Counts {
    uint64_t parked = 0, resent = 0, full = 0, released = 0, refused = 0, expired = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  using Key = std::pair<uint32_t, CommandId>;
  using Map = std::map<Key, Held>;
  void end(Map::iterator it, End how, uint32_t operator_id);
  Result<Map::iterator> required(uint32_t org_id, const CommandId& id);

  Options options_;
  Needed needed_;
  MayApprove may_approve_;
  OnEnd on_end_;
  OnApproval on_approval_;
  Map held_;
  std::set<std::pair<UnixUs, Key>> by_deadline_;
  Counts counts_;
};

}  // namespace lf::hold
