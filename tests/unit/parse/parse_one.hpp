// SPDX-License-Identifier: Apache-2.0
// One frame in, one verdict or kind out.
#pragma once

#include <gtest/gtest.h>

#include <set>

#include "control/parse/table_builder.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

namespace lf::parse {

using test::build;
using test::Bytes;
using test::ip;
using test::kClient6;
using test::kOwn4;
using test::kOwn6;
using test::Packet;

inline Table table() {
  config::Config c = test::world();
  c.ports[0].addresses.push_back({ip("10.0.0.3"), 24, 4});
  return build_table(c, test::world_ports()).value();
}

struct Parsed {
  Verdict verdict;
  Kind kind;
  Meta meta;
};

inline Parsed parse_one(const Table& t, const Bytes& frame, uint64_t ol_flags = 0,
                        uint16_t port = 0) {
  test::TestBurst b;
  b.add(frame, port, static_cast<uint16_t>(frame.size()))->ol_flags = ol_flags;
  State state;
  Sorted sorted;
  run(t, state, *b.burst, sorted, 0);
  const Meta& m = b.burst->meta[0];
  const Selection* by_kind[] = {
      nullptr,         &sorted.commands,  &sorted.replies,       &sorted.approvals,
      &sorted.reports, &sorted.probes,    &sorted.probe_replies, &sorted.flows,
      &sorted.flows,   &sorted.exceptions};
  uint32_t listed = 0;
  for (const Selection* s : std::set(std::begin(by_kind), std::end(by_kind)))
    listed += s ? s->count : 0;
  EXPECT_EQ(listed, m.verdict == Verdict::none ? 1u : 0u);
  if (m.verdict == Verdict::none) {
    EXPECT_EQ(by_kind[static_cast<int>(m.kind)]->count, 1);
  }
  return {m.verdict, m.kind, m};
}

}  // namespace lf::parse
