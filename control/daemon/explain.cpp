// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/explain.hpp"

#include <rte_mbuf.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "control/base/address.hpp"
#include "control/daemon/explain_question.hpp"
#include "control/probe/frame.hpp"
#include "dataplane/authenticate/authenticate.hpp"
#include "dataplane/identity/identity.hpp"
#include "dataplane/parse/parse.hpp"
#include "dataplane/policy/table.hpp"
#include "dataplane/validate/validate.hpp"

namespace lf::daemon {
namespace {

using rpc::Json;

const char* mode_name(forward::Mode mode) {
  constexpr const char* kNames[] = {"proxy", "dsr-l2", "ipip", "gue", "nat"};
  return kNames[static_cast<size_t>(mode)];
}

struct FreeMbuf {
  void operator()(rte_mbuf* m) const { rte_pktmbuf_free(m); }
};

// Walks through the stages as Pipeline::commands does.
class Walk {
 public:
  Walk(const ExplainContext& context, ExplainQuestion question)
      : c_(context), q_(std::move(question)), burst_(std::make_unique<Burst>()) {}

  Result<Json> run() {
    if (auto made = make_packet(); !made) return tl::unexpected(made.error());
    const bool decided = parse() || authenticate() || deadline() || draining() || admission() ||
                         dedup() || policy() || quota() || choose();
    if (!decided) rewrite();
    out_["stages"] = std::move(stages_);
    return std::move(out_);
  }

 private:
  Meta& meta() { return burst_->meta[0]; }

  // Notes a stage; true when it ends the walk.
  bool say(const char* stage, Verdict verdict, const std::string& why) {
    const bool passes = verdict == Verdict::none;
    const std::string name(info(verdict).name);
    stages_.push_back({{"stage", stage}, {"verdict", passes ? "pass" : name}, {"why", why}});
    if (!passes) out_["verdict"] = name;
    return !passes;
  }

  Result<void> make_packet() {
    std::vector<uint8_t> datagram(sizeof(lcp::Header) + q_.payload.size());
    std::memcpy(datagram.data(), &q_.header, sizeof(lcp::Header));
    std::copy(q_.payload.begin(), q_.payload.end(), datagram.begin() + sizeof(lcp::Header));
    auto* header = reinterpret_cast<lcp::Header*>(datagram.data());
    if (q_.is_signed) authenticate::sign(*c_.snapshot.authenticate, *authenticate_, &header, 1);
    uint16_t port = 0;
    if (const auto* own = parse::find_own(*c_.snapshot.parse, q_.service->address))
      port = static_cast<uint16_t>(std::countr_zero(static_cast<uint32_t>(own->ports | 0x10000u)));
    if (port >= kPortsMax) port = 0;
    const net::Port& at = c_.snapshot.parse->ports[port];
    forward::Node us;  // the data plane as the client sees it
    us.address = q_.service->address;
    us.source = q_.from;
    us.port = lcp::be16(q_.service->port);
    us.source_port = lcp::be16(40000);
    us.mac = at.mac;
    us.vlan_tci = at.vlan_tci;
    us.ip_version = q_.service->ip_version;
    const std::vector<uint8_t> frame = probe::frame_to(us, datagram);
    mbuf_.reset(rte_pktmbuf_alloc(c_.pool));
    char* data =
        mbuf_ ? rte_pktmbuf_append(mbuf_.get(), static_cast<uint16_t>(frame.size())) : nullptr;
    if (data == nullptr) return fail(ErrorCode::unavailable, "no packet buffer is free");
    std::memcpy(data, frame.data(), frame.size());
    mbuf_->port = port;
    burst_->count = 1;
    burst_->packets[0] = mbuf_.get();
    return {};
  }

  bool parse() {
    parse::State state;
    parse::Sorted sorted;
    parse::run(*c_.snapshot.parse, state, *burst_, sorted, c_.now);
    live_ = sorted.commands;
    if (meta().verdict != Verdict::none)
      return say("parse", meta().verdict, std::string(info(meta().verdict).help));
    if (live_.count == 0)
      return say("parse", Verdict::udp_port, "no port of ours takes commands at this address");
    out_["service"] = service_name();
    return say("parse", Verdict::none,
               fmt::format("LCP command to {} port {}, intent code {}",
                           format_address(q_.service->address), q_.service->port, q_.intent));
  }

  bool authenticate() {
    authenticate::run(*c_.snapshot.authenticate, *authenticate_, *burst_, live_, c_.now);
    if (live_.count == 0)
      return say("authenticate", meta().verdict, std::string(info(meta().verdict).help));
    return say("authenticate", Verdict::none,
               meta().authenticated
                   ? fmt::format("key {} of organisation {}", lcp::be16(meta().lcp->key_id),
                                 q_.org != nullptr ? q_.org->name : "?")
                   : std::string("the service takes commands without a tag"));
  }

  bool deadline() {
    validate::run(*c_.snapshot.parse, *burst_, live_, static_cast<uint64_t>(c_.unix_us));
    return say("validate", meta().verdict,
               fmt::format("the deadline is in {} ms",
                           (static_cast<int64_t>(meta().deadline_us) - c_.unix_us) / 1000));
  }

  bool draining() {
    return c_.draining && say("validate", Verdict::stopping, "the daemon is shutting down");
  }

  bool admission() {
    const admission::Table& table = c_.snapshot.admission;
    if (!table.enabled) return say("admission", Verdict::none, "nothing is shed: it is off");
    const uint64_t waiting = c_.load.in_flight + c_.load.rx_backlog + c_.load.delayed;
    return say("admission", admission::room(table, c_.load) != 0 ? Verdict::none : Verdict::shed,
               fmt::format("{}: {} of {} commands are in flight or wait",
                           name_of(admission::level(table, c_.load)), waiting, table.hard_limit));
  }

  bool dedup() {
    if (!q_.has_id) return say("dedup", Verdict::none, "no command_id given: taken for a new one");
    const ledger::Name name{meta().lcp->command_id,
                            ledger::space_of(meta().org_id, meta().authenticated)};
    const ledger::Hash hash = c_.ledger.hasher().one(name);
    ledger::Found found;
    c_.ledger.find(&hash, 1, c_.now, &found);
    if (found.ref == 0) return say("dedup", Verdict::none, "not seen within the window");
    if (found.state() == ledger::State::answered)
      return say("dedup", Verdict::duplicate_answered,
                 fmt::format("answered with status {}", found.word.status()));
    retry_ = found.has_flight() && meta().attempt > found.flight.attempt;
    if (retry_)
      return say("dedup", Verdict::none,
                 fmt::format("attempt {} of a command in flight to {}", meta().attempt,
                             node_name(found.flight.node)));
    return say("dedup", Verdict::duplicate_in_flight, "in flight, or kept here, with this attempt");
  }

  bool policy() {
    identity::run(c_.snapshot.policy->identity, *burst_, live_, static_cast<uint64_t>(c_.unix_us));
    const Meta& m = meta();
    const std::string who =
        fmt::format("clearance {}, MFA level {}, risk {:.2f}{}", m.clearance(), m.mfa_level(),
                    m.risk_centi / 100.0, m.comms_degraded ? ", communications degraded" : "");
    (void)say("identify", Verdict::none, who);
    const auto decision = c_.evaluate({{"org", q_.org_id},
                                       {"intent", q_.intent},
                                       {"severity", m.severity},
                                       {"operator", m.operator_id},
                                       {"target", m.target_id},
                                       {"payload", q_.payload}});
    if (!decision) return say("policy", Verdict::policy_denied, decision.error().message);
    const std::string outcome = decision->value("outcome", "");
    std::string why = fmt::format("rule {}, version {}", decision->value("rule", ""),
                                  (*decision)["version"].dump());
    if (const std::string reason = decision->value("reason", ""); !reason.empty())
      why += ": " + reason;
    return say("policy",
               outcome == "allow"  ? Verdict::none
               : outcome == "hold" ? Verdict::held
                                   : Verdict::policy_denied,
               why);
  }

  bool quota() {
    if (retry_) return say("quota", Verdict::none, "a retry costs no quota");
    const quota::KeyStatus s =
        quota::quota_status(c_.quotas, meta().org, meta().intent_index, c_.now).rules;
    if (s.limit < 0) return say("quota", Verdict::none, "no limit");
    const std::string why = fmt::format(
        "{} of {} a minute used ({:.1f} %), tier {}{}", s.used, s.limit, s.utilization_percent,
        name_of(s.tier), s.throttle_ms != 0 ? fmt::format(", {} ms", s.throttle_ms) : "");
    return say("quota",
               s.tier != quota::Tier::reject ? Verdict::none
               : s.limit == 0                ? Verdict::quota_zero
                                             : Verdict::quota_rejected,
               why);
  }

  const health::ServiceRecord* service() {
    for (const auto& s : c_.health.services())
      if (s->index == meta().service) return s.get();
    return nullptr;
  }
  std::string service_name() { return service() != nullptr ? service()->settings.name : ""; }

  bool choose() {
    const health::ServiceRecord* service = this->service();
    if (service == nullptr) return say("choose", Verdict::unroutable, "the service has no nodes");
    Json nodes = Json::array();
    std::string shares;
    for (const auto& n : service->nodes) {
      nodes.push_back({{"name", n->settings.name},
                       {"weight", n->share},
                       {"state", std::string(name(state_of(*n)))}});
      if (n->share <= 0) continue;
      shares += fmt::format("{}{} {:.1f} %", shares.empty() ? "" : ", ", n->settings.name,
                            n->share * 100);
      if (n->share > best_share_) best_share_ = n->share, best_ = n->slot;
    }
    out_["nodes"] = std::move(nodes);
    if (best_ == kNoNode)
      return say("choose", Verdict::unroutable, "no node of the service may take commands");
    const auto& table = *c_.snapshot.forward;
    if (best_ >= table.nodes.size() || !table.nodes[best_].resolved)
      return say("choose", Verdict::node_unresolved,
                 fmt::format("the MAC address of {} is not known yet", node_name(best_)));
    return say("choose", Verdict::none, shares);
  }

  void rewrite() {
    const forward::Node& node = c_.snapshot.forward->nodes[best_];
    const char* mode = mode_name(node.mode);
    stages_.push_back(
        {{"stage", "rewrite"},
         {"verdict", "forwarded"},
         {"why", fmt::format("{}: to {} port {}, for example, from {}", mode,
                             format_address(node.address), lcp::be16(node.port),
                             node.mode == forward::Mode::proxy ? format_address(node.source)
                                                               : format_address(q_.from))}});
    out_["verdict"] = "forwarded";
  }

  std::string node_name(NodeSlot slot) const {
    const health::NodeRecord* node = c_.health.node(slot);
    return node != nullptr ? node->settings.name : "a node that is gone";
  }

  const ExplainContext& c_;
  ExplainQuestion q_;
  std::unique_ptr<Burst> burst_;
  std::unique_ptr<authenticate::State> authenticate_ = std::make_unique<authenticate::State>();
  std::unique_ptr<rte_mbuf, FreeMbuf> mbuf_;
  Selection live_{};
  bool retry_ = false;
  NodeSlot best_ = kNoNode;
  double best_share_ = 0;
  Json stages_ = Json::array();
  Json out_ = Json::object();
};

}  // namespace

Result<Json> explain(const ExplainContext& context, const Json& params) {
  auto question = read_question(context.config, context.unix_us, params);
  if (!question) return tl::unexpected(question.error());
  return Walk(context, std::move(*question)).run();
}

}  // namespace lf::daemon
