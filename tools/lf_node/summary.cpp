// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_node/summary.hpp"

#include <nlohmann/json.hpp>

#include "tools/common/text.hpp"

namespace lf::node {

std::string to_json(const Summary& s, const SeenCommands& seen, int indent) {
  nlohmann::ordered_json j;
  j["received"] = s.received;
  j["unique"] = seen.unique();
  j["delivered_twice"] = seen.delivered_twice();
  j["same_attempt_twice"] = seen.same_attempt_twice();
  j["answered"] = s.answered;
  j["silent"] = s.silent;
  j["waiting"] = s.waiting;
  auto& by_intent = j["by_intent"] = nlohmann::ordered_json::object();
  for (size_t i = 0; i < s.by_intent.size(); ++i)
    if (s.by_intent[i]) by_intent[std::to_string(i)] = s.by_intent[i];
  auto& by_status = j["by_status"] = {{"ok", s.by_status[0]}};
  for (size_t i = 1; i < s.by_status.size(); ++i)
    if (s.by_status[i])
      by_status[std::string(lcp::name_of(static_cast<lcp::Status>(i)))] = s.by_status[i];
  j["tags_bad"] = s.tags_bad;
  j["tags_unknown"] = s.tags_unknown;
  j["untagged"] = s.untagged;
  j["malformed"] = s.malformed;
  j["other"] = s.other;
  j["probes"] = s.probes;
  j["reports"] = s.reports;
  j["refused_sends"] = s.refused_sends;
  j["latency_us"] = {{"p50", s.latency.quantile(0.5)},
                     {"p99", s.latency.quantile(0.99)},
                     {"max", s.latency.max()}};
  j["seconds"] = s.seconds;
  return j.dump(indent);
}

std::string SeenCommands::to_text() const {
  std::string text;
  text.reserve(by_id_.size() * 36);
  for (const auto& [id, seen] : by_id_) {
    text += tools::to_hex(id);
    text += ' ';
    text += std::to_string(seen.deliveries);
    text += '\n';
  }
  return text;
}

}  // namespace lf::node
