// SPDX-License-Identifier: Apache-2.0
#include "tools/common/text.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "tools/common/histogram.hpp"
#include "tools/common/key_ring.hpp"
#include "tools/common/udp.hpp"

namespace lf::tools {
namespace {

TEST(Text, Lists) {
  EXPECT_EQ(*parse_list("7"), (std::vector<uint32_t>{7}));
  EXPECT_EQ(*parse_list("1,2, 5-8,3"), (std::vector<uint32_t>{1, 2, 5, 6, 7, 8, 3}));
  for (const auto* wrong : {"", ",", "a", "1-", "-1", "3-1", "1,x", "1-2-3", "0-4294967295"})
    EXPECT_FALSE(parse_list(wrong)) << wrong;
  EXPECT_FALSE(parse_list("256", 255));
}

TEST(Text, Durations) {
  EXPECT_EQ(*parse_duration_ns("250ms"), 250'000'000);
  EXPECT_EQ(*parse_duration_ns("10s"), 10'000'000'000);
  EXPECT_EQ(*parse_duration_ns("1.5"), 1'500'000'000);
  EXPECT_EQ(*parse_duration_ns("2m"), 120'000'000'000);
  EXPECT_EQ(*parse_duration_ns("3us"), 3'000);
  for (const auto* wrong : {"", "s", "-1s", "1h", "10 parsecs", "nan", "1e30"})
    EXPECT_FALSE(parse_duration_ns(wrong)) << wrong;
}

TEST(Text, Hex16) {
  const auto bytes = parse_hex16("00112233-4455-6677-8899-aAbBcCdDeEfF");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(to_hex(*bytes), "00112233445566778899aabbccddeeff");
  for (const auto* wrong :
       {"", "00", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff0",
        "zz112233445566778899aabbccddeeff"})
    EXPECT_FALSE(parse_hex16(wrong)) << wrong;
}

TEST(Endpoints, RoundTrip) {
  const struct {
    const char* text;
    const char* canonical;
  } rows[] = {{"10.0.0.1", "10.0.0.1:7171"},   {"10.0.0.1:9", "10.0.0.1:9"},
              {"fd71::1", "[fd71::1]:7171"},   {"[fd71::1]:65535", "[fd71::1]:65535"},
              {"[fd71::1]", "[fd71::1]:7171"}, {"::ffff:1.2.3.4", "[::ffff:1.2.3.4]:7171"}};
  for (const auto& row : rows) {
    const auto e = parse_endpoint(row.text, 7171);
    ASSERT_TRUE(e) << row.text;
    EXPECT_EQ(to_string(*e), row.canonical);
    EXPECT_TRUE(*e == *parse_endpoint(row.canonical, 1));
  }
  EXPECT_FALSE(*parse_endpoint("10.0.0.1", 1) == *parse_endpoint("10.0.0.2", 1));
  EXPECT_FALSE(*parse_endpoint("10.0.0.1", 1) == *parse_endpoint("10.0.0.1", 2));
  for (const auto* wrong :
       {"", "localhost", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "[fd71::1", "[fd71::1]7"})
    EXPECT_FALSE(parse_endpoint(wrong, 7171)) << wrong;
}

TEST(Keys, Specifications) {
  const auto spec = parse_key_spec("7:3:000102030405060708090a0b0c0d0e0f");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->org, 7u);
  EXPECT_EQ(spec->id, 3u);
  EXPECT_EQ(spec->bytes[15], 15);
  EXPECT_EQ(parse_key_spec("7:000102030405060708090a0b0c0d0e0f")->id, 1u);
  for (const auto* wrong : {"", "7", "7:3:00", "x:1:000102030405060708090a0b0c0d0e0f",
                            "1:65536:000102030405060708090a0b0c0d0e0f"})
    EXPECT_FALSE(parse_key_spec(wrong)) << wrong;
}

TEST(Keys, FilesAndRings) {
  std::istringstream good(
      "# keys\n1:8:000102030405060708090a0b0c0d0e0f  # current\n\n"
      "1:7:101112131415161718191a1b1c1d1e1f\n");
  const auto specs = read_key_specs(good, "keys");
  ASSERT_TRUE(specs) << specs.error().message;
  KeyRing ring;
  EXPECT_TRUE(ring.empty());
  for (const auto& s : *specs) ring.add(s);
  EXPECT_TRUE(ring.find(1, 7) && ring.find(1, 8));
  EXPECT_FALSE(ring.find(1, 9) || ring.find(2, 7));
  EXPECT_EQ(ring.current(1), 8);
  EXPECT_EQ(ring.current(2), std::nullopt);
  EXPECT_EQ(ring.first()->id, 8);

  std::istringstream bad("1:8:000102030405060708090a0b0c0d0e0f\nnonsense\n");
  const auto error = read_key_specs(bad, "keys");
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().message.rfind("keys:2: ", 0), 0u) << error.error().message;
}

// Quantiles are the lower end of a bucket that is at most 1/64 wide.
TEST(Histogram, QuantilesAreClose) {
  Histogram h;
  EXPECT_EQ(h.quantile(0.5), 0u);
  for (uint64_t us = 1; us <= 100'000; ++us) h.add(us);
  EXPECT_EQ(h.total(), 100'000u);
  EXPECT_EQ(h.max(), 100'000u);
  for (const double q : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double right = q * 100'000;
    EXPECT_LE(static_cast<double>(h.quantile(q)), right) << q;
    EXPECT_GE(static_cast<double>(h.quantile(q)), right * (1 - 1.0 / 64) - 1) << q;
  }
}

TEST(Histogram, AddsUp) {
  Histogram a, b;
  a.add(10);
  b.add(1'000'000);
  b.add(UINT64_MAX);
  a.add(b);
  EXPECT_EQ(a.total(), 3u);
  EXPECT_EQ(a.max(), UINT64_MAX);
  EXPECT_EQ(a.quantile(0.3), 10u);
  EXPECT_GE(a.quantile(0.6), 984'000u);
}

}  // namespace
}  // namespace lf::tools
