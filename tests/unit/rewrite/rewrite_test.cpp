// SPDX-License-Identifier: Apache-2.0
// Frames in, frames out, byte for byte: what should come out is built from scratch.
#include "dataplane/rewrite/rewrite.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "control/parse/table_builder.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

namespace lf::rewrite {
namespace {

using test::build;
using test::Bytes;
using test::ip;
using test::kClient4;
using test::kClient6;
using test::kNode4;
using test::kNode6;
using test::kOwn4;
using test::kOwn6;
using test::Packet;

constexpr test::Mac kGatewayMac{0x02, 0, 0, 0, 0, 0xaa};

forward::Node node(const char* address, const char* source, uint8_t ip_version) {
  forward::Node n;
  n.address = ip(address);
  n.source = ip(source);
  n.port = lcp::be16(9000);
  n.source_port = lcp::be16(lcp::kDefaultPort);
  n.mac = test::mac(test::kNodeMac);
  n.source_mac = test::mac(test::kPortMac);
  n.ip_version = ip_version;
  n.out_port = 0;
  n.resolved = n.configured = true;
  return n;
}

struct Fixture {
  parse::Table parse_table = parse::build_table(test::world(), test::world_ports()).value();
  forward::Table table;
  test::TestBurst b;
  parse::Sorted sorted;
  Selection too_big;
  uint16_t least_mtu = 0;  // each frame is looked at

  Fixture() { table.nodes = {node(kNode4, kOwn4, 4), node(kNode6, kOwn6, 6)}; }

  rte_mbuf* add(const Packet& p) { return b.add(build(p)); }

  void parse() {
    parse::State state;
    parse::run(parse_table, state, *b.burst, sorted, 0);
  }

  void to_nodes() {
    parse();
    for (const uint8_t i : sorted.commands) {
      Meta& meta = b.burst->meta[i];
      meta.node = meta.ip_version == 4 ? 0 : 1;
      meta.out_port = table.nodes[meta.node].out_port;
    }
    rewrite::fit(table, *b.burst, least_mtu, sorted.commands, too_big);
    to_nodes_that_fit();
  }

  void to_nodes_that_fit() {
    forward::make_images(table);
    rewrite::to_nodes(table, parse_table.ports, *b.burst, sorted.commands,
                      {.all_usual = all_usual(), .layout = layout_of(first())});
  }

  const Meta& first() const {
    return b.burst->meta[sorted.commands.count == 0 ? 0 : sorted.commands.index[0]];
  }
  static net::Layout layout_of(const Meta& m) { return {m.ip_version, m.l3_offset != 14}; }

  // As choose tells it.
  bool all_usual() const {
    return std::ranges::all_of(sorted.commands, [&](uint8_t i) {
      const Meta& m = b.burst->meta[i];
      const forward::Node& n = table.nodes[m.node];
      return net::offsets_of(m) == layout_of(first()).offsets() &&
             (n.vlan_tci != 0) == layout_of(m).tagged && n.ip_version == m.ip_version &&
             n.mode == forward::Mode::proxy;
    });
  }
};

// The command as the node shall get it.
Packet to_node(Packet p) {
  const bool v6 = p.dst == kOwn6;
  p.dst_mac = test::kNodeMac;
  p.src_mac = test::kPortMac;
  p.src = v6 ? kOwn6 : kOwn4;
  p.dst = v6 ? kNode6 : kNode4;
  p.src_port = lcp::kDefaultPort;
  p.dst_port = 9000;
  p.ttl -= 1;
  p.padding = 0;
  return p;
}

#define EXPECT_FRAME(got, want) EXPECT_EQ(got, want) << test::hex_diff(got, want)

TEST(Rewrite, ProxyInBothFamiliesWithOddPayloads) {
  Fixture f;
  std::vector<Packet> in;
  for (const bool v6 : {false, true}) {
    Packet p{.ttl = 7, .tos = 0x2e, .ip_id = 0x1234, .lcp = {.payload = Bytes(33, 0x11)}};
    if (v6) p.src = kClient6, p.dst = kOwn6, p.flow_label = 0xabcde;
    in.push_back(p);
    p.padding = 4;
    in.push_back(p);
  }
  for (const Packet& p : in) f.add(p);
  f.to_nodes();
  ASSERT_EQ(f.sorted.commands.count, in.size());
  for (uint32_t i = 0; i < in.size(); ++i) {
    EXPECT_FRAME(f.b.frame(i), build(to_node(in[i])));
    EXPECT_EQ(test::check_frame(f.b.frame(i)), "");
  }
}

TEST(Rewrite, AClientsAddressesInARegisterAreTheSame) {
  for (const bool v6 : {false, true})
    for (const uint16_t vlan : {0, 7}) {
      Fixture f;
      Packet in;
      if (v6) in.src = kClient6, in.dst = kOwn6;
      if (vlan) in.vlan = vlan;
      const rte_mbuf* m = f.add(in);
      f.parse();
      const Client client = client_of(m, f.b.burst->meta[0]);
      const Meta& meta = f.b.burst->meta[0];
      const __m256i addresses = client_addresses(
          rte_pktmbuf_mtod_offset(m, const uint8_t*, meta.l3_offset), meta.ip_version);
      EXPECT_EQ(std::memcmp(&addresses, &client, sizeof addresses), 0) << v6 << vlan;
    }
}

TEST(Rewrite, MissingUdpChecksumStaysMissing) {
  Fixture f;
  const Packet in{.udp_checksum = 0};
  f.add(in);
  f.to_nodes();
  EXPECT_FRAME(f.b.frame(0), build(to_node(in)));
}

TEST(Rewrite, UdpChecksumThatBecomesZeroIsSentAsOnes) {
  // Chosen so that the sum after the rewrite is 0xffff: search the trace id for it.
  for (uint64_t trace = 0; trace < 0x20000; ++trace) {
    Packet in{.lcp = {.trace = trace}};
    const Bytes want = build(to_node(in));
    if (want[40] != 0xff || want[41] != 0xff) continue;
    Fixture f;
    f.add(in);
    f.to_nodes();
    EXPECT_FRAME(f.b.frame(0), want);
    return;
  }
  FAIL() << "no such packet found";
}

TEST(Rewrite, VlanTagIsKeptAddedAndRemoved) {
  for (const uint16_t in_vlan : {0, 5})
    for (const uint16_t out_vlan : {0, 5, 9}) {
      for (const bool v6 : {false, true}) {
        Fixture f;
        f.table.nodes[0].vlan_tci = f.table.nodes[1].vlan_tci = out_vlan;
        Packet in;
        if (v6) in.src = kClient6, in.dst = kOwn6;
        if (in_vlan) in.vlan = in_vlan;
        f.add(in);
        f.to_nodes();
        Packet want = to_node(in);
        want.vlan.reset();
        if (out_vlan) want.vlan = out_vlan;
        EXPECT_FRAME(f.b.frame(0), build(want));
        const Meta& m = f.b.burst->meta[0];
        EXPECT_EQ(m.l3_offset, out_vlan ? 18 : 14);
        EXPECT_EQ(reinterpret_cast<uint8_t*>(m.lcp),
                  rte_pktmbuf_mtod_offset(f.b.burst->packets[0], uint8_t*, m.lcp_offset));
      }
    }
}

TEST(Rewrite, DirectReturnChangesMacAddressesAlone) {
  Fixture f;
  f.table.nodes[0].mode = forward::Mode::dsr_l2;
  const Packet in{.ttl = 2};
  f.add(in);
  f.to_nodes();
  Packet want = in;
  want.dst_mac = test::kNodeMac;
  want.src_mac = test::kPortMac;
  EXPECT_FRAME(f.b.frame(0), build(want));
}

TEST(Rewrite, WhatExceedsTheNodesMtuIsLeftAlone) {
  Fixture f;
  const size_t packet = build({}).size() - 14;
  f.table.nodes[0].mtu = static_cast<uint16_t>(packet);
  f.add({});
  const Packet large{.vlan = 5, .lcp = {.payload = Bytes(1)}};
  f.add(large);
  f.add({.vlan = 5});
  f.to_nodes();
  EXPECT_EQ(f.b.burst->meta[0].verdict, Verdict::forwarded);
  EXPECT_EQ(f.b.burst->meta[1].verdict, Verdict::too_big);
  EXPECT_EQ(f.b.burst->meta[2].verdict, Verdict::forwarded);
  ASSERT_EQ(f.too_big.count, 1);
  EXPECT_EQ(f.too_big.index[0], 1);
  EXPECT_EQ(f.sorted.commands.count, 2);
  EXPECT_FRAME(f.b.frame(1), build(large));
}

TEST(Rewrite, PartialChecksumIsMadeWhole) {
  for (const bool v6 : {false, true}) {
    Fixture f;
    f.parse_table.ports[0].rx_udp_checksum = true;
    Packet in;
    if (v6) in.src = kClient6, in.dst = kOwn6;
    Packet partial = in;
    partial.udp_checksum = 0x1111;
    f.add(partial)->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
    f.to_nodes();
    EXPECT_FRAME(f.b.frame(0), build(to_node(in)));
  }
}

TEST(Rewrite, PartialChecksumIsLeftToAPortThatCan) {
  Fixture f;
  f.parse_table.ports[0].rx_udp_checksum = f.parse_table.ports[0].tx_checksum = true;
  f.add({.vlan = 5, .udp_checksum = 0x1111})->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
  f.to_nodes();
  const rte_mbuf* m = f.b.burst->packets[0];
  EXPECT_EQ(m->ol_flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_UDP_CKSUM);
  EXPECT_TRUE(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM);
  EXPECT_EQ(m->l2_len, 14u);
  EXPECT_EQ(m->l3_len, 20u);
  // What the port does: add up the datagram, pseudo-header included.
  Bytes frame = f.b.frame(0);
  const uint16_t sum =
      static_cast<uint16_t>(~test::naive_sum(Bytes(frame.begin() + 34, frame.end())));
  Packet want = to_node({});
  EXPECT_EQ(sum, static_cast<uint16_t>(build(want)[40] << 8 | build(want)[41]));
}

TEST(Rewrite, KeptCommandIsAsItCameIn) {
  for (const uint16_t in_vlan : {0, 5})
    for (const uint16_t out_vlan : {0, 9})
      for (const bool v6 : {false, true})
        for (const bool by_port : {false, true}) {
          Fixture f;
          f.table.nodes[0].vlan_tci = f.table.nodes[1].vlan_tci = out_vlan;
          f.parse_table.ports[0].rx_udp_checksum = f.parse_table.ports[0].tx_checksum = by_port;
          Packet in{.ttl = 2, .lcp = {.payload = Bytes(33, 0x11)}};
          if (v6) in.src = kClient6, in.dst = kOwn6;
          if (in_vlan) in.vlan = in_vlan;
          // What the port completes it completes for the second node too.
          rte_mbuf* m = f.add(in);
          if (by_port) m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
          f.parse();
          Meta& meta = f.b.burst->meta[0];
          const Client client = client_of(m, meta);
          meta.node = v6 ? 1 : 0;
          rewrite::fit(f.table, *f.b.burst, 0, f.sorted.commands, f.too_big);
          f.to_nodes_that_fit();
          const Bytes first = f.b.frame(0);
          const uint64_t first_flags = m->ol_flags;
          to_received(f.parse_table.ports, client, m, meta);
          if (!by_port) {
            EXPECT_FRAME(f.b.frame(0), build(in));
          }
          EXPECT_EQ(m->ol_flags & RTE_MBUF_F_TX_L4_MASK, 0u);
          EXPECT_EQ(meta.vlan_tci, in_vlan);
          f.to_nodes_that_fit();
          EXPECT_FRAME(f.b.frame(0), first);
          EXPECT_EQ(m->ol_flags, first_flags);
        }
}

TEST(Rewrite, ReplyGoesBackTheWayItsCommandCame) {
  for (const bool v6 : {false, true})
    for (const uint16_t vlan : {0, 5}) {
      Packet command;
      if (v6) command.src = kClient6, command.dst = kOwn6;
      if (vlan) command.vlan = vlan;
      command.src_mac = kGatewayMac;
      Fixture f;
      f.add(command);
      f.parse();
      const Client client = client_of(f.b.burst->packets[0], f.b.burst->meta[0]);

      Packet reply{.src_mac = test::kNodeMac,
                   .src = v6 ? kNode6 : kNode4,
                   .dst = command.dst,
                   .src_port = 9000,
                   .dst_port = lcp::kDefaultPort,
                   .lcp = {.type = 2, .payload = test::reply_body(lcp::Status::ok)}};
      Fixture g;
      g.add(reply);
      g.parse();
      g.b.burst->meta[0].out_port = 7;
      to_clients(g.parse_table.ports, &client, *g.b.burst, g.sorted.replies, g.too_big);

      Packet want = reply;
      want.dst_mac = kGatewayMac;
      want.src_mac = test::kPortMac;
      want.vlan = command.vlan;
      want.src = command.dst;
      want.dst = command.src;
      want.src_port = command.dst_port;
      want.dst_port = command.src_port;
      want.ttl -= 1;
      EXPECT_FRAME(g.b.frame(0), build(want));
      EXPECT_EQ(g.b.burst->meta[0].out_port, 0);
    }
}

TEST(Rewrite, ReplyThatExceedsThePortsMtu) {
  Fixture f;
  f.add({.lcp = {.type = 2, .payload = test::reply_body(lcp::Status::ok)}});
  f.parse();
  f.parse_table.ports[0].mtu = 123;
  Client client;
  client.ip_version = 4;
  to_clients(f.parse_table.ports, &client, *f.b.burst, f.sorted.replies, f.too_big);
  EXPECT_EQ(f.too_big.count, 1);
  EXPECT_EQ(f.sorted.replies.count, 0);
}

RC_GTEST_PROP(Rewrite, AnyCommandComesOutAsBuiltFromScratch, ()) {
  Packet in;
  const bool v6 = *rc::gen::arbitrary<bool>();
  if (v6) {
    in.src = "2001:db8::" + std::to_string(*rc::gen::inRange(1, 9999));
    in.dst = kOwn6;
  } else {
    in.src = "192.0.2." + std::to_string(*rc::gen::inRange(1, 255));
  }
  in.ttl = *rc::gen::inRange<uint8_t>(2, 255);
  in.tos = *rc::gen::arbitrary<uint8_t>();
  in.ip_id = *rc::gen::arbitrary<uint16_t>();
  in.src_port = *rc::gen::arbitrary<uint16_t>();
  in.lcp.trace = *rc::gen::arbitrary<uint64_t>();
  in.lcp.payload = *rc::gen::arbitrary<Bytes>();
  Fixture f;
  f.add(in);
  f.to_nodes();
  RC_ASSERT(f.sorted.commands.count == 1);
  RC_ASSERT(f.b.frame(0) == build(to_node(in)));
}

// Usual commands go by fours, in each of the layouts; those without a checksum, with one that is
// left to us, and the last ones of a burst do not.
RC_GTEST_PROP(Rewrite, ABurstOfUsualCommandsComesOutAsBuiltFromScratch, (bool v6, bool tagged)) {
  Fixture f;
  f.parse_table.ports[0].rx_udp_checksum = true;
  using Addresses = const char* const[2];  // of a node, and its source
  constexpr Addresses kV4[] = {
      {"10.0.1.1", kOwn4}, {"255.255.255.255", "255.255.255.254"}, {"0.0.0.1", kOwn4}};
  constexpr Addresses kV6[] = {
      {"fd00::1:1", kOwn6},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
      {"::1", kOwn6}};
  const Addresses* const addresses = v6 ? kV6 : kV4;
  f.table.nodes.clear();
  for (int n = 0; n < 3; ++n) {
    f.table.nodes.push_back(node(addresses[n][0], addresses[n][1], v6 ? 6 : 4));
    if (tagged) f.table.nodes[n].vlan_tci = static_cast<uint16_t>(0x2007 + n);
  }
  f.table.nodes[1].port = f.table.nodes[1].source_port = 0xffff;
  f.table.nodes[2].port = f.table.nodes[2].source_port = 0;
  f.table.nodes[2].mac = test::mac(kGatewayMac);
  std::vector<Bytes> want;
  const int count = *rc::gen::inRange(1, 14);
  const bool some_without = !v6 && *rc::gen::element(false, false, true);
  const bool some_partial = *rc::gen::element(false, false, true);
  for (int i = 0; i < count; ++i) {
    Packet in;
    const std::string host = std::to_string(*rc::gen::inRange(1, 255));
    in.src = (v6 ? "2001:db8::" : "192.0.2.") + host;
    if (v6) in.dst = kOwn6, in.flow_label = *rc::gen::inRange(0u, 0x100000u);
    if (tagged) in.vlan = *rc::gen::element<uint16_t>(0, 5, 0xe005);
    in.ttl = *rc::gen::inRange<uint8_t>(2, 255);
    in.tos = *rc::gen::arbitrary<uint8_t>();
    in.ip_id = *rc::gen::arbitrary<uint16_t>();
    in.src_port = *rc::gen::element<uint16_t>(0, 1, 0xffff, *rc::gen::arbitrary<uint16_t>());
    in.lcp.trace = *rc::gen::arbitrary<uint64_t>();
    in.lcp.payload = *rc::gen::arbitrary<Bytes>();
    const auto to = *rc::gen::inRange<NodeSlot>(0, 3);
    const bool partial = some_partial && *rc::gen::arbitrary<bool>();
    Packet out = to_node(in);
    if (some_without && !partial && *rc::gen::arbitrary<bool>())
      in.udp_checksum = out.udp_checksum = 0;
    out.dst = addresses[to][0], out.src = addresses[to][1];
    out.src_port = lcp::be16(f.table.nodes[to].source_port);
    out.dst_port = lcp::be16(f.table.nodes[to].port);
    if (to == 2) out.dst_mac = kGatewayMac;
    if (tagged) out.vlan = f.table.nodes[to].vlan_tci;
    if (partial) in.udp_checksum = 0x1111;
    rte_mbuf* m = f.add(in);
    m->ol_flags = partial ? RTE_MBUF_F_RX_L4_CKSUM_NONE : RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    want.push_back(build(out));
    f.b.burst->meta[i].node = to;
  }
  std::vector<NodeSlot> to(count);
  for (int i = 0; i < count; ++i) to[i] = f.b.burst->meta[i].node;
  f.parse();
  RC_ASSERT(f.sorted.commands.count == count);
  for (int i = 0; i < count; ++i) f.b.burst->meta[i].node = to[i];
  // Some were refused before.
  Selection live{};
  const bool all = *rc::gen::arbitrary<bool>();
  for (const uint8_t i : f.sorted.commands)
    if (all || *rc::gen::inRange(0, 4) != 0) live.add(i);
  f.sorted.commands = live;
  RC_ASSERT(f.all_usual());
  f.to_nodes_that_fit();
  for (const uint8_t i : live) {
    RC_ASSERT(f.b.frame(i) == want[i]);
    RC_ASSERT(f.b.burst->meta[i].verdict == Verdict::forwarded);
  }
}

}  // namespace
}  // namespace lf::rewrite
