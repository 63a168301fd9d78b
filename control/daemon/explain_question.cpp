// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/explain_question.hpp"

#include "control/base/address.hpp"
#include "control/daemon/explain.hpp"
#include "control/policy/arguments.hpp"

namespace lf::daemon {
namespace {

using rpc::Json;

constexpr int64_t kDeadlineDefaultMs = 60'000;
constexpr size_t kPayloadMax = 1200;

// Reads the parameters; the first complaint is the caller's answer.
class QuestionReader {
 public:
  QuestionReader(const config::Config& config, int64_t unix_us, const Json& params)
      : config_(config), unix_us_(unix_us), args_(params) {}

  Result<ExplainQuestion> read() {
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
    for (const config::Organisation& o : config_.organisations)
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
    for (const config::Intent& i : config_.intents) {
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
    h.deadline_us = lcp::be64(static_cast<uint64_t>(unix_us_ + in_ms * 1000));
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
    for (const config::Intent& i : config_.intents)
      if (i.code == q_.intent && !i.chain.empty()) last = i.chain.back();
    for (const config::Service& s : config_.services) {
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

  const config::Config& config_;
  int64_t unix_us_;
  policy::Arguments args_;
  ExplainQuestion q_;
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

Result<ExplainQuestion> read_question(const config::Config& config, int64_t unix_us,
                                      const Json& params) {
  return QuestionReader(config, unix_us, params).read();
}

}  // namespace lf::daemon
