// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/views.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/lfctl/table.hpp"

namespace lf::ctl {
namespace {

constexpr unsigned kBar = 16;  // columns of a bar
constexpr double kGood = 0.7;  // health from here on is green
constexpr double kPoor = 0.3;  // and below here red

Cell right(std::string text, Colour colour = Colour::none) {
  return {std::move(text), colour, true};
}

double number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

uint64_t count(const Json& object, const char* key) {
  const double value = number(object, key);
  return value > 0 ? static_cast<uint64_t>(value) : 0;
}

std::string text(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

Colour state_colour(const std::string& state) {
  if (state == "active" || state == "closed" || state == "allow") return Colour::green;
  if (state == "warming" || state == "draining" || state == "half-open" || state == "delay" ||
      state == "hold")
    return Colour::yellow;
  return Colour::red;
}

// Microseconds as people say them.
std::string latency(double us) {
  if (us <= 0) return "-";
  return us < 1000 ? fmt::format("{:.0f}us", us) : fmt::format("{:.1f}ms", us / 1000);
}

std::string duration(double ms) {
  if (ms < 1000) return fmt::format("{:.0f}ms", ms);
  const double s = ms / 1000;
  if (s < 120) return fmt::format("{:.0f}s", s);
  return s < 7200 ? fmt::format("{:.0f}min", s / 60) : fmt::format("{:.0f}h", s / 3600);
}

const Json& rows_of(const Json& result, const char* key) {
  return result.is_array() ? result : result.at(key);
}

}  // namespace

std::string nodes_view(const Json& result, const Style& style) {
  Table table({"SERVICE", "NODE", "REGION", "STATE", "BREAKER", "HEALTH", "", "SHARE", "", "P50",
               "P99", "INFLIGHT", "SENT", "REPLIES", "FAILED", "TIMEOUTS"});
  for (const Json& n : rows_of(result, "nodes")) {
    const double health = number(n, "health"), share = number(n, "weight");
    const bool measured = n.value("measured", true);
    const Colour colour = health >= kGood   ? Colour::green
                          : health >= kPoor ? Colour::yellow
                                            : Colour::red;
    const std::string state = text(n, "state"), breaker = text(n, "breaker");
    const Json us = n.value("latency_us", Json::object());
    table.add(
        {{text(n, "service")},
         {text(n, "name"), Colour::bold},
         {text(n, "region")},
         {state, state_colour(state)},
         {breaker, state_colour(breaker)},
         right(measured ? fmt::format("{:.2f}", health) : "-"),
         {bar(health, kBar / 2), measured ? colour : Colour::dim},
         right(fmt::format("{:.1f}%", share * 100)),
         {bar(share, kBar), Colour::green},
         right(latency(number(us, "p50"))),
         right(latency(number(us, "p99"))),
         right(grouped(count(n, "inflight"))),
         right(grouped(count(n, "sent"))),
         right(grouped(count(n, "replies"))),
         right(grouped(count(n, "failures")), count(n, "failures") ? Colour::yellow : Colour::none),
         right(grouped(count(n, "timeouts")),
               count(n, "timeouts") ? Colour::yellow : Colour::none)});
  }
  return table.empty() ? "no nodes\n" : table.to_text(style.colours);
}

std::string breakers_view(const Json& result, const Style& style) {
  Table table({"SERVICE", "NODE", "STATE", "FOR", "CAUSE", "FAILURES", "OPENINGS", "NEXT"});
  for (const Json& b : rows_of(result, "breakers")) {
    const std::string state = text(b, "state");
    std::string next;
    if (b.contains("open_left_ms"))
      next = "half-open in " + duration(number(b, "open_left_ms"));
    else if (b.contains("trials_left"))
      next = fmt::format("{} trials left", count(b, "trials_left"));
    table.add({{text(b, "service")},
               {text(b, "node"), Colour::bold},
               {state, state_colour(state)},
               right(duration(number(b, "for_ms"))),
               {text(b, "cause")},
               right(b.contains("failures") ? text(b, "failures") : ""),
               right(text(b, "openings")),
               {next}});
  }
  return table.empty() ? "no nodes\n" : table.to_text(style.colours);
}

std::string quota_view(const Json& result, const Style& style) {
  Table table(
      {"ORGANISATION", "INTENT", "USED", "LIMIT", "", "USE", "TIER", "LEFT", "RESET", "REJECTED"});
  const auto add = [&table](const Json& key) {
    const bool limited = number(key, "limit") >= 0;
    const double share = number(key, "utilization_percent") / 100;
    const std::string tier = limited ? text(key, "tier") : "-";
    const Colour colour = limited ? state_colour(tier) : Colour::dim;
    table.add({{text(key, "org"), Colour::bold},
               {key.contains("intent") ? text(key, "intent") : "(all)"},
               right(grouped(count(key, "used"))),
               right(limited ? grouped(count(key, "limit")) : "unlimited"),
               {bar(share, kBar), colour},
               right(limited ? fmt::format("{:.1f}%", share * 100) : "-"),
               {tier + (key.value("hard", false) ? " (hard)" : ""), colour},
               right(limited ? grouped(count(key, "quota_remaining")) : "-"),
               right(limited ? fmt::format("{}s", count(key, "reset_seconds")) : "-"),
               right(grouped(count(key, "rejected")))});
  };
  if (result.contains("keys")) {
    for (const Json& key : result.at("keys")) add(key);
  } else if (result.contains("intents")) {
    add(result);
    for (const Json& key : result.at("intents")) add(key);
  } else if (result.contains("of_org")) {
    add(result.at("of_org"));
    add(result.at("of_intent"));
  } else {
    add(result);
  }
  return table.empty() ? "nobody has used any quota\n" : table.to_text(style.colours);
}

std::string stats_view(const Json& result, const Style& style,
                       const std::optional<Previous>& previous) {
  const Json& verdicts = result.at("verdicts");
  const bool rates = previous && previous->seconds_ago > 0;
  uint64_t total = 0;
  for (const auto& [name, packets] : verdicts.items()) total += packets.get<uint64_t>();
  std::vector<std::string> headings = {"VERDICT", "PACKETS", "SHARE", ""};
  if (rates) headings.insert(headings.begin() + 2, "PER SECOND");
  Table table(headings);
  std::vector<std::pair<uint64_t, std::string>> rows;
  for (const auto& [name, packets] : verdicts.items())
    if (packets.get<uint64_t>() > 0) rows.emplace_back(packets.get<uint64_t>(), name);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [packets, name] : rows) {
    const double share = static_cast<double>(packets) / static_cast<double>(total);
    std::vector<Cell> cells = {{name, Colour::bold}, right(grouped(packets))};
    if (rates) {
      const uint64_t before = previous->result.at("verdicts").value(name, uint64_t{0});
      cells.push_back(right(compact(static_cast<double>(packets - std::min(before, packets)) /
                                    previous->seconds_ago)));
    }
    cells.push_back(right(fmt::format("{:.1f}%", share * 100)));
    cells.push_back({bar(share, kBar), Colour::green});
    table.add(std::move(cells));
  }
  std::string out = table.empty() ? "no packets yet\n" : table.to_text(style.colours);

  Table workers({"WORKER CPU", "RX", "TX", "RX/S", "TX/S", "TICKS/PACKET", "BUSY", ""});
  for (const Json& w : result.at("workers"))
    workers.add({right(text(w, "lcore")),
                 right(grouped(count(w, "rx"))),
                 right(grouped(count(w, "tx"))),
                 right(compact(number(w, "rx_per_s"))),
                 right(compact(number(w, "tx_per_s"))),
                 right(fmt::format("{:.0f}", number(w, "cycles_per_packet"))),
                 right(fmt::format("{:.1f}%", number(w, "busy_percent"))),
                 {bar(number(w, "busy_percent") / 100, kBar / 2), Colour::green}});
  out += "\n" + workers.to_text(style.colours);
  Json rest = Json::object();
  for (const auto& [key, value] : result.items())
    if (value.is_object() && key != "verdicts") rest[key] = value;
  for (const auto& [key, value] : result.items())
    if (value.is_number() && number(result, key.c_str()) != 0) rest[key] = value;
  if (result.contains("ports")) rest["ports"] = result["ports"];
  return out + "\n" + render_generic(rest, style);
}

std::string latency_view(const Json& result, const Style& style) {
  const Json& stages = result.at("stages");
  double longest = 0;
  for (const Json& s : stages)
    if (text(s, "stage") != "burst") longest = std::max(longest, number(s, "ns_per_packet"));
  Table table({"STAGE", "NS/PACKET", "", "BURST P50", "P90", "P99", "BURSTS", "PACKETS"});
  const auto ns = [](const Json& s, const char* key) {
    return right(fmt::format("{:.0f} ns", number(s, key)));
  };
  for (const Json& s : stages) {
    const double share = longest > 0 ? number(s, "ns_per_packet") / longest : 0;
    const bool whole = text(s, "stage") == "burst";
    table.add({{text(s, "stage"), Colour::bold},
               right(fmt::format("{:.1f}", number(s, "ns_per_packet"))),
               {whole ? "" : bar(share, kBar), Colour::green},
               ns(s, "burst_ns_p50"),
               ns(s, "burst_ns_p90"),
               ns(s, "burst_ns_p99"),
               right(grouped(count(s, "bursts"))),
               right(grouped(count(s, "packets")))});
  }
  return table.empty() ? "no burst was timed yet (dataplane.sample_bursts)\n"
                       : table.to_text(style.colours);
}

std::string explain_view(const Json& result, const Style& style) {
  Table table({"STAGE", "VERDICT", "WHY"});
  for (const Json& stage : result.at("stages")) {
    const std::string verdict = text(stage, "verdict");
    const bool passes = verdict == "pass" || verdict == "none" || verdict == "forwarded";
    table.add({{text(stage, "stage"), Colour::bold},
               {verdict, passes ? Colour::green : Colour::red},
               {text(stage, "why")}});
  }
  Json rest = result;
  rest.erase("stages");
  return table.to_text(style.colours) + (rest.empty() ? "" : "\n" + render_generic(rest, style));
}

std::string help_view(const Json& result, const Style& style) {
  if (result.contains("commands")) {
    Table table({"METHOD", "WHAT IT DOES"});
    for (const Json& command : result.at("commands"))
      table.add({{text(command, "name"), Colour::bold}, {text(command, "help")}});
    return table.to_text(style.colours);
  }
  std::string out = painted(text(result, "name"), Colour::bold, style.colours) + ": " +
                    text(result, "help") + "\n";
  Table table({"PARAMETER", "TYPE", "REQUIRED", "MEANING"});
  for (const Json& p : result.at("parameters"))
    table.add({{text(p, "name"), Colour::bold},
               {text(p, "type")},
               {p.at("required").get<bool>() ? "yes" : "no"},
               {text(p, "help")}});
  return table.empty() ? out : out + "\n" + table.to_text(style.colours);
}

std::string check_view(const Json& result, const Style& style) {
  std::string out;
  for (const auto& [key, word, colour] :
       {std::tuple{"errors", "error", Colour::red}, {"warnings", "warning", Colour::yellow}})
    for (const Json& d : result.at(key))
      out += fmt::format("{}:{}: {}: {}\n", text(d, "line"), text(d, "column"),
                         painted(word, colour, style.colours), text(d, "message"));
  if (result.at("ok").get<bool>()) out += fmt::format("ok, {} rules\n", text(result, "rules"));
  return out;
}

std::string diff_view(const Json& result) {
  std::string out;
  for (const Json& difference : result.at("differences")) out += text(difference, "text") + "\n";
  return out.empty() ? "no difference\n" : out;
}

}  // namespace lf::ctl
