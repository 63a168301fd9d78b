// SPDX-License-Identifier: Apache-2.0
// Stages are timed for the packets that pass them, on the bursts that were asked for.
#include "dataplane/pipeline/state.hpp"
#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

Packet command(uint64_t id, bool with_a_tag) {
  Packet p;
  p.lcp.id = id;
  if (with_a_tag) p.lcp.key = kAcmeKey;
  return p;
}

struct StageTimesTest : testing::Test {
  Rig rig{[](config::Config& c) {
    for (config::Service& s : c.services) s.authentication = config::Authentication::required;
  }};
  const StageTimes::Times& times(Stage s) {
    return rig.pipeline().state().times.stage[static_cast<size_t>(s)];
  }
  uint64_t packets(Stage s) { return times(s).packets.read(); }
  uint64_t bursts(Stage s) { return times(s).bursts.read(); }
};

TEST_F(StageTimesTest, CountTheirOwnPackets) {
  rig.shared().sample_bursts = 1;
  rig.run_burst({command(1, true), command(1, true), command(2, true), command(3, false)});
  EXPECT_EQ(packets(Stage::parse), 4u);
  EXPECT_EQ(packets(Stage::authenticate), 4u);
  EXPECT_EQ(packets(Stage::validate), 4u);
  EXPECT_EQ(packets(Stage::dedup), 3u);   // the one without a tag is out
  EXPECT_EQ(packets(Stage::policy), 2u);  // so is the duplicate
  EXPECT_EQ(packets(Stage::choose), 2u);
  EXPECT_EQ(packets(Stage::record), 2u);
  EXPECT_EQ(packets(Stage::answer), 2u);
  EXPECT_EQ(packets(Stage::replies), 0u);
  EXPECT_EQ(packets(Stage::burst), 4u);
  rig.run_burst({from_node(1), from_node(2)});
  EXPECT_EQ(packets(Stage::replies), 2u);
  EXPECT_EQ(bursts(Stage::burst), 2u);
  uint64_t parts = 0;
  for (uint32_t s = 0; s + 1 < kStages; ++s)
    parts += times(static_cast<Stage>(s)).ticks.read();
  EXPECT_GT(parts, 0u);
  EXPECT_LE(parts, times(Stage::burst).ticks.read());
}

TEST_F(StageTimesTest, OneBurstInSoMany) {
  for (uint64_t id = 1; id <= 10; ++id) rig.run(command(id, true));
  EXPECT_EQ(bursts(Stage::burst), 0u);  // off
  rig.shared().sample_bursts = 4;
  for (uint64_t id = 11; id <= 30; ++id) {
    rig.run(command(id, true));
    rig.advance_ms(1);  // what is due is in no burst
  }
  EXPECT_EQ(bursts(Stage::burst), 5u);
  EXPECT_EQ(packets(Stage::record), 5u);
}

}  // namespace
}  // namespace lf::test
