// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_send/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lf::send {
namespace {

double percent(uint64_t part, uint64_t whole) {
  return whole ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

nlohmann::ordered_json latency_json(const tools::Histogram& h) {
  return {{"p50", h.quantile(0.5)},
          {"p90", h.quantile(0.9)},
          {"p99", h.quantile(0.99)},
          {"p99.9", h.quantile(0.999)},
          {"max", h.max()}};
}

}  // namespace

void Results::add(const Results& o) {
  sent += o.sent;
  unique += o.unique;
  answered += o.answered;
  lost += o.lost;
  retries += o.retries;
  duplicates += o.duplicates;
  duplicate_answers += o.duplicate_answers;
  duplicate_notices += o.duplicate_notices;
  interim += o.interim;
  late += o.late;
  from_data_plane += o.from_data_plane;
  tagged_answers += o.tagged_answers;
  bad_tags += o.bad_tags;
  foreign += o.foreign;
  malformed += o.malformed;
  refused_sends += o.refused_sends;
  for (size_t i = 0; i < by_status.size(); ++i) by_status[i] += o.by_status[i];
  for (size_t i = 0; i < spoiled.size(); ++i) {
    spoiled[i] += o.spoiled[i];
    spoiled_answered[i] += o.spoiled_answered[i];
  }
  latency.add(o.latency);
  series.resize(std::max(series.size(), o.series.size()));
  for (size_t i = 0; i < o.series.size(); ++i) {
    series[i].sent += o.series[i].sent;
    series[i].answered += o.series[i].answered;
    series[i].ok += o.series[i].ok;
    series[i].latency.add(o.series[i].latency);
  }
  seconds = std::max(seconds, o.seconds);
  behind_ns_max = std::max(behind_ns_max, o.behind_ns_max);
}

void Results::count_commands(const Tracker& tracker) {
  for (const Tracker::Command& c : tracker.commands()) {
    if (c.state == Tracker::State::spoiled) continue;
    ++unique;
    if (c.state == Tracker::State::answered) {
      ++answered;
      ++by_status[static_cast<uint8_t>(c.status)];
    } else {
      ++lost;
    }
  }
}

std::string to_json(const Results& r) {
  nlohmann::ordered_json j;
  j["sent"] = r.sent;
  j["unique"] = r.unique;
  j["answered"] = r.answered;
  j["lost"] = r.lost;
  j["duplicate_answers"] = r.duplicate_answers;
  auto& by_status = j["by_status"] = {{"ok", r.by_status[0]}};
  for (uint32_t s = 1; s < r.by_status.size(); ++s) {
    if (r.by_status[s] == 0) continue;
    const auto name = lcp::name_of(static_cast<lcp::Status>(s));
    by_status[s < 12 ? std::string(name) : std::to_string(s)] = r.by_status[s];
  }
  j["latency_us"] = latency_json(r.latency);
  j["seconds"] = r.seconds;
  j["rate"] = r.seconds > 0 ? static_cast<double>(r.unique) / r.seconds : 0.0;
  j["retries"] = r.retries;
  j["duplicates"] = r.duplicates;
  j["duplicate_notices"] = r.duplicate_notices;
  j["interim"] = r.interim;
  j["late"] = r.late;
  j["from_data_plane"] = r.from_data_plane;
  j["tagged_answers"] = r.tagged_answers;
  j["bad_tags"] = r.bad_tags;
  j["foreign"] = r.foreign;
  j["malformed"] = r.malformed;
  j["refused_sends"] = r.refused_sends;
  j["behind_us_max"] = r.behind_ns_max / 1000;
  auto& spoiled = j["corrupted"] = nlohmann::ordered_json::object();
  for (uint32_t f = 1; f < kFaults; ++f)
    if (r.spoiled[f])
      spoiled[std::string(name_of(static_cast<Fault>(f)))] = {{"sent", r.spoiled[f]},
                                                              {"answered", r.spoiled_answered[f]}};
  auto& series = j["series"] = nlohmann::ordered_json::array();
  for (const Second& s : r.series)
    series.push_back({{"sent", s.sent},
                      {"answered", s.answered},
                      {"ok", s.ok},
                      {"p50_us", s.latency.quantile(0.5)},
                      {"p99_us", s.latency.quantile(0.99)}});
  return j.dump(1);
}

std::string to_text(const Results& r) {
  std::string text =
      fmt::format("{} commands in {:.2f} s ({:.0f}/s), {} answered ({:.3f} %), {} lost\n", r.unique,
                  r.seconds, r.seconds > 0 ? static_cast<double>(r.unique) / r.seconds : 0.0,
                  r.answered, percent(r.answered, r.unique), r.lost);
  for (uint32_t s = 0; s < r.by_status.size(); ++s)
    if (r.by_status[s])
      text += fmt::format("  {:16} {:>10}  {:7.3f} %\n", lcp::name_of(static_cast<lcp::Status>(s)),
                          r.by_status[s], percent(r.by_status[s], r.unique));
  text += fmt::format("latency p50 {} us, p90 {} us, p99 {} us, p99.9 {} us, max {} us\n",
                      r.latency.quantile(0.5), r.latency.quantile(0.9), r.latency.quantile(0.99),
                      r.latency.quantile(0.999), r.latency.max());
  text += fmt::format(
      "{} datagrams: {} retries, {} duplicates; {} second answers, {} duplicate notices, {} "
      "interim "
      "answers\n",
      r.sent, r.retries, r.duplicates, r.duplicate_answers, r.duplicate_notices, r.interim);
  for (uint32_t f = 1; f < kFaults; ++f)
    if (r.spoiled[f])
      text += fmt::format("  spoiled {:10} {:>10} sent, {} answered\n",
                          name_of(static_cast<Fault>(f)), r.spoiled[f], r.spoiled_answered[f]);
  if (r.bad_tags || r.foreign || r.malformed || r.refused_sends)
    text += fmt::format("{} answers with a wrong tag, {} foreign, {} malformed, {} sends refused\n",
                        r.bad_tags, r.foreign, r.malformed, r.refused_sends);
  return text;
}

}  // namespace lf::send
