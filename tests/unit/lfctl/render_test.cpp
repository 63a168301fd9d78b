// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/render.hpp"

#include <gtest/gtest.h>

#include "tools/lfctl/table.hpp"

namespace lf::ctl {
namespace {

const Style kPlain{false, 100};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Table, AlignsColumnsByWhatIsSeen) {
  Table table({"A", "NUMBER"});
  table.add({{"é", Colour::red}, {"7", Colour::none, true}});
  table.add({{"long"}, {"12345678", Colour::none, true}});
  EXPECT_EQ("A       NUMBER\né            7\nlong  12345678\n", table.to_text(false));
  EXPECT_TRUE(contains(table.to_text(true), "\x1b[31mé   \x1b[0m"));
}

TEST(Table, BarsHaveTheirWidthWhateverTheShare) {
  EXPECT_EQ("████", bar(1, 4));
  EXPECT_EQ("    ", bar(0, 4));
  EXPECT_EQ("██  ", bar(0.5, 4));
  EXPECT_EQ("▌   ", bar(0.125, 4));
  for (double share = -1; share < 2; share += 0.01) EXPECT_EQ(10u, width_of(bar(share, 10)));
  EXPECT_EQ(10u, width_of(bar(0.0 / 0.0 * 1, 10)));
}

TEST(Table, NumbersAreReadable) {
  EXPECT_EQ("0", grouped(0));
  EXPECT_EQ("999", grouped(999));
  EXPECT_EQ("1,234,567", grouped(1234567));
  EXPECT_EQ("0", compact(0));
  EXPECT_EQ("999", compact(999));
  EXPECT_EQ("1.0k", compact(1000));
  EXPECT_EQ("12.3k", compact(12345));
  EXPECT_EQ("123k", compact(123456));
  EXPECT_EQ("1.0M", compact(999999));
}

TEST(Render, GenericObjectsListsAndScalars) {
  EXPECT_EQ("ok\n", render_generic(Json::object(), kPlain));
  EXPECT_EQ("ok\n", render_generic(nullptr, kPlain));
  EXPECT_EQ("7\n", render_generic(7, kPlain));
  EXPECT_EQ("none\n", render_generic(Json::array(), kPlain));
  EXPECT_EQ("a    1\nbcd  x, yes, -\n",
            render_generic(Json::parse(R"({"a":1,"bcd":["x",true,null]})"), kPlain));
  const std::string table =
      render_generic(Json::parse(R"([{"a":1,"b":"x"},{"a":22,"c":[1,2]}])"), kPlain);
  EXPECT_EQ(" a  b  c\n 1  x\n22     1, 2\n", table);
  EXPECT_EQ(table, render_generic(Json::parse(R"({"rows":[{"a":1,"b":"x"},{"a":22,"c":[1,2]}]})"),
                                  kPlain));
}

TEST(Render, NodesShowBarsAndColours) {
  const Json nodes = Json::parse(R"([{"name":"n1","service":"orbit","region":"eu","state":"active",
    "health":0.95,"weight":0.5,"breaker":"closed","latency_us":{"p50":250,"p99":12000},
    "inflight":1,"sent":12345,"replies":12000,"timeouts":3,"failures":0}])");
  const std::string text = render("nodes.list", nodes, kPlain);
  for (const auto* part :
       {"n1", "orbit", "active", "0.95", "50.0%", "████████", "250us", "12.0ms", "12,345"})
    EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
  EXPECT_TRUE(contains(render("nodes.list", nodes, Style{true, 100}), "\x1b[32mactive"));
  EXPECT_EQ("no nodes\n", render("nodes.list", Json::array(), kPlain));
}

TEST(Render, AnUnexpectedShapeIsShownGenerically) {
  EXPECT_EQ("x  1\n", render("nodes.list", Json::parse(R"({"x":1})"), kPlain));
  EXPECT_EQ("x  1\n", render("stats", Json::parse(R"({"x":1})"), kPlain));
}

TEST(Render, QuotasInTheirThreeShapes) {
  const Json key = Json::parse(R"({"org":"acme","intent":"orbit-adjust","used":70,"limit":100,
    "hard":false,"utilization_percent":71.0,"tier":"delay","reset_seconds":12,"throttle_ms":80,
    "rejected":1,"quota_remaining":20})");
  for (const Json& shape :
       {Json{{"keys", {key}}}, Json{{"of_org", key}, {"of_intent", key}}, key}) {
    const std::string text = render("quota.status", shape, kPlain);
    for (const auto* part : {"acme", "orbit-adjust", "70", "100", "71.0%", "delay", "12s"})
      EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
  }
  Json unlimited = key;
  unlimited["limit"] = -1;
  EXPECT_TRUE(contains(render("quota.top", Json{{"keys", {unlimited}}}, kPlain), "unlimited"));
}

TEST(Render, StatsShowRatesWhenWatched) {
  const Json before =
      Json::parse(R"({"verdicts":{"forwarded":1000,"shed":0},"workers":[{"lcore":1}]})");
  const Json now = Json::parse(R"({"verdicts":{"forwarded":3000,"shed":0},"workers":[{"lcore":1}],
    "received":3000,"snapshot":{"generation":5}})");
  EXPECT_FALSE(contains(render("stats", now, kPlain), "PER SECOND"));
  const std::string text = render("stats", now, kPlain, Previous{before, 2.0});
  EXPECT_TRUE(contains(text, "PER SECOND"));
  EXPECT_TRUE(contains(text, "1.0k")) << text;
  EXPECT_FALSE(contains(text, "shed"));
  EXPECT_TRUE(contains(text, "generation=5")) << text;
}

TEST(Render, StagesHaveTheirTimes) {
  const Json stages = Json::parse(R"({"stages":[{"stage":"parse","bursts":12,"packets":384,
    "ns_per_packet":23.44,"burst_ns_p50":750,"burst_ns_p90":800,"burst_ns_p99":1900.6}]})");
  const std::string text = render("stats", stages, kPlain);
  for (const auto* part : {"parse", "23.4", "750 ns", "1901 ns", "12", "384", "█"})
    EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
  const std::string none = render("stats", Json::parse(R"({"stages":[]})"), kPlain);
  EXPECT_TRUE(contains(none, "sample_bursts")) << none;
}

TEST(Render, MetricsAreTextAndHelpIsATable) {
  EXPECT_EQ("a 1\n", render("metrics", Json{{"text", "a 1\n"}}, kPlain));
  const Json list = Json::parse(R"({"commands":[{"name":"status","help":"how it is"}]})");
  EXPECT_TRUE(contains(render("help", list, kPlain), "status  how it is"));
  const Json one = Json::parse(R"({"name":"node.drain","help":"h","mutates":true,"parameters":
    [{"name":"node","type":"string","required":true,"help":"which"}]})");
  EXPECT_TRUE(contains(render("help", one, kPlain), "node       string  yes       which"));
}

TEST(Render, BreakersSayWhatComesNext) {
  const Json breakers = Json::parse(R"({"breakers":[{"node":"n1","service":"s","state":"open",
    "for_ms":61000,"cause":"failures","openings":2,"open_left_ms":4000}]})");
  const std::string text = render("breakers.list", breakers, kPlain);
  EXPECT_TRUE(contains(text, "half-open in 4s")) << text;
  EXPECT_TRUE(contains(text, "61s")) << text;
}

TEST(Render, PolicyChecksAreLinesWithPositions) {
  const Json bad = Json::parse(R"({"ok":false,"warnings":[],
    "errors":[{"line":3,"column":7,"message":"unknown key"}]})");
  EXPECT_EQ("3:7: error: unknown key\n", render("policy.check", bad, kPlain));
  const Json good = Json::parse(R"({"ok":true,"errors":[],"rules":4,
    "warnings":[{"line":1,"column":1,"message":"never matches"}]})");
  EXPECT_EQ("1:1: warning: never matches\nok, 4 rules\n", render("policy.check", good, kPlain));
}

TEST(Render, PointsInTimeAreShownAsSuch) {
  EXPECT_EQ("at_us     2026-01-01T00:00:00Z\ngrace_us  1500\n",
            render_generic(Json::parse(R"({"at_us":1767225600000000,"grace_us":1500})"), kPlain));
}

}  // namespace
}  // namespace lf::ctl
