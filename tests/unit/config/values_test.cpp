// SPDX-License-Identifier: Apache-2.0
#include "control/config/values.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lf::config {
namespace {

TEST(Values, Durations) {
  EXPECT_EQ(100'000u, parse_duration_us("100ms").value());
  EXPECT_EQ(1'500'000u, parse_duration_us("1.5s").value());
  EXPECT_EQ(120'000'000u, parse_duration_us("2 min").value());
  EXPECT_EQ(0u, parse_duration_us("0").value());
  for (const auto* bad :
       {"", "5", "ms", "-1s", "1sec", "1e3s", "nan s", "0.5us", "1s2", "99999999999d"})
    EXPECT_FALSE(parse_duration_us(bad)) << bad;
}

TEST(Values, Sizes) {
  EXPECT_EQ(512u << 20, parse_size("512M").value());
  EXPECT_EQ(512u << 20, parse_size("512 MiB").value());
  EXPECT_EQ(2048u, parse_size("2048").value());
  EXPECT_EQ(1536u, parse_size("1.5K").value());
  for (const auto* bad : {"", "M", "1T", "-1K", "0.3", "1KK"}) EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Values, Rates) {
  EXPECT_EQ(600, parse_rate_per_minute("600/min").value());
  EXPECT_EQ(600, parse_rate_per_minute("10/s").value());
  EXPECT_EQ(0, parse_rate_per_minute("0/min").value());
  EXPECT_EQ(-1, parse_rate_per_minute("unlimited").value());
  for (const auto* bad : {"", "600", "-1/min", "1.5/s", "5/h", "/min", "5/"})
    EXPECT_FALSE(parse_rate_per_minute(bad)) << bad;
}

TEST(Values, Prefixes) {
  const auto v4 = parse_prefix("192.0.2.1/24");
  ASSERT_TRUE(v4);
  EXPECT_EQ(24, v4->length);
  EXPECT_EQ(4, v4->ip_version);
  EXPECT_EQ("192.0.2.1/24", format_prefix(*v4));
  const auto v6 = parse_prefix("2001:db8::1/64");
  ASSERT_TRUE(v6);
  EXPECT_EQ(6, v6->ip_version);
  for (const auto* bad : {"192.0.2.1", "192.0.2.1/33", "192.0.2/24", "::1/129", "::ffff:1.2.3.4/96",
                          "fe80::1%eth0/64", "1.2.3.4/-1", "/8"})
    EXPECT_FALSE(parse_prefix(bad)) << bad;
}

TEST(Values, AddressesInPrefixes) {
  const auto in = [](const char* address, const char* prefix) {
    const auto p = parse_prefix(prefix);
    return in_prefix(parse_address(address)->address, p->address, p->length);
  };
  EXPECT_TRUE(in("10.1.2.3", "10.1.0.0/16"));
  EXPECT_FALSE(in("10.2.2.3", "10.1.0.0/16"));
  EXPECT_TRUE(in("10.1.2.127", "10.1.2.1/25"));
  EXPECT_FALSE(in("10.1.2.128", "10.1.2.1/25"));
  EXPECT_TRUE(in("10.1.2.3", "0.0.0.0/0"));
  EXPECT_FALSE(in("10.1.2.3", "::/0"));
  EXPECT_FALSE(in("2001:db8::1", "0.0.0.0/0"));
  EXPECT_TRUE(in("2001:db8::1", "2001:db8::/127"));
  EXPECT_FALSE(in("2001:db8::2", "2001:db8::/127"));
}

TEST(Values, KindsOfAddresses) {
  const auto a = [](const char* text) { return parse_address(text)->address; };
  EXPECT_TRUE(is_unspecified(a("0.0.0.0")) && is_unspecified(a("::")) && !is_unspecified(a("::1")));
  EXPECT_TRUE(is_loopback(a("127.9.9.9")) && is_loopback(a("::1")) && !is_loopback(a("128.0.0.1")));
  EXPECT_TRUE(is_multicast(a("224.0.0.1")) && is_multicast(a("ff02::1")) &&
              is_multicast(a("255.255.255.255")) && !is_multicast(a("223.1.1.1")));
  EXPECT_TRUE(is_link_local(a("fe80::1")) && is_link_local(a("169.254.1.1")) &&
              !is_link_local(a("fec0::1")));
}

TEST(Values, MacsAndKeys) {
  EXPECT_EQ(0x1f, parse_mac("02:00:5e:10:00:1F").value()[5]);
  for (const auto* bad :
       {"", "02:00:5e:10:00", "02-00-5e-10-00-01", "01:00:5e:10:00:01", "02:00:5e:10:00:0g"})
    EXPECT_FALSE(parse_mac(bad)) << bad;
  EXPECT_EQ(0xff, parse_key("00112233445566778899aabbccddeeff").value()[15]);
  EXPECT_FALSE(parse_key("00112233445566778899aabbccddeef"));
  EXPECT_FALSE(parse_key("00112233445566778899aabbccddeefx"));
}

TEST(Values, Cpus) {
  EXPECT_EQ((std::vector<uint32_t>{0, 2, 3, 4}), parse_cpus("0,2-4").value());
  for (const auto* bad : {"", ",", "1,", "3-2", "1,1", "2,1", "-1", "0-4096", "a"})
    EXPECT_FALSE(parse_cpus(bad)) << bad;
}

TEST(Values, Times) {
  EXPECT_EQ(1'767'225'600'000'000, parse_time_us("2026-01-01T00:00:00Z").value());
  EXPECT_EQ(1'767'225'600'000'000, parse_time_us("2026-01-01 01:00:00+01:00").value());
  EXPECT_EQ(1'767'225'600'000'000, parse_time_us("2026-01-01T00:00:00").value());
  for (const auto* bad : {"", "2026-01-01", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z",
                          "2026-01-01T24:00:00Z", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00+1"})
    EXPECT_FALSE(parse_time_us(bad)) << bad;
}

TEST(Values, DidYouMean) {
  const std::vector<std::string> known = {"timeout", "nodes", "weight", "id"};
  EXPECT_EQ("timeout", did_you_mean("timout", known));
  EXPECT_EQ("timeout", did_you_mean("timeout_ms", known));
  EXPECT_EQ("weight", did_you_mean("wieght", known));
  EXPECT_EQ("", did_you_mean("colour", known));
  EXPECT_EQ("", did_you_mean("x", known));
}

RC_GTEST_PROP(Values, WhatIsFormattedParsesBack, ()) {
  const auto us = *rc::gen::inRange<uint64_t>(0, 1'000'000'000'000);
  RC_ASSERT(parse_duration_us(format_duration_us(us)).value() == us);
  const auto bytes = *rc::gen::inRange<uint64_t>(0, uint64_t{1} << 40);
  RC_ASSERT(parse_size(format_size(bytes)).value() == bytes);
  const auto rate = *rc::gen::inRange<int64_t>(-1, 1'000'000'000);
  RC_ASSERT(parse_rate_per_minute(format_rate(rate)).value() == rate);
}

RC_GTEST_PROP(Values, AddressesFormatAndParseBack, (uint64_t hi, uint64_t lo, bool v4)) {
  IpAddress a{hi, lo};
  if (v4) a = parse_address("10.0.0.0")->address;
  if (v4) a.lo |= lo << 32;
  const auto back = parse_address(format_address(a));
  RC_ASSERT(back.has_value());
  RC_ASSERT(back->address == a);
  RC_ASSERT(back->ip_version == (is_ipv4(a) ? 4 : 6));
}

}  // namespace
}  // namespace lf::config
