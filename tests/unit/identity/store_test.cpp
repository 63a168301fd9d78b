// SPDX-License-Identifier: Apache-2.0
#include "control/identity/store.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace lf::identity {
namespace {

config::Config config_with(std::vector<config::Operator> operators) {
  config::Config c;
  c.organisations = {{"acme", 1}, {"globex", 2}};
  c.operators = std::move(operators);
  c.targets = {{100, 64.5, "leo", false}};
  return c;
}

struct Fixture : testing::Test {
  policy::Vocabulary vocabulary;
  Store store{vocabulary};

  void configure(const config::Config& c) {
    vocabulary.configure(c);
    auto rows = store.read(c);
    ASSERT_TRUE(rows) << rows.error().message;
    store.take(std::move(*rows), {{1, 0}, {2, 1}});
  }
};

TEST_F(Fixture, RolesGiveClearanceAndBits) {
  configure(config_with({{7, "ann", {"planner", "pilot"}, 2, 0, {"globex"}}}));
  const Table t = store.tables();
  const OperatorRow* row = find(*t.operators, 7);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->clearance(), 3);
  EXPECT_EQ(row->role_bits(), 1u << 2 | 1u << 6);  // pilot is the first role after the six
  EXPECT_EQ(row->orgs, 1u);
  EXPECT_EQ(find(*t.targets, 100)->risk, 6450 | TargetRow::kUsed);
  EXPECT_EQ(find(*t.targets, 100)->group, *vocabulary.groups.find("leo"));
}

TEST_F(Fixture, TablesChangeOnlyWhenSomethingDid) {
  configure(config_with({{7, "ann", {"planner"}, 2, 0, {}}}));
  const Table before = store.tables();
  EXPECT_EQ(store.tables().operators, before.operators);
  ASSERT_TRUE(store.set_target({200, 80, "", true}));
  const Table after = store.tables();
  EXPECT_EQ(after.operators, before.operators);
  EXPECT_NE(after.targets, before.targets);
  EXPECT_EQ(find(*before.targets, 200), nullptr);  // what was published stays as it was
  ASSERT_TRUE(find(*after.targets, 200));
}

TEST_F(Fixture, WhatWasSetByHandOutlivesAReload) {
  configure(config_with({{7, "ann", {"planner"}, 2, 0, {}}, {8, "bob", {"security"}, 2, 0, {}}}));
  ASSERT_TRUE(store.set_operator({7, "ann", {"observer"}, 0, 0, {}}));
  configure(config_with({{7, "ann", {"planner"}, 2, 0, {}}}));
  const Table t = store.tables();
  EXPECT_EQ(find(*t.operators, 7)->clearance(), 1);
  EXPECT_EQ(find(*t.operators, 8), nullptr);
}

TEST_F(Fixture, BadRowsAreRefusedWithoutAChange) {
  configure(config_with({{7, "ann", {"planner"}, 2, 0, {}}}));
  EXPECT_FALSE(store.set_operator({9, "x", {}, 2, 0, {"umbrella"}}));
  EXPECT_FALSE(store.set_operator({9, "x", {}, 99, 0, {}}));
  EXPECT_FALSE(store.set_target({9, 101, "", false}));
  EXPECT_EQ(store.find_operator(9), nullptr);
  EXPECT_EQ(store.find_target(9), nullptr);
  EXPECT_FALSE(store.read(config_with({{9, "x", {}, 0, 0, {"umbrella"}}})));
  EXPECT_TRUE(store.find_operator(7));
}

struct TempFile {
  std::string path;
  TempFile(const char* suffix, const std::string& text) {
    path = testing::TempDir() + "lf_identity_" + std::to_string(getpid()) + suffix;
    std::ofstream(path) << text;
  }
  ~TempFile() { std::remove(path.c_str()); }
};

TEST(IdentityFiles, Csv) {
  const TempFile f(".csv",
                   "id,roles,organisations,mfa_level,mfa_expires\n"
                   "1,planner;pilot,acme;globex,2,\n# comment\n2,,,0,1800000000\r\n");
  const auto rows = read_operators(f.path);
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].roles, (std::vector<std::string>{"planner", "pilot"}));
  EXPECT_EQ((*rows)[0].organisations.size(), 2u);
  EXPECT_EQ((*rows)[1].mfa_expires_us, 1'800'000'000'000'000);
}

TEST(IdentityFiles, Yaml) {
  const TempFile f(".yaml", "- {id: 5, risk: 12.5, group: leo}\n- {id: 6, comms_degraded: true}\n");
  const auto rows = read_targets(f.path);
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].risk, 12.5);
  EXPECT_TRUE((*rows)[1].comms_degraded);
}

TEST(IdentityFiles, ErrorsHaveFileAndLine) {
  const TempFile csv(".csv", "id,risk\n1,2\nx,3\n");
  EXPECT_EQ(read_targets(csv.path).error().message.find(csv.path + ":3:1: "), 0u);
  const TempFile yaml(".yaml", "- {id: 1}\n- {id: 2, colour: red}\n");
  EXPECT_EQ(read_targets(yaml.path).error().message.find(yaml.path + ":2:3: "), 0u);
  EXPECT_EQ(read_targets("/nonexistent.csv").error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace lf::identity
