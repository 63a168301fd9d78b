// SPDX-License-Identifier: Apache-2.0
#include "control/hold/service.hpp"

#include <algorithm>

#include "control/audit/query.hpp"
#include "control/policy/arguments.hpp"

namespace lf::hold {

using rpc::Json;

Command command_of(const Meta& meta, std::span<const uint8_t> frame) {
  Command c;
  std::copy_n(meta.lcp->command_id, c.command_id.size(), c.command_id.begin());
  std::copy_n(meta.lcp->trace_id, c.trace_id.size(), c.trace_id.begin());
  c.org_id = meta.org_id;
  c.operator_id = meta.operator_id;
  c.target_id = meta.target_id;
  c.intent = meta.intent;
  c.severity = meta.severity;
  c.attempt = meta.attempt;
  c.flags = meta.flags;
  c.in_port = meta.in_port;
  c.risk_centi = meta.risk_centi;
  c.rule = meta.rule;
  c.policy_version = meta.policy_version;
  c.deadline_us = static_cast<UnixUs>(std::min<uint64_t>(meta.deadline_us, INT64_MAX));
  c.frame.assign(frame.begin(), frame.end());
  return c;
}

Service::Service(policy::Engine& engine, const Clock& clock, const Options& options, OnEnd on_end,
                 OnEvent on_event)
    : engine_(engine),
      clock_(clock),
      on_end_(std::move(on_end)),
      on_event_(std::move(on_event)),
      hold_(
          options,
          [this](const Command& c) {
            return engine_.required_approvals(c.risk_centi / 100.0, c.policy_version);
          },
          [this](const Command& c, uint32_t who) { return may_approve(c, who); },
          [this](End how, Held&& held, uint32_t who) {
            const auto code = how == End::released  ? audit::EventCode::release
                              : how == End::refused ? audit::EventCode::refuse
                                                    : audit::EventCode::expire;
            event(code, held.command, who);
            on_end_(how, held);
          }) {
  hold_.on_approval(
      [this](const Command& c, uint32_t who) { event(audit::EventCode::approval, c, who); });
}

bool Service::held(const Meta& meta, std::span<const uint8_t> frame) {
  return hold_.park(command_of(meta, frame), clock_.unix_us());
}

Approval Service::approval(const Meta& meta) {
  CommandId id;
  std::copy_n(meta.lcp->command_id, id.size(), id.begin());
  return hold_.approve(meta.org_id, id, meta.operator_id, clock_.unix_us());
}

// "With the clearance": whoever could have issued the command, had it carried no risk.
bool Service::may_approve(const Command& c, uint32_t operator_id) const {
  const identity::OperatorEntry* e = engine_.identity().find_operator(operator_id);
  if (!e) return false;
  const bool member =
      e->every_org || std::find(e->org_ids.begin(), e->org_ids.end(), c.org_id) != e->org_ids.end();
  const int64_t now_s = clock_.unix_us() / 1'000'000;
  const bool mfa_valid = e->mfa_expires_s == 0 || now_s < int64_t{e->mfa_expires_s};
  return member &&
         policy::functions::authorize(e->clearance, mfa_valid ? e->mfa_level : 0,
                                      engine_.vocabulary().intent_clearance(c.intent), c.severity);
}

void Service::event(audit::EventCode code, const Command& c, uint32_t operator_id) {
  if (!on_event_) return;
  audit::Record r{};
  r.kind = audit::RecordKind::event;
  r.verdict = static_cast<uint8_t>(code);
  r.time_us = static_cast<uint64_t>(clock_.unix_us());
  std::copy(c.command_id.begin(), c.command_id.end(), r.command_id);
  std::copy(c.trace_id.begin(), c.trace_id.end(), r.trace_id);
  r.org_id = c.org_id;
  r.operator_id = operator_id;
  r.target_id = c.target_id;
  r.policy_version = c.policy_version;
  r.rule = c.rule;
  r.risk_centi = c.risk_centi;
  r.intent = c.intent;
  r.severity = c.severity;
  on_event_(r);
}

Json Service::list() const {
  const policy::Vocabulary& v = engine_.vocabulary();
  Json all = Json::array();
  for (const Held* h : hold_.list()) {
    const Command& c = h->command;
    const auto version = engine_.loaded(c.policy_version);
    all.push_back({{"command_id", audit::to_hex(c.command_id)},
                   {"trace_id", audit::to_hex(c.trace_id)},
                   {"org", v.org_name(c.org_id)},
                   {"org_id", c.org_id},
                   {"operator", c.operator_id},
                   {"intent", v.intent_name(c.intent)},
                   {"severity", c.severity},
                   {"target", c.target_id},
                   {"risk", c.risk_centi / 100.0},
                   {"rule", version ? std::string(policy::rule_id((*version)->rules, c.rule))
                                    : std::to_string(c.rule)},
                   {"version", c.policy_version},
                   {"held_since_us", h->since_us},
                   {"deadline_us", c.deadline_us},
                   {"approvals_needed", h->needed},
                   {"approved_by", h->approved_by},
                   {"resent", h->resent}});
  }
  return {{"held", all}};
}

namespace {

struct Which {
  CommandId id;
  uint32_t org_id;
  uint32_t by;
};

Result<Which> which(const Json& params, const Hold& hold, const policy::Vocabulary& vocabulary) {
  policy::Arguments args(params);
  const auto id = audit::parse_id(args.text("command_id"));
  if (!id) return fail(ErrorCode::invalid, "command_id must be 32 hexadecimal digits");
  std::optional<uint32_t> org = hold.org_of(*id);
  if (args.has("org")) {
    if (args.raw("org").is_string()) {
      const auto it = vocabulary.orgs.find(args.text("org"));
      if (it == vocabulary.orgs.end())
        return fail(ErrorCode::not_found, "unknown organisation '{}'", args.text("org"));
      org = it->second;
    } else {
      org = static_cast<uint32_t>(args.integer("org", 0, 0, UINT32_MAX));
    }
  }
  const auto by = static_cast<uint32_t>(args.integer("operator", 0, 0, UINT32_MAX));
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  if (!org) return fail(ErrorCode::not_found, "no such command is held, or several: name the org");
  return Which{*id, *org, by};
}

}  // namespace

Result<Json> Service::end_by_hand(const Json& params, bool release) {
  const auto w = which(params, hold_, engine_.vocabulary());
  if (!w) return tl::unexpected(w.error());
  const auto done =
      release ? hold_.release(w->org_id, w->id, w->by) : hold_.refuse(w->org_id, w->id, w->by);
  if (!done) return tl::unexpected(done.error());
  return Json{{"command_id", audit::to_hex(w->id)}, {"result", release ? "released" : "refused"}};
}

Result<Json> Service::approve_by_hand(const Json& params) {
  const auto w = which(params, hold_, engine_.vocabulary());
  if (!w) return tl::unexpected(w.error());
  switch (hold_.approve(w->org_id, w->id, w->by, clock_.unix_us())) {
    case Approval::counted: {
      const Held* h = hold_.find(w->org_id, w->id);
      return Json{{"result", "counted"},
                  {"approvals", h->approved_by.size()},
                  {"approvals_needed", h->needed}};
    }
    case Approval::released:
      return Json{{"result", "released"}};
    case Approval::unknown:
      return fail(ErrorCode::not_found, "no such command is held");
    case Approval::not_allowed:
      return fail(ErrorCode::conflict, "operator {} may not approve this command", w->by);
    case Approval::repeated:
      return fail(ErrorCode::conflict, "operator {} approved this command already", w->by);
  }
  return fail(ErrorCode::internal, "no such answer");
}

std::vector<rpc::Command> Service::commands() {
  const std::vector<rpc::Parameter> which_one = {
      {"command_id", "string", true, "32 hexadecimal digits"},
      {"org", "any", false, "name or id; needed when several organisations use the id"},
      {"operator", "integer", false, "who does it, for the audit log"}};
  std::vector<rpc::Parameter> approve = which_one;
  approve[2] = {"operator", "integer", true, "who approves"};
  return {
      {"held.list",
       "commands that wait for approval",
       {},
       false,
       [this](const Json&) -> Result<Json> { return list(); }},
      {"held.release", "lets a held command through, whatever approvals are missing", which_one,
       true, [this](const Json& params) { return end_by_hand(params, true); }},
      {"held.refuse", "refuses a held command", which_one, true,
       [this](const Json& params) { return end_by_hand(params, false); }},
      {"held.approve", "counts an operator's approval, as an APPROVAL datagram does", approve, true,
       [this](const Json& params) { return approve_by_hand(params); }},
  };
}

}  // namespace lf::hold
