// SPDX-License-Identifier: Apache-2.0
// Arbitrary frames, one at a time, through parse, the exception path, and the stages that change
// frames. Whatever the bytes are, every frame gets a verdict or a kind, and what is written stays
// inside the buffer, which ends where its room ends; the whole pipeline's buffers do not
// (pipeline_fuzz.cpp).
#include <algorithm>
#include <cstdlib>
#include <vector>

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

// What a mutation starts from now and then: by chance alone no bytes get as far as LCP.
std::vector<test::Bytes> right_frames() {
  using test::Packet;
  test::Lcp reply{.type = 2, .payload = test::reply_body(lcp::Status::ok)};
  test::Lcp report{.type = 3, .payload = test::report_body(1, 2, 3)};
  Packet command6{.src = test::kClient6, .dst = test::kOwn6};
  Packet tagged{.lcp = {.key = test::kAcmeKey, .payload = test::Bytes(40, 7)}};
  Packet large{.lcp = {.payload = test::Bytes(300, 1)}};
  Packet large6 = command6;
  large6.lcp = large.lcp;
  Packet echo{.protocol = 1, .l4 = test::icmp(8, 0, 7, test::Bytes(32, 3)), .checksum_at = 2};
  Packet arp{.dst_mac = test::kBroadcast, .ether_type = 0x0806};
  arp.l3 = test::arp(1, test::kClientMac, test::kClient4, {}, test::kOwn4);
  Packet solicitation{.src = test::kClient6, .dst = test::kOwn6, .ttl = 255, .protocol = 58};
  solicitation.l4 = test::neighbour_message(135, 0, test::kOwn6);
  solicitation.checksum_at = 2;
  std::vector<test::Bytes> frames;
  for (const Packet& p : {Packet{}, command6, tagged, large, large6, Packet{.vlan = 9},
                          Packet{.src = test::kNode4, .lcp = reply},
                          Packet{.src = test::kNode4, .lcp = report}, echo, arp, solicitation})
    frames.push_back(test::build(p));
  return frames;
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  static const std::vector<test::Bytes> frames = right_frames();
  const test::Bytes& frame = frames[seed / 8 % frames.size()];
  if (seed % 8 == 0 && frame.size() < max_size) {
    data[0] = static_cast<uint8_t>(seed >> 16);
    std::ranges::copy(frame, data + 1);
    size = frame.size() + 1;
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

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
  meta.out_port = t.forward.nodes[meta.node].out_port;
  if (data[0] & 1) {
    meta.authenticated = true;
    meta.verdict = Verdict::policy_denied;
    answer::build(burst, sorted.commands);
    answer::finish(burst, sorted.commands);
    return 0;
  }
  Selection too_big{};
  rewrite::fit(t.forward, burst, 0, sorted.commands, too_big);
  rewrite::to_nodes(t.forward, t.parse.ports, burst, sorted.commands, false);
  check(sorted.commands.count + too_big.count == 1);
  too_big::run(t.forward, t.parse.ports, t.too_big, burst, too_big, 0);
  return 0;
}
