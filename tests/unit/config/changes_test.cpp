// SPDX-License-Identifier: Apache-2.0
#include "control/config/changes.hpp"

#include <gtest/gtest.h>

#include "control/config/load.hpp"
#include "tests/unit/support/source_root.hpp"

namespace lf::config {
namespace {

Config full() {
  Loaded loaded = load(source_root() / "tests/config/full.yaml");
  EXPECT_TRUE(loaded);
  return loaded ? std::move(*loaded) : Config{};
}

TEST(Changes, NothingDiffersFromItself) {
  EXPECT_TRUE(changed_sections(full(), full()).empty());
}

TEST(Changes, NamesTheSectionsThatDiffer) {
  const Config now = full();
  Config next = now;
  next.services[0].nodes[1].weight = 7;
  next.control.log_level = "warn";
  next.ports[0].gateways.clear();
  EXPECT_EQ((std::vector<std::string>{"ports", "services", "control"}),
            changed_sections(now, next));
  EXPECT_EQ(17u, changed_sections(now, Config{}).size());  // full.yaml differs everywhere
}

}  // namespace
}  // namespace lf::config
