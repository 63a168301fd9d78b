// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <set>

#include "control/metrics/commands.hpp"
#include "control/metrics/render.hpp"

namespace lf::metrics {
namespace {

StatsView example() {
  StatsView view;
  view.version = "1.2";
  view.verdicts[static_cast<size_t>(Verdict::forwarded)] = 10;
  view.verdicts[static_cast<size_t>(Verdict::auth_bad_tag)] = 3;
  view.received = 13;
  WorkerRow worker;
  worker.lcore = 5;
  worker.received = 13;
  worker.busy_percent = 12.5;
  view.workers.push_back(worker);
  PortRow port;
  port.name = "up\"link";
  port.rx_packets = 13;
  view.ports.push_back(port);
  NodeRow node;
  node.service = "orbit";
  node.node = "<orbit-1>";
  node.state = "active";
  node.breaker = "closed";
  node.latency_us_p50 = 250;
  view.nodes.push_back(node);
  view.quotas = {{"acme", "", 70, 100, 0.7, 5}, {"acme", "orbit-adjust", 3, 10, 0.3, 0}};
  view.snapshot.generation = 7;
  view.snapshot.applied_us_p50 = 123.456;
  view.groups = {{"ledger",
                  {{"capacity", "Entries it has room for.", 1024, false},
                   {"evicted_early", "Entries that went too soon.", 5, true}}}};
  return view;
}

TEST(Prometheus, EscapesAndNamesTypes) {
  const std::string text =
      to_prometheus({{"a_total",
                      "He\\lp\nme.",
                      Kind::counter,
                      {{{{"x", "q\"\\\n"}, {"y", ""}}, uint64_t{1}, ""}}},
                     {"empty", "", Kind::gauge, {}},
                     {"b", "B.", Kind::gauge, {{{}, 0.5, ""}, {{{"z", "1"}}, 1e300, ""}}}});
  EXPECT_EQ(
      "# HELP a_total He\\\\lp\\nme.\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n\",y=\"\"} "
      "1\n"
      "# HELP b B.\n# TYPE b gauge\nb 0.5\nb{z=\"1\"} 1e+300\n",
      text);
}

TEST(Prometheus, KeepsLargeCountersExactAndWritesSpecialValues) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::string text = to_prometheus({{"a",
                                           "A.",
                                           Kind::gauge,
                                           {{{}, uint64_t{18446744073709551615u}, ""},
                                            {{}, kInfinity, ""},
                                            {{}, -kInfinity, ""},
                                            {{}, std::numeric_limits<double>::quiet_NaN(), ""}}}});
  EXPECT_NE(std::string::npos, text.find("a 18446744073709551615\na +Inf\na -Inf\na NaN\n"));
}

TEST(Stages, RowsAddUpWorkersAndTellTime) {
  const auto one = std::make_unique<StageTimes>(), two = std::make_unique<StageTimes>();
  for (int burst = 0; burst < 99; ++burst) one->add(Stage::parse, 32, 1600);
  two->add(Stage::parse, 32, 160'000);
  two->add(Stage::burst, 32, 200'000);
  const StageTimes* workers[] = {one.get(), two.get()};
  const auto rows = stage_rows(workers, 2'000'000'000);  // a tick is 0.5 ns
  ASSERT_EQ(rows.size(), 2u);                            // stages that nothing passed are left out
  EXPECT_EQ(rows[0].name, "parse");
  EXPECT_EQ(rows[0].bursts, 100u);
  EXPECT_EQ(rows[0].packets, 3200u);
  EXPECT_DOUBLE_EQ(rows[0].ns_per_packet, (99 * 1600 + 160'000) * 0.5 / 3200);
  EXPECT_NEAR(rows[0].burst_ns_p50, 800, 200);
  EXPECT_NEAR(rows[0].burst_ns_p90, 800, 200);
  EXPECT_EQ(rows[1].name, "burst");
  EXPECT_NEAR(rows[1].burst_ns_p99, 100'000, 25'000);
}

TEST(Stages, AreAskedForByName) {
  StatsView view = example();
  view.stages = {{.name = "parse", .bursts = 2, .packets = 64, .ns_per_packet = 20}};
  const auto list = commands([&] { return view; });
  EXPECT_EQ(list[0].handler({{"latency", true}})->at("stages")[0].at("stage"), "parse");
  EXPECT_FALSE(list[0].handler(rpc::Json::object())->contains("stages"));
}

TEST(Prometheus, QuotasHaveTheirOrganisationAndIntent) {
  const std::string text = to_prometheus(families(example()));
  for (const char* line : {"latticeforge_quota_used{org=\"acme\",intent=\"all\"} 70\n",
                           "latticeforge_quota_limit{org=\"acme\",intent=\"orbit-adjust\"} 10\n",
                           "latticeforge_quota_utilization{org=\"acme\",intent=\"all\"} 0.7\n",
                           "latticeforge_quota_rejected_total{org=\"acme\",intent=\"all\"} 5\n"})
    EXPECT_NE(std::string::npos, text.find(line)) << line << text;
}

TEST(Render, StatsHaveTheDocumentedShape) {
  const auto stats = stats_json(example());
  EXPECT_EQ(10, stats["verdicts"]["forwarded"]);
  EXPECT_EQ(0, stats["verdicts"]["udp_checksum"]);
  EXPECT_FALSE(stats["verdicts"].contains("none"));
  EXPECT_EQ(5, stats["workers"][0]["lcore"]);
  for (const auto* key : {"rx", "tx", "bursts", "cycles_per_packet", "busy_percent"})
    EXPECT_TRUE(stats["workers"][0].contains(key)) << key;
  EXPECT_EQ(1, stats["ports"].size());
  EXPECT_EQ(1024, stats["ledger"]["capacity"]);
  EXPECT_EQ(5, stats["ledger"]["evicted_early"]);
  EXPECT_TRUE(stats["ledger"]["evicted_early"].is_number_unsigned());
  EXPECT_EQ(7, stats["snapshot"]["generation"]);
  EXPECT_EQ(123.46, stats["snapshot"]["published_us"]);
  EXPECT_TRUE(stats["snapshot"].contains("grace_us"));
}

TEST(Render, StatusAddsUp) {
  const auto status = status_json(example());
  EXPECT_EQ(3, status["dropped"]);
  EXPECT_EQ(10, status["forwarded"]);
  EXPECT_EQ("1.2", status["version"]);
}

TEST(Render, EveryVerdictIsAMetricAndNamesAreValid) {
  std::set<std::string> names;
  for (const Family& family : families(example())) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_TRUE(family.name.starts_with("latticeforge_"));
    EXPECT_EQ(std::string::npos,
              family.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"));
    EXPECT_EQ(family.kind == Kind::counter, family.name.ends_with("_total")) << family.name;
    EXPECT_TRUE(family.help.ends_with('.')) << family.name;
  }
  const std::string text = to_prometheus(families(example()));
  for (const VerdictInfo& v : kVerdictList)
    EXPECT_EQ(v.verdict != Verdict::none,
              text.find("verdict=\"" + std::string(v.name) + "\"") != std::string::npos);
  EXPECT_NE(std::string::npos,
            text.find("latticeforge_port_receive_packets_total{port=\"up\\\"link\"} 13"));
  EXPECT_NE(std::string::npos, text.find("latticeforge_ledger_evicted_early_total 5"));
  EXPECT_NE(std::string::npos, text.find("quantile=\"0.5\"} 0.00025"));
}

TEST(Render, ThePageEscapesNames) {
  const std::string page = status_page(example());
  EXPECT_NE(std::string::npos, page.find("&lt;orbit-1&gt;"));
  EXPECT_EQ(std::string::npos, page.find("<orbit-1>"));
  EXPECT_NE(std::string::npos, page.find("auth_bad_tag"));
  EXPECT_EQ(std::string::npos, page.find("udp_checksum"));
}

TEST(StatsView, SumsWorkers) {
  std::vector<std::unique_ptr<WorkerStats>> workers;
  std::vector<const WorkerStats*> pointers;
  for (int w = 0; w < 2; ++w) {
    auto& s = *workers.emplace_back(std::make_unique<WorkerStats>());
    s.received.add(10);
    s.parked.add(5);
    s.unparked.add(2);
    s.verdicts[static_cast<size_t>(Verdict::forwarded)].add(7);
    pointers.push_back(&s);
  }
  StatsView view;
  const std::vector<uint32_t> lcores = {3, 4};
  fill_from_workers(view, pointers, lcores);
  EXPECT_EQ(20u, view.received);
  EXPECT_EQ(6u, view.parked);
  EXPECT_EQ(14u, view.verdicts[static_cast<size_t>(Verdict::forwarded)]);
  ASSERT_EQ(2u, view.workers.size());
  EXPECT_EQ(4u, view.workers[1].lcore);
}

TEST(StatsView, RatesAreOfTheLastInterval) {
  StatsView view;
  view.workers.resize(1);
  Rates rates(1'000'000);
  rates.advance(view);
  view.workers[0].received = 500;
  view.workers[0].transmitted = 250;
  view.workers[0].busy_tsc = 50'000;
  view.workers[0].total_tsc = 500'000;
  rates.advance(view);
  StatsView later = view;
  later.workers[0].received = 9999;  // since the interval's end: not in the rate
  rates.apply(later);
  EXPECT_DOUBLE_EQ(100, later.workers[0].cycles_per_packet);
  EXPECT_DOUBLE_EQ(10, later.workers[0].busy_percent);
  EXPECT_DOUBLE_EQ(1000, later.workers[0].rx_per_s);
  EXPECT_DOUBLE_EQ(500, later.workers[0].tx_per_s);
  EXPECT_EQ(9999u, later.workers[0].received);
  rates.advance(view);  // nothing happened
  rates.apply(later);
  EXPECT_DOUBLE_EQ(0, later.workers[0].rx_per_s);
  EXPECT_DOUBLE_EQ(0, later.workers[0].cycles_per_packet);
}

TEST(MetricsCommands, AnswerFromTheView) {
  const auto list = commands([] { return example(); },
                             [](std::vector<Family>& all) {
                               all.push_back({"extra", "E.", Kind::gauge, {{{}, 1.0, ""}}});
                             });
  ASSERT_EQ(3u, list.size());
  const auto call = [&](const std::string& name) {
    for (const auto& command : list)
      if (command.name == name) return *command.handler(rpc::Json::object());
    return rpc::Json();
  };
  EXPECT_EQ(10, call("stats")["verdicts"]["forwarded"]);
  EXPECT_EQ("running", call("status")["state"]);
  const auto text = call("metrics")["text"].get<std::string>();
  EXPECT_NE(std::string::npos, text.find("extra 1\n"));
}

}  // namespace
}  // namespace lf::metrics
