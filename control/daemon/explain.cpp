// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/explain.hpp"

#include <rte_mbuf.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "control/base/address.hpp"
#include "control/policy/arguments.hpp"
#include "control/probe/frame.hpp"
#include "dataplane/authenticate/authenticate.hpp"
#include "dataplane/identity/identity.hpp"
#include "dataplane/parse/parse.hpp"
#include "dataplane/policy/table.hpp"
#include "dataplane/validate/validate.hpp"

namespace lf::daemon {
namespace {

using rpc::Json;

constexpr int64_t kDeadlineDefaultMs = 60'000;
constexpr size_t kPayloadMax = 1200;

const char* mode_name(forward::Mode mode) {
  constexpr const char* kNames[] = {"proxy", "dsr-l2", "ipip", "gue", "nat"};
  return kNames[static_cast<size_t>(mode)];
}

// The command that the caller describes.
struct Question {
  const config::Organisation* org = nullptr;  // null: an id that is not configured
  uint32_t org_id = 0;
  uint8_t intent = 0;
  bool is_signed = true;
  bool has_id = false;
  const config::Service* service = nullptr;
  IpAddress from;
  lcp::Header header{};
  std::string payload;
};

// Reads the parameters; the first complaint is the caller's answer.
class QuestionReader {
 public:
  QuestionReader(const ExplainContext& context, const Json& params)
      : context_(context), params_(params), args_(params) {}

  Result<Question> read() {
    organisation();
    intent();
    fields();
    service();
    source();
    if (auto error = args_.error()) return tl::unexpected(std::move(*error));
    q_.is_signed = q_.is_signed && q_.org != nullptr && !q_.org->keys.empty();
    return std::move(q_);
  }

 private:
  void organisation() {
    if (!args_.has("org")) return args_.complain("org", "is needed: a name or an id");
    const bool by_name = args_.raw("org").is_string();
    const std::string name = by_name ? args_.text("org") : "";
    if (!by_name) q_.org_id = static_cast<uint32_t>(args_.integer("org", 0, 0, UINT32_MAX));
    for (const config::Organisation& o : context_.config.organisations)
      if (by_name ? o.name == name : o.id == q_.org_id) q_.org = &o;
    if (q_.org != nullptr) q_.org_id = q_.org->id;
    if (by_name && q_.org == nullptr) args_.complain("org", "is no configured organisation");
  }

  void intent() {
    if (!args_.has("intent")) return args_.complain("intent", "is needed: a name or a code");
    if (!args_.raw("intent").is_string()) {
      q_.intent = static_cast<uint8_t>(args_.integer("intent", 0, 0, 255));
      return;
    }
    const std::string name = args_.text("intent");
    for (const config::Intent& i : context_.config.intents) {
      if (i.name != name) continue;
      q_.intent = i.code;
      return;
    }
    args_.complain("intent", "is no configured intent");
  }

  void fields() {
    lcp::Header& h = q_.header;
    h.magic = lcp::be16(lcp::kMagic);
    h.version = lcp::kVersion;
    h.type = static_cast<uint8_t>(lcp::Type::command);
    h.intent = q_.intent;
    h.severity = static_cast<uint8_t>(args_.integer("severity", 1, 0, 255));
    h.attempt = static_cast<uint8_t>(args_.integer("attempt", 0, 0, 255));
    h.org_id = lcp::be32(q_.org_id);
    h.operator_id = lcp::be32(number("operator"));
    h.target_id = lcp::be32(number("target"));
    const int64_t in_ms = args_.integer("deadline_ms", kDeadlineDefaultMs, -86'400'000, 86'400'000);
    h.deadline_us = lcp::be64(static_cast<uint64_t>(context_.unix_us + in_ms * 1000));
    q_.payload = args_.text("payload");
    if (q_.payload.size() > kPayloadMax) args_.complain("payload", "is longer than 1200 bytes");
    h.payload_length = lcp::be16(static_cast<uint16_t>(q_.payload.size()));
    if (q_.org != nullptr && !q_.org->keys.empty()) h.key_id = lcp::be16(q_.org->keys[0].id);
    q_.is_signed = args_.boolean("signed", true);
    command_id();
  }

  uint32_t number(const char* name) {
    return static_cast<uint32_t>(args_.integer(name, 0, 0, UINT32_MAX));
  }

  // 32 hexadecimal digits, with or without the dashes of a UUID.
  void command_id() {
    std::string text = args_.text("command_id");
    if (text.empty()) return;
    std::erase(text, '-');
    if (text.size() != 32 || text.find_first_not_of("0123456789abcdefABCDEF") != text.npos)
      return args_.complain("command_id", "must be 32 hexadecimal digits");
    for (size_t b = 0; b < 16; ++b)
      q_.header.command_id[b] =
          static_cast<uint8_t>(std::stoul(text.substr(2 * b, 2), nullptr, 16));
    q_.has_id = true;
  }

  // By name, or the one that the intent's chain ends with, or the first.
  void service() {
    const std::string asked = args_.text("service");
    std::string last;
    const config::Service* first = nullptr;
    for (const config::Intent& i : context_.config.intents)
      if (i.code == q_.intent && !i.chain.empty()) last = i.chain.back();
    for (const config::Service& s : context_.config.services) {
      if (s.kind != config::ServiceKind::lcp) continue;  // takes no commands
      if (s.name == (asked.empty() ? last : asked)) q_.service = &s;
      if (first == nullptr) first = &s;
    }
    if (q_.service == nullptr && asked.empty()) q_.service = first;
    if (q_.service == nullptr) args_.complain("service", "is no configured LCP service");
  }

  void source() {
    const bool is_ipv4 = q_.service == nullptr || q_.service->ip_version == 4;
    const std::string text = args_.text("from", is_ipv4 ? "192.0.2.1" : "2001:db8::1");
    const auto address = parse_address(text);
    if (!address) return args_.complain("from", "is no IP address");
    if ((address->ip_version == 4) != is_ipv4)
      return args_.complain("from", "is of another IP version than the service");
    q_.from = address->address;
  }

  const ExplainContext& context_;
  const Json& params_;
  policy::Arguments args_;
  Question q_;
};

struct FreeMbuf {
  void operator()(rte_mbuf* m) const { rte_pktmbuf_free(m); }
};

// Walks through the stages as Pipeline::commands does.
class Walk {
 public:
  Walk(const ExplainContext& context, Question question)
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
        fmt::format("clearance {}, MFA level {}, risk {:.2f}{}", m.clearance, m.mfa_level,
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
  Question q_;
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

const std::vector<rpc::Parameter>& explain_parameters() {
  static const std::vector<rpc::Parameter> parameters = {
      {"org", "string|integer", true, "organisation, name or id"},
      {"intent", "string|integer", true, "name or code"},
      {"operator", "integer", false, "operator id; default 0, whom nobody knows"},
      {"severity", "integer", false, "default 1"},
      {"target", "integer", false, "target id; default 0"},
      {"payload", "string", false, "for payload patterns"},
      {"attempt", "integer", false, "default 0"},
      {"command_id", "string", false, "32 hexadecimal digits; default: one never seen"},
      {"deadline_ms", "integer", false, "from now; default 60000"},
      {"signed", "boolean", false, "with a key of the organisation; default true"},
      {"service", "string", false, "default: the last of the intent's chain, else the first one"},
      {"from", "string", false, "the client's address"}};
  return parameters;
}

Result<Json> explain(const ExplainContext& context, const Json& params) {
  auto question = QuestionReader(context, params).read();
  if (!question) return tl::unexpected(question.error());
  return Walk(context, std::move(*question)).run();
}

}  // namespace lf::daemon
