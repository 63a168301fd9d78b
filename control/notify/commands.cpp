// SPDX-License-Identifier: Apache-2.0
#include "control/notify/commands.hpp"

namespace lf::notify {
namespace {

using rpc::Json;

constexpr uint32_t kListDefault = 50, kListMax = 1000;

Json to_json(const Message& m) {
  Json json{{"id", m.uuid},
            {"created_us", m.created_us},
            {"sink", m.sink},
            {"recipient", m.recipient},
            {"channels", m.channels},
            {"severity", m.event.severity},
            {"subsystem", m.event.subsystem},
            {"subject", m.subject},
            {"text", m.event.text},
            {"labels", m.event.labels},
            {"state", m.delivered_us != 0 ? "delivered" : "pending"},
            {"failed_attempts", m.attempts}};
  json["delivered_us"] = m.delivered_us != 0 ? Json(m.delivered_us) : Json(nullptr);
  json["error"] = m.error.empty() ? Json(nullptr) : Json(m.error);
  return json;
}

Result<Json> list(Notifier& notifier, const Json& params) {
  uint32_t count = kListDefault;
  if (const auto it = params.find("count"); it != params.end() && !it->is_null()) {
    if (!it->is_number_unsigned() || *it < 1 || *it > kListMax)
      return fail(ErrorCode::invalid, "count: {} is not within 1..{}", it->dump(), kListMax);
    count = it->get<uint32_t>();
  }
  const auto messages = notifier.outbox().list(count);
  if (!messages) return tl::unexpected(messages.error());
  const auto pending = notifier.outbox().pending();
  if (!pending) return tl::unexpected(pending.error());
  Json notifications = Json::array();
  for (const Message& m : *messages) notifications.push_back(to_json(m));
  const NotifierCounts c = notifier.counts();
  return Json{{"notifications", std::move(notifications)},
              {"pending", *pending},
              {"since_start",
               {{"events", c.events},
                {"planned", c.planned},
                {"withheld", c.withheld},
                {"delivered", c.delivered},
                {"failed_attempts", c.failed_attempts},
                {"dropped", c.dropped},
                {"store_errors", c.store_errors}}}};
}

Result<Json> send(Notifier& notifier, const Json& params) {
  Event e;
  const auto severity = params.find("severity");
  if (severity == params.end() || !severity->is_number_unsigned() || *severity < 1 || *severity > 5)
    return fail(ErrorCode::invalid, "severity: must be 1..5");
  e.severity = severity->get<uint8_t>();
  for (const auto& [name, target] : {std::pair{"subsystem", &e.subsystem}, {"text", &e.text}}) {
    const auto it = params.find(name);
    if (it == params.end() || !it->is_string())
      return fail(ErrorCode::invalid, "{}: must be a string", name);
    *target = it->get<std::string>();
  }
  const uint64_t before = notifier.counts().planned;
  notifier.submit(e);
  return Json{{"planned", notifier.counts().planned - before}};
}

}  // namespace

std::vector<rpc::Command> notification_commands(Notifier& notifier) {
  return {
      {"notifications.list",
       "notifications that wait for their sink, then the latest delivered ones",
       {{"count", "integer", false, "how many; 50 unless given"}},
       false,
       [&notifier](const Json& params) { return list(notifier, params); }},
      {"notifications.send",
       "send a notification of your own, through the same planner: a test of the sinks",
       {{"severity", "integer", true, "1..5"},
        {"subsystem", "string", true, "what it is about"},
        {"text", "string", true, "what to say"}},
       true,
       [&notifier](const Json& params) { return send(notifier, params); }},
  };
}

}  // namespace lf::notify
