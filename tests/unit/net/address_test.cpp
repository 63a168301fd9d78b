// SPDX-License-Identifier: Apache-2.0
#include "dataplane/net/address.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lf::net {
namespace {

IpAddress v4(const char* text) {
  in_addr a;
  EXPECT_EQ(inet_pton(AF_INET, text, &a), 1) << text;
  return from_ipv4(a.s_addr);
}

IpAddress v6(const char* text) {
  in6_addr a;
  EXPECT_EQ(inet_pton(AF_INET6, text, &a), 1) << text;
  return from_ipv6(&a);
}

TEST(Address, Ipv4IsKeptMapped) {
  EXPECT_EQ(v4("192.0.2.7"), v6("::ffff:192.0.2.7"));
  EXPECT_TRUE(is_ipv4(v4("0.0.0.0")));
  EXPECT_FALSE(is_ipv4(v6("::1")));
  EXPECT_FALSE(is_ipv4(v6("2001:db8::ffff:1.2.3.4")));
}

RC_GTEST_PROP(Address, RoundTrips, (uint32_t a, uint64_t hi, uint64_t lo)) {
  RC_ASSERT(to_ipv4(from_ipv4(a)) == a);
  uint8_t bytes[16];
  to_ipv6({hi, lo}, bytes);
  RC_ASSERT((from_ipv6(bytes) == IpAddress{hi, lo}));
  for (unsigned n = 0; n < 16; ++n) RC_ASSERT(byte_of({hi, lo}, n) == bytes[n]);
}

TEST(Address, SourcesThatCannotBe) {
  for (const char* text : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.9", "224.0.0.1",
                           "239.255.255.255", "240.0.0.1", "255.255.255.255"})
    EXPECT_FALSE(is_ipv4_source(to_ipv4(v4(text)))) << text;
  for (const char* text :
       {"1.0.0.0", "10.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255"})
    EXPECT_TRUE(is_ipv4_source(to_ipv4(v4(text)))) << text;
  for (const char* text : {"::", "::1", "ff02::1", "ffff::", "::ffff:10.0.0.1"})
    EXPECT_FALSE(is_ipv6_source(v6(text))) << text;
  for (const char* text : {"::2", "::1:0:0", "2001:db8::1", "fe80::1", "1::", "fd00::1", "0:1::"})
    EXPECT_TRUE(is_ipv6_source(v6(text))) << text;
}

TEST(Address, LinkLocal) {
  EXPECT_TRUE(is_ipv6_link_local(v6("fe80::1")));
  EXPECT_TRUE(is_ipv6_link_local(v6("febf::1")));
  EXPECT_FALSE(is_ipv6_link_local(v6("fec0::1")));
  EXPECT_FALSE(is_ipv6_link_local(v6("2001:db8::1")));
}

}  // namespace
}  // namespace lf::net
