// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/deny_list.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "control/config/values.hpp"

namespace lf::xdp {
namespace {

config::Prefix prefix(const std::string& text) {
  return config::parse_prefix(text).value();
}

std::vector<std::string> names(const std::vector<Denial>& denials) {
  std::vector<std::string> out;
  for (const Denial& d : denials) out.push_back(config::format_prefix(d.prefix));
  return out;
}

using Names = std::vector<std::string>;

TEST(DenyList, HostBitsAreCutOff) {
  EXPECT_EQ(network_of(prefix("10.1.2.3/15")), prefix("10.0.0.0/15"));
  EXPECT_EQ(network_of(prefix("2001:db8:ffff::1/33")), prefix("2001:db8:8000::/33"));
  EXPECT_EQ(network_of(prefix("1.2.3.4/0")), prefix("0.0.0.0/0"));
  EXPECT_EQ(network_of(prefix("1.2.3.4/32")), prefix("1.2.3.4/32"));
}

TEST(DenyList, TheSamePrefixTwiceIsOne) {
  DenyList list(8);
  EXPECT_EQ(names(list.deny(prefix("10.1.0.0/16"))->denied), (Names{"10.1.0.0/16"}));
  EXPECT_TRUE(list.deny(prefix("10.1.9.9/16"))->denied.empty());
  EXPECT_EQ(list.list().size(), 1u);
  EXPECT_EQ(names(list.allow(prefix("10.1.5.5/16"))->allowed), (Names{"10.1.0.0/16"}));
  EXPECT_TRUE(list.list().empty());
  const auto again = list.allow(prefix("10.1.0.0/16"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::not_found);
}

TEST(DenyList, AReloadKeepsWhatWasAdded) {
  DenyList list(8);
  const config::Prefix first[] = {prefix("10.1.0.0/16"), prefix("10.2.0.0/16")};
  const config::Prefix second[] = {prefix("10.2.0.0/16"), prefix("fd00::/8")};
  EXPECT_EQ(list.configure(first)->denied.size(), 2u);
  ASSERT_TRUE(list.deny(prefix("10.9.0.0/16")));
  const auto change = list.configure(second);
  EXPECT_EQ(names(change->denied), (Names{"fd00::/8"}));
  EXPECT_EQ(names(change->allowed), (Names{"10.1.0.0/16"}));
  EXPECT_EQ(names(list.list()), (Names{"10.2.0.0/16", "10.9.0.0/16", "fd00::/8"}));
}

TEST(DenyList, WhatBothListedStaysForTheOther) {
  DenyList list(8);
  const config::Prefix one[] = {prefix("10.1.0.0/16")};
  ASSERT_TRUE(list.configure(one));
  ASSERT_TRUE(list.deny(one[0]));
  EXPECT_TRUE(list.configure({})->allowed.empty());
  ASSERT_EQ(list.list().size(), 1u);
  EXPECT_FALSE(list.list()[0].configured);
  EXPECT_TRUE(list.list()[0].added);
  // What was allowed although the configuration denies it is denied again by the next reload.
  ASSERT_TRUE(list.configure(one));
  ASSERT_TRUE(list.allow(one[0]));
  EXPECT_EQ(names(list.configure(one)->denied), (Names{"10.1.0.0/16"}));
}

TEST(DenyList, AFullListRefusesAndChangesNothing) {
  DenyList list(2);
  const config::Prefix two[] = {prefix("10.1.0.0/16"), prefix("10.2.0.0/16")};
  const config::Prefix three[] = {two[0], two[1], prefix("10.3.0.0/16")};
  EXPECT_FALSE(list.configure(three));
  EXPECT_TRUE(list.list().empty());
  ASSERT_TRUE(list.configure(two));
  EXPECT_FALSE(list.deny(prefix("10.3.0.0/16")));
  const config::Prefix other[] = {prefix("10.4.0.0/16"), prefix("10.5.0.0/16")};
  EXPECT_EQ(list.configure(other)->denied.size(), 2u);  // in the places of those that leave
}

// Places are what counters are found by: no two entries share one, and a change names each entry
// exactly when it comes or goes.
RC_GTEST_PROP(DenyList, PlacesAndChangesAddUp, ()) {
  constexpr uint32_t kPlaces = 6;
  DenyList list(kPlaces);
  std::set<uint32_t> in_maps;  // as a program would have them
  const auto any = [] {
    const int i = *rc::gen::inRange(0, 9);
    return prefix(i < 6 ? fmt::format("10.{}.0.0/16", i) : fmt::format("fd0{}::/16", i));
  };
  for (int step = 0; step < 40; ++step) {
    Result<DenyChange> change;
    const int what = *rc::gen::inRange(0, 3);
    if (what == 0) {
      change = list.deny(any());
    } else if (what == 1) {
      change = list.allow(any());
    } else {
      std::vector<config::Prefix> wanted;
      for (int n = *rc::gen::inRange(0, 5); n > 0; --n) wanted.push_back(any());
      change = list.configure(wanted);
    }
    if (change) {
      for (const Denial& d : change->allowed) RC_ASSERT(in_maps.erase(d.place) == 1u);
      for (const Denial& d : change->denied) RC_ASSERT(in_maps.insert(d.place).second);
    }
    std::set<uint32_t> listed;
    for (const Denial& d : list.list()) listed.insert(d.place);
    RC_ASSERT(listed == in_maps);
    RC_ASSERT(listed.size() == list.list().size());
    RC_ASSERT(std::ranges::all_of(listed, [](uint32_t place) { return place < kPlaces; }));
  }
}

}  // namespace
}  // namespace lf::xdp
