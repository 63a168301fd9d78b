// SPDX-License-Identifier: Apache-2.0
// Arbitrary frames through parse, the exception path, and the stages that change frames. Whatever
// the bytes are, every frame gets a verdict or a kind, and what is written stays inside the buffer,
// which ends where its room ends.
#include <cstdlib>

#include "control/parse/table_builder.hpp"
#include "dataplane/answer/answer.hpp"
#include "dataplane/exception/exception.hpp"
#include "dataplane/exception/too_big.hpp"
#include "dataplane/parse/parse.hpp"
#include "dataplane/rewrite/rewrite.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

using namespace lf;

namespace {

struct Tables {
  parse::Table parse = parse::build_table(test::world(), test::world_ports()).value();
  forward::Table forward;
  too_big::State too_big{1'000'000};

  Tables() {
    parse.ports[0].rx_ip_checksum = parse.ports[0].rx_udp_checksum = true;
    forward.nodes.resize(2);
    for (forward::Node& n : forward.nodes) {
      n.vlan_tci = 9;
      n.mtu = 200;
    }
  }
};

void check(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

// First byte: how much room the buffer has behind the frame, which node, refused or not, and
// whether the port says that the checksums are right (else no mutation gets past them).
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Tables t;
  if (size < 1 || size > 2000) return 0;
  const test::Bytes frame(data + 1, data + size);
  const auto room = static_cast<uint16_t>(frame.size() + (data[0] & 0x7f));
  test::TestBurst b;
  rte_mbuf* m = b.add(frame, 0, room);
  if (data[0] & 2) m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  Burst& burst = *b.burst;
  Meta& meta = burst.meta[0];
  parse::State state;
  parse::Sorted sorted;
  parse::run(t.parse, state, burst, sorted, 0);
  check(meta.verdict != Verdict::none || meta.kind != Kind::undecided);
  exception::Out out;
  exception::run(t.parse, burst, sorted.exceptions, sorted.probes, out);
  if (sorted.exceptions.count + sorted.probes.count > 0) check(meta.verdict != Verdict::none);
  if (sorted.commands.count == 0) return 0;

  meta.node = data[0] >> 7;
  if (data[0] & 1) {
    meta.authenticated = true;
    meta.verdict = Verdict::policy_denied;
    answer::build(burst, sorted.commands);
    answer::finish(burst, sorted.commands);
    return 0;
  }
  Selection too_big{};
  rewrite::to_nodes(t.forward, t.parse.ports, burst, sorted.commands, too_big);
  check(sorted.commands.count + too_big.count == 1);
  too_big::run(t.forward, t.parse.ports, t.too_big, burst, too_big, 0);
  return 0;
}
