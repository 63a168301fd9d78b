// SPDX-License-Identifier: Apache-2.0
// The small sections: ledger, replay, admission, quotas, policy, audit, hold, notifications,
// control.
#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <bit>

#include "control/config/sections.hpp"

namespace lf::config {
namespace {

constexpr uint64_t kMs = 1'000, kSecond = 1'000'000;  // in microseconds
constexpr size_t kSocketPathMax = 107;                // sockaddr_un, less its terminator

void read_sink(Context& context, const YAML::Node& node, std::string path, Sink& out) {
  Map map(context, node, std::move(path));
  map.require({"kind"});
  map.choice("kind", out.kind,
             {{"log", std::string("log")},
              {"alertmanager", std::string("alertmanager")},
              {"webhook", std::string("webhook")},
              {"smtp", std::string("smtp")},
              {"command", std::string("command")}});
  map.text("url", out.url);
  map.names("channels", out.channels);
  map.text("recipient", out.recipient);
  map.finish();
  if (out.kind != "log" && out.url.empty()) map.require({"url"});
  const bool http = out.kind == "alertmanager" || out.kind == "webhook";
  if (http && !out.url.empty() && !out.url.starts_with("http://") &&
      !out.url.starts_with("https://"))
    map.error("url", quote(out.url) + " does not start with http:// or https://");
  if (out.kind == "smtp" && out.recipient.empty()) map.require({"recipient"});
  for (const std::string& channel : out.channels)
    if (channel != "pager" && channel != "sms" && channel != "email")
      map.error("channels", quote(channel) + " is none of pager, sms, email");
}

Parsed<std::string> parse_metrics_address(const std::string& text) {
  if (text == "off") return std::string();
  const size_t colon = text.rfind(':');
  std::string_view host = std::string_view(text).substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto port = parse_integer(colon == std::string::npos ? "" : text.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535 || !parse_address(host))
    return tl::unexpected<std::string>(
        "is neither off nor an address and port such as 127.0.0.1:9464 or [::1]:9464");
  return text;
}

void read_uids(Context& context, Map& map, std::vector<uint32_t>& out) {
  map.each(
      "allowed_uids",
      [&](const YAML::Node& item, const std::string& path) {
        if (!item.IsScalar()) return context.error_at(path, "must be a user name or number");
        const auto number = parse_integer(item.Scalar());
        if (number && *number >= 0 && *number < UINT32_MAX)
          return out.push_back(static_cast<uint32_t>(*number));
        const passwd* user = ::getpwnam(item.Scalar().c_str());
        if (user == nullptr)
          return context.error_at(path, quote(item.Scalar()) + " is not a user of this machine");
        out.push_back(user->pw_uid);
      },
      "list of user names or numbers");
}

}  // namespace

void read_ledger(Context& context, const YAML::Node& node, Ledger& out) {
  Map map(context, node, "ledger");
  map.integer("entries", out.entries, 1u << 10, 1u << 28);
  map.duration("window", out.window_s, kSecond, 1, 86'400);
  map.number("org_share", out.org_share, 0.001, 1);
  map.text_or_off("save", out.save);
  map.finish();
  if (!std::has_single_bit(out.entries))
    map.error("entries", fmt::format("\"{}\" is not a power of two; {} is the next", out.entries,
                                     std::bit_ceil(out.entries)));
}

void read_replay(Context& context, const YAML::Node& node, Replay& out) {
  Map map(context, node, "replay");
  map.integer("packets", out.packets, 0, 1u << 22);
  map.duration("timeout", out.timeout_s, kSecond, 1, 3'600);
  map.finish();
}

void read_admission(Context& context, const YAML::Node& node, Admission& out) {
  Map map(context, node, "admission");
  map.boolean("enabled", out.enabled);
  map.integer("hard_limit", out.hard_limit, 0, 1u << 30);
  map.finish();
}

void read_quotas(Context& context, const YAML::Node& node, QuotaSettings& out,
                 Quota& organisation_default) {
  Map map(context, node, "quotas");
  read_quota(context, map, "organisation_default", organisation_default);
  map.integer("delay_packets", out.delay_packets, 0, 1u << 20);
  map.number("delay_from", out.delay_from, 0, 1);
  map.number("reject_above", out.reject_above, 0, 1);
  map.duration("backoff_base", out.backoff_base_ms, kMs, 1, 60'000);
  map.duration("backoff_cap", out.backoff_cap_ms, kMs, 1, 60'000);
  map.finish();
  if (out.delay_from > out.reject_above) map.error("delay_from", "is above reject_above");
  if (out.backoff_base_ms > out.backoff_cap_ms)
    map.error("backoff_base", "is longer than backoff_cap");
}

void read_policy(Context& context, const YAML::Node& node, Policy& out) {
  Map map(context, node, "policy");
  map.text("file", out.file);
  map.text_or_off("store", out.store);
  map.text("operators_file", out.operators_file);
  map.text("targets_file", out.targets_file);
  map.finish();
}

// One word for all outcomes, or a map of outcome to word.
void read_on_overflow(Context& context, Map& map, OnOverflow& out) {
  const YAML::Node node = map.child("on_overflow", "choice, or map");
  const std::string path = map.path_of("on_overflow");
  if (node.IsDefined() && node.IsScalar()) {
    const bool drop = node.Scalar() == "drop_packet";
    if (!drop && node.Scalar() != "count_loss")
      return context.error_at(path, quote(node.Scalar()) + " is none of count_loss, drop_packet");
    out = {drop, drop, drop};
    return;
  }
  Map by_outcome(context, node, path);
  for (const auto& [outcome, drop] : {std::pair<const char*, bool*>{"allow", &out.allow},
                                      {"deny", &out.deny},
                                      {"hold", &out.hold}})
    by_outcome.choice(outcome, *drop, {{"count_loss", false}, {"drop_packet", true}});
  by_outcome.finish();
}

void read_audit(Context& context, const YAML::Node& node, Audit& out) {
  Map map(context, node, "audit");
  map.boolean("enabled", out.enabled);
  map.text("directory", out.directory);
  map.size("segment", out.segment_mb, 1u << 20, 1, 4096);
  map.size("keep", out.keep_mb, 1u << 20, 1, 1u << 24);
  read_on_overflow(context, map, out.on_overflow);
  map.integer("ring_records", out.ring_records, 1u << 10, 1u << 24);
  map.finish();
  if (!std::has_single_bit(out.ring_records))
    map.error("ring_records", fmt::format("\"{}\" is not a power of two; {} is the next",
                                          out.ring_records, std::bit_ceil(out.ring_records)));
  if (out.segment_mb > out.keep_mb) map.error("segment", "is larger than keep");
}

void read_hold(Context& context, const YAML::Node& node, Hold& out) {
  Map map(context, node, "hold");
  map.integer("packets", out.packets, 0, 1u << 20);
  map.finish();
}

void read_notifications(Context& context, const YAML::Node& node, Notifications& out) {
  Map map(context, node, "notifications");
  map.text_or_off("store", out.store);
  map.integer("exhaustions", out.exhaustions, 1, 1'000'000);
  map.duration("within", out.within_s, kSecond, 1, 86'400);
  map.duration("throttle", out.throttle_s, kSecond, 0, 86'400);
  map.each("sinks", [&](const YAML::Node& item, std::string path) {
    Sink& sink = out.sinks.emplace_back();
    sink.kind = "log";
    read_sink(context, item, std::move(path), sink);
  });
  map.finish();
}

void read_control(Context& context, const YAML::Node& node, Control& out) {
  Map map(context, node, "control");
  map.text("socket", out.socket);
  read_uids(context, map, out.allowed_uids);
  map.value("metrics", out.metrics, "address and port, or off", out.metrics, parse_metrics_address);
  map.duration("clock_skew", out.clock_skew_ms, kMs, 0, 3'600'000);
  map.choice("log_level", out.log_level,
             {{"trace", std::string("trace")},
              {"debug", std::string("debug")},
              {"info", std::string("info")},
              {"warn", std::string("warn")},
              {"error", std::string("error")}});
  map.finish();
  if (out.socket.size() > kSocketPathMax)
    map.error("socket",
              fmt::format("{} is longer than {} characters", quote(out.socket), kSocketPathMax));
}

}  // namespace lf::config
