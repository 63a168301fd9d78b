// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_gen/results.hpp"

#include <nlohmann/json.hpp>

#include "dataplane/lcp/codec.hpp"

namespace lf::gen {
namespace {

using Json = nlohmann::ordered_json;

Json latency_json(const tools::Histogram& h, bool buckets) {
  Json j = {{"p50", h.quantile(0.5)},     {"p90", h.quantile(0.9)},       {"p99", h.quantile(0.99)},
            {"p99_9", h.quantile(0.999)}, {"p99_99", h.quantile(0.9999)}, {"max", h.max()}};
  if (!buckets) return j;
  Json all = Json::array();
  h.for_each([&](uint64_t floor, uint64_t count) { all.push_back({floor, count}); });
  j["buckets"] = all;
  return j;
}

Json arrivals_json(const Arrivals& a, uint64_t sent, double seconds, bool buckets) {
  return {{"received", a.received},
          {"duplicated", a.duplicated},
          {"lost", sent - a.received},
          {"pps", seconds > 0 ? static_cast<double>(a.received) / seconds : 0},
          {"latency_ns", latency_json(a.latency_ns, buckets)}};
}

}  // namespace

std::string to_json(const Results& r, const Trial& trial, bool answered) {
  Json statuses = Json::object();
  for (size_t s = 0; s < r.from_data_plane.size(); ++s) {
    if (r.from_data_plane[s] != 0)
      statuses[std::string(lcp::name_of(static_cast<lcp::Status>(s)))] = r.from_data_plane[s];
  }
  Json j = {{"rate", trial.rate},
            {"sizes", trial.sizes},
            {"seconds", r.seconds},
            {"due", r.due},
            {"sent", r.sent},
            {"refused", r.refused},
            {"slipped", r.slipped},
            {"no_buffer", r.no_buffer},
            {"sent_pps", r.seconds > 0 ? static_cast<double>(r.sent) / r.seconds : 0},
            {"nodes", arrivals_json(r.nodes, r.sent, r.seconds, trial.buckets)},
            {"from_data_plane", statuses},
            {"unanswered", r.unanswered},
            {"strays", r.strays},
            {"gap_us_max", r.gap_us_max}};
  if (answered) j["answers"] = arrivals_json(r.answers, r.sent, r.seconds, trial.buckets);
  return j.dump();
}

}  // namespace lf::gen
