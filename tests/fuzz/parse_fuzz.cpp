// SPDX-License-Identifier: Apache-2.0
// Bursts of arbitrary frames through parse: whatever the frames before it in the burst are, and
// whichever way is taken, each becomes what the general way makes of it alone (parse/general.hpp).
// Buffers end where the frames end.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "control/parse/table_builder.hpp"
#include "dataplane/parse/general.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/fuzz/bursts.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

using namespace lf;

namespace {

constexpr uint16_t kPorts = 6;

void check(bool ok) {
  if (!ok) std::abort();
}

// One without and one with flow services.
struct Tables {
  parse::Table of[2];

  Tables() {
    config::Config c = test::world();
    c.ports[0].addresses.push_back({test::ip(fuzz::kVip4), 24, 4});
    for (parse::Table& t : of) {
      t = parse::build_table(c, test::world_ports()).value();
      std::fill_n(t.ports.begin() + 1, kPorts - 1, t.ports[0]);
      t.ports[1].rx_ip_checksum = t.ports[1].rx_udp_checksum = true;
      t.ports[2].rx_udp_checksum = true;
      t.ports[3].vlan_tci = 5;
      t.ports[4].mac = {};
      t.ports[5].kernel_of = 0;
    }
    of[1].has_flows = true;
    const IpAddress vip = test::ip(fuzz::kVip4);
    parse::add_flow(of[1], {vip, lcp::be16(80), IPPROTO_UDP, 4, 1});
    parse::add_flow(of[1], {vip, lcp::be16(80), IPPROTO_TCP, 4, 2});
    const IpAddress own6 = test::ip(test::kOwn6);
    parse::add_flow(of[1], {own6, lcp::be16(80), IPPROTO_UDP, 6, 3});
    parse::add_flow(of[1], {own6, lcp::be16(80), IPPROTO_TCP, 6, 4});
  }
};

void check_same(test::TestBurst& together, test::TestBurst& alone, uint32_t i) {
  Meta a = together.burst->meta[i], b = alone.burst->meta[i];
  check((a.lcp == nullptr) == (b.lcp == nullptr));
  if (a.lcp != nullptr)
    check(reinterpret_cast<uint8_t*>(a.lcp) ==
          rte_pktmbuf_mtod_offset(together.burst->packets[i], uint8_t*, a.lcp_offset));
  a.lcp = b.lcp = nullptr;
  check(std::memcmp(&a, &b, sizeof a) == 0);
  check(together.frame(i) == alone.frame(i));
  check(together.burst->packets[i]->pkt_len == together.burst->packets[i]->data_len);
}

Selection& selection_of(parse::Sorted& s, Kind kind) {
  switch (kind) {
    case Kind::command:
      return s.commands;
    case Kind::reply:
      return s.replies;
    case Kind::approval:
      return s.approvals;
    case Kind::report:
      return s.reports;
    case Kind::probe:
      return s.probes;
    case Kind::probe_reply:
      return s.probe_replies;
    case Kind::flow:
    case Kind::flow_return:
      return s.flows;
    default:
      check(kind == Kind::exception);
      return s.exceptions;
  }
}

void check_sorted(const Burst& burst, parse::Sorted& sorted) {
  parse::Sorted want;
  for (uint32_t i = 0; i < burst.count; ++i)
    if (burst.meta[i].verdict == Verdict::none) selection_of(want, burst.meta[i].kind).add(i);
  for (const Kind kind : {Kind::command, Kind::reply, Kind::approval, Kind::report, Kind::probe,
                          Kind::probe_reply, Kind::flow, Kind::exception})
    check(std::ranges::equal(selection_of(sorted, kind), selection_of(want, kind)));
}

void run(const parse::Table& t, parse::State& state, test::TestBurst& together,
         test::TestBurst& alone, uint32_t part, bool pauses) {
  Burst& burst = *together.burst;
  parse::Sorted sorted;
  parse::begin(t, state, burst, sorted);
  for (uint32_t first = 0; first < burst.count; first += part) {
    if (!pauses) state.wait = state.pause = 0;
    parse::part(t, state, burst, first, std::min<uint32_t>(first + part, burst.count), sorted);
  }
  for (uint32_t i = 0; i < burst.count; ++i) {
    Meta& meta = alone.burst->meta[i];
    meta.verdict = parse::parse_frame(t, alone.burst->packets[i], meta);
    check_same(together, alone, i);
  }
  check_sorted(burst, sorted);
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t room, unsigned seed) {
  return fuzz::mutate(data, size, room, seed);
}

// The input's setup: how many frames are parsed at once, as many as the pipeline does or fewer; and
// whether a part that could not be taken together keeps the next ones from being tried.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Tables tables;
  const fuzz::Input input = fuzz::read(data, size);
  const uint32_t part = input.setup < 128 ? parse::kPartMax : input.setup % parse::kPartMax + 1;
  parse::State state;
  uint32_t which = 0;
  for (size_t k = 0; k < input.items.size();) {
    which ^= (input.items[k].how & fuzz::kOtherTable) != 0;
    test::TestBurst together, alone;
    do {
      const fuzz::Item& item = input.items[k];
      for (test::TestBurst* b : {&together, &alone}) {
        rte_mbuf* m = b->add(item.frame, item.number % (kPorts + 1),
                             static_cast<uint16_t>(item.frame.size()));
        if (item.how & fuzz::kSumsGood)
          m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
        if (item.how & fuzz::kSumsBad)
          m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD;
      }
    } while (++k < input.items.size() && !(input.items[k].how & fuzz::kNextBurst) &&
             together.burst->count < kBurstMax);
    run(tables.of[which], state, together, alone, part, (input.setup & 64) != 0);
  }
  return 0;
}
