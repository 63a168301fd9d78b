// SPDX-License-Identifier: Apache-2.0
#include "control/authenticate/table_builder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <map>
#include <random>

namespace lf::authenticate {
namespace {

forward::Slots numbered(const config::Config& c) {
  forward::Slots slots;
  EXPECT_TRUE(slots.sync(c));
  return slots;
}

config::Key key(uint16_t id, uint8_t fill) {
  config::Key k{.id = id};
  k.bytes.fill(fill);
  return k;
}

config::Config with_organisations(const std::vector<config::Organisation>& organisations) {
  config::Config c;
  c.organisations = organisations;
  return c;
}

TEST(TableBuilder, EmptyConfigurationKnowsNobody) {
  const auto table = build_table({});
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(find(**table, 0), nullptr);
  EXPECT_EQ(find(**table, 12345), nullptr);
}

TEST(TableBuilder, KeysAndModes) {
  config::Config c = with_organisations({{.name = "none", .id = 0},
                                         {.name = "one", .id = 7, .keys = {key(3, 1)}},
                                         {.name = "two", .id = 9, .keys = {key(5, 2), key(4, 3)}}});
  c.services = {{.name = "s1", .authentication = config::Authentication::off},
                {.name = "s2", .authentication = config::Authentication::optional},
                {.name = "s3", .authentication = config::Authentication::required}};
  const auto built = build_table(c);
  ASSERT_TRUE(built) << built.error().message;
  const Table& t = **built;
  EXPECT_EQ(t.modes, (std::vector<Mode>{Mode::off, Mode::optional, Mode::required}));

  const Place* none = find(t, 0);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->org, 0u);
  EXPECT_EQ(find_key(*none, 0), kNoKey);

  const Place* one = find(t, 7);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->org, 1u);
  EXPECT_EQ(find_key(*one, 4), kNoKey);
  ASSERT_NE(find_key(*one, 3), kNoKey);
  EXPECT_EQ(t.keys[find_key(*one, 3)].round[0][15], 1);

  const Place* two = find(t, 9);
  ASSERT_TRUE(two);
  EXPECT_EQ(two->org, 2u);
  EXPECT_EQ(two->first_key_id, 5);  // the first key is the current one
  EXPECT_EQ(t.keys[find_key(*two, 5)].round[0][0], 2);
  EXPECT_EQ(t.keys[find_key(*two, 4)].round[0][0], 3);
  EXPECT_EQ(find_key(*two, 3), kNoKey);
}

// As many as are kept expanded, and one more.
TEST(TableBuilder, ManyKeysArePacked) {
  std::vector<config::Organisation> organisations;
  for (uint32_t i = 1; i <= kExpandedKeysMax / 2; ++i)
    organisations.push_back(
        {.name = "o", .id = i, .keys = {key(1, static_cast<uint8_t>(i)), key(2, 0xee)}});
  const auto few = *build_table(with_organisations(organisations));
  EXPECT_FALSE(has_packed_keys(*few));
  EXPECT_EQ(few->keys.size(), kExpandedKeysMax);
  organisations.push_back({.name = "last", .id = 5000, .keys = {key(7, 0x55)}});
  const auto many = *build_table(with_organisations(organisations));
  ASSERT_TRUE(has_packed_keys(*many));
  EXPECT_TRUE(many->keys.empty());
  for (uint32_t i = 1; i <= kExpandedKeysMax / 2; ++i) {
    const Place* place = find(*many, i);
    ASSERT_TRUE(place);
    ASSERT_EQ(many->packed_keys[find_key(*place, 1)].key[9], static_cast<uint8_t>(i));
    ASSERT_EQ(many->packed_keys[find_key(*place, 2)].key[9], 0xee);
  }
  EXPECT_EQ(many->packed_keys[find_key(*find(*many, 5000), 7)].key[0], 0x55);
}

TEST(TableBuilder, RefusesWhatCannotWork) {
  const auto three = build_table(
      with_organisations({{.name = "acme", .id = 1, .keys = {key(1, 1), key(2, 2), key(3, 3)}}}));
  ASSERT_FALSE(three);
  EXPECT_NE(three.error().message.find("acme"), std::string::npos);
  EXPECT_FALSE(
      build_table(with_organisations({{.name = "acme", .id = 1, .keys = {key(1, 1), key(1, 2)}}})));
  EXPECT_FALSE(build_table(with_organisations({{.name = "a", .id = 1}, {.name = "b", .id = 1}})));
}

// A multiplier that sends everybody home to the same place is drawn again, and not for ever.
TEST(TableBuilder, DrawsAgainWhenTheMapIsTooDeep) {
  std::vector<config::Organisation> organisations;
  for (uint32_t i = 1; i <= 100; ++i) organisations.push_back({.name = "o", .id = i});
  const config::Config c = with_organisations(organisations);
  int draws = 0;
  const auto table =
      build_table(c, numbered(c), [&draws] { return ++draws == 1 ? 1 : 0x9e3779b97f4a7c15; });
  ASSERT_TRUE(table);
  EXPECT_EQ(draws, 2);
  for (uint32_t i = 1; i <= 100; ++i) ASSERT_TRUE(find(**table, i));
  EXPECT_FALSE(build_table(c, numbered(c), [] { return 1; }));
}

TEST(TableBuilder, HundredThousandOrganisations) {
  std::mt19937 random(1);
  std::map<uint32_t, OrgIndex> model;
  config::Config c;
  while (c.organisations.size() < 100'000) {
    const uint32_t id = static_cast<uint32_t>(random());
    if (!model.emplace(id, c.organisations.size()).second) continue;
    c.organisations.push_back({.id = id, .keys = {key(1, static_cast<uint8_t>(id))}});
  }
  const auto built = build_table(c);
  ASSERT_TRUE(built) << built.error().message;
  const Table& t = **built;
  EXPECT_LE(2 * c.organisations.size(), t.places.size());
  for (const auto& [id, index] : model) {
    const Place* place = find(t, id);
    ASSERT_TRUE(place);
    ASSERT_EQ(place->org, index);
    ASSERT_EQ(t.packed_keys[find_key(*place, 1)].key[0], static_cast<uint8_t>(id));
  }
  for (int i = 0; i < 100'000; ++i) {
    const uint32_t id = static_cast<uint32_t>(random());
    ASSERT_EQ(find(t, id) != nullptr, model.contains(id));
  }
}

RC_GTEST_PROP(TableBuilder, FindsExactlyWhoIsThere, ()) {
  const auto ids = *rc::gen::container<std::set<uint32_t>>(
      rc::gen::oneOf(rc::gen::inRange(0u, 200u), rc::gen::arbitrary<uint32_t>()));
  config::Config c;
  for (const uint32_t id : ids) c.organisations.push_back({.id = id});
  const auto table = build_table(c);
  RC_ASSERT(table.has_value());
  for (OrgIndex i = 0; i < c.organisations.size(); ++i) {
    const Place* place = find(**table, c.organisations[i].id);
    RC_ASSERT(place != nullptr);
    RC_ASSERT(place->org == i);
  }
  const auto other = *rc::gen::oneOf(rc::gen::inRange(0u, 200u), rc::gen::arbitrary<uint32_t>());
  RC_ASSERT((find(**table, other) != nullptr) == ids.contains(other));
}

}  // namespace
}  // namespace lf::authenticate
