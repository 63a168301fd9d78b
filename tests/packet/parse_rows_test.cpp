// SPDX-License-Identifier: Apache-2.0
// What parse accepts, refuses and why, seen from outside: frames into the pipeline.
#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

Packet v6(Packet p = {}) {
  p.src = kClient6;
  p.dst = kOwn6;
  return p;
}

Row forwarded(const std::string& name, const Packet& in) {
  return {name, in, Verdict::forwarded, to_node(in)};
}

Packet with_lcp(const Lcp& l) {
  Packet p;
  p.lcp = l;
  return p;
}

std::vector<Row> rows() {
  using V = Verdict;
  std::vector<Row> r;
  r.push_back(forwarded("ipv4", {}));
  r.push_back(forwarded("ipv6", v6()));
  for (const size_t n : {1, 2, 15, 16, 31, 32, 33, 64, 500, 1370}) {
    Packet p;
    p.lcp.payload = Bytes(n, 0x61);
    r.push_back(forwarded("ipv4_payload_" + std::to_string(n), p));
  }
  for (const size_t n : {1, 7, 64, 1352}) {
    Packet p = v6();
    p.lcp.payload = Bytes(n, 0x61);
    r.push_back(forwarded("ipv6_payload_" + std::to_string(n), p));
  }
  r.push_back(forwarded("vlan_tag_taken_off", {.vlan = 5}));
  r.push_back(forwarded("vlan_priority_tag", {.vlan = 0xe000}));
  r.push_back(forwarded("vlan_over_ipv6", v6({.vlan = 77})));
  r.push_back(forwarded("padding_cut_off", {.padding = 6}));
  r.push_back(forwarded("padding_cut_off_ipv6", v6({.padding = 1})));
  r.push_back(forwarded("no_udp_checksum_over_ipv4", {.udp_checksum = 0}));
  r.push_back(forwarded("ttl_2", {.ttl = 2}));
  r.push_back(forwarded("ttl_255", {.ttl = 255}));
  r.push_back(forwarded("tos_and_id_kept", {.tos = 0xb8, .ip_id = 0xabcd}));
  r.push_back(forwarded("may_fragment", {.fragment = 0}));
  r.push_back(forwarded("flow_label_kept", v6({.tos = 0x20, .flow_label = 0x12345})));
  r.push_back(forwarded("from_far_away", {.src = "192.0.2.200", .src_port = 1}));
  r.push_back(forwarded("severity_5", with_lcp({.intent = 5, .severity = 5})));
  r.push_back(forwarded("other_intent", with_lcp({.intent = 200})));
  r.push_back(forwarded("wants_reply_but_is_not_refused", with_lcp({.flags = 2})));

  auto drop = [&](const std::string& name, const Packet& p, Verdict v) {
    r.push_back({name, p, v});
  };
  drop("empty_frame", {.cut = 0}, V::eth_truncated);
  drop("frame_of_13_bytes", {.cut = 13}, V::eth_truncated);
  drop("vlan_tag_cut", {.vlan = 5, .cut = 17}, V::eth_truncated);
  drop("two_vlan_tags", {.vlan = 5, .inner_vlan = 6}, V::vlan_stacked);
  drop("service_tag", {.vlan = 5, .vlan_type = 0x88a8}, V::vlan_stacked);
  drop("other_mac", {.dst_mac = kOtherMac}, V::not_ours);
  drop("ipv4_header_cut", {.cut = 33}, V::ip_truncated);
  drop("ipv4_cut", {.cut = 100}, V::ip_truncated);
  drop("ipv6_header_cut", v6({.cut = 53}), V::ip_truncated);
  drop("ipv6_cut", v6({.cut = 141}), V::ip_truncated);
  drop("total_length_19", {.total_length = 19}, V::ip_truncated);
  drop("total_length_too_large", {.total_length = 109}, V::ip_truncated);
  drop("version_6_in_ipv4", {.version_ihl = 0x65}, V::ip_version);
  drop("version_4_in_ipv6", v6({.version_ihl = 0x45}), V::ip_version);
  drop("header_of_4_words", {.version_ihl = 0x44}, V::ip_options);
  drop("options", {.ip_options = {7, 3, 4, 0}}, V::ip_options);
  drop("most_options", {.ip_options = Bytes(40, 1)}, V::ip_options);
  for (const uint8_t next : {0, 43, 44, 51, 60, 135, 139, 140})
    drop("extension_" + std::to_string(next), v6({.protocol = next}), V::ip_extension);
  drop("first_fragment", {.fragment = 0x2000}, V::ip_fragment);
  drop("middle_fragment", {.fragment = 0x2010}, V::ip_fragment);
  drop("last_fragment", {.fragment = 0x0001}, V::ip_fragment);
  drop("ip_checksum", {.ip_checksum = 0xbeef}, V::ip_checksum);
  for (const char* source : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", kOwn4}) {
    std::string name = source;
    std::replace(name.begin(), name.end(), '.', '_');
    drop("source_" + name, {.src = source}, V::ip_source);
  }
  drop("source6_unspecified", {.src = "::", .dst = kOwn6}, V::ip_source);
  drop("source6_loopback", {.src = "::1", .dst = kOwn6}, V::ip_source);
  drop("source6_multicast", {.src = "ff02::9", .dst = kOwn6}, V::ip_source);
  drop("source6_own", {.src = kOwn6, .dst = kOwn6}, V::ip_source);
  drop("source6_mapped", {.src = "::ffff:10.0.0.12", .dst = kOwn6}, V::ip_source);
  drop("ttl_1", {.ttl = 1}, V::ttl_expired);
  drop("ttl_0", {.ttl = 0}, V::ttl_expired);
  drop("hop_limit_1", v6({.ttl = 1}), V::ttl_expired);
  drop("no_udp_header", {.l4 = Bytes{}}, V::udp_truncated);
  drop("half_a_udp_header", {.l4 = Bytes{0x9c, 0x40, 0x1c, 0x03}}, V::udp_truncated);
  drop("no_udp_header_over_ipv6", v6({.l4 = Bytes{}}), V::udp_truncated);
  drop("udp_length_7", {.udp_length = 7}, V::udp_length);
  drop("udp_length_one_less", {.udp_length = 87}, V::udp_length);
  drop("udp_length_one_more", {.udp_length = 89}, V::udp_length);
  drop("udp_length_0_over_ipv6", v6({.udp_length = 0}), V::udp_length);
  drop("udp_checksum", {.udp_checksum = 0x1234}, V::udp_checksum);
  drop("udp_checksum_over_ipv6", v6({.udp_checksum = 0x1234}), V::udp_checksum);
  drop("no_udp_checksum_over_ipv6", v6({.udp_checksum = 0}), V::udp_checksum);
  drop("udp_port", {.dst_port = 7172}, V::udp_port);
  drop("udp_port_over_ipv6", v6({.dst_port = 53}), V::udp_port);
  drop("no_lcp_header", {.udp_payload = Bytes{}}, V::lcp_truncated);
  drop("lcp_header_of_79_bytes", {.udp_payload = Bytes(79, 0)}, V::lcp_truncated);
  drop("magic", with_lcp({.magic = 0x464c}), V::lcp_magic);
  drop("version_0", with_lcp({.version = 0}), V::lcp_version);
  drop("version_2", with_lcp({.version = 2}), V::lcp_version);
  drop("type_0", with_lcp({.type = 0}), V::lcp_type);
  drop("type_7", with_lcp({.type = 7}), V::lcp_type);
  drop("flag_4", with_lcp({.flags = 4}), V::lcp_flags);
  drop("flag_128", with_lcp({.flags = 128}), V::lcp_flags);
  drop("payload_length_too_small", with_lcp({.payload_length = 3, .payload = Bytes(4)}),
       V::lcp_length);
  drop("payload_length_too_large", with_lcp({.payload_length = 1}), V::lcp_length);
  drop("severity_0", with_lcp({.severity = 0}), V::lcp_severity);
  drop("severity_6", with_lcp({.severity = 6}), V::lcp_severity);
  drop("reply_body_of_15_bytes", with_lcp({.type = 2, .payload = Bytes(15)}), V::lcp_body);
  drop("approval_with_a_body", with_lcp({.type = 3, .payload = Bytes(1)}), V::lcp_body);
  drop("report_of_23_bytes", with_lcp({.type = 4, .payload = Bytes(23)}), V::lcp_body);
  drop("probe_with_a_body", with_lcp({.type = 5, .payload = Bytes(2)}), V::lcp_body);
  drop("tag_without_its_flag", with_lcp({.tag = Bytes(16, 1)}), V::lcp_untagged_tag);
  return r;
}

class ParseRows : public Rows {};
TEST_P(ParseRows, OnePacket) {
  check_row();
}
INSTANTIATE_TEST_SUITE_P(Parse, ParseRows, testing::ValuesIn(rows()), row_name);

TEST(ParsePackets, FrameInSeveralBuffers) {
  Rig rig;
  expect_verdict(rig.run_segmented({}), Verdict::segmented);
}

TEST(ParsePackets, PortWithAVlanTakesNoOther) {
  Rig rig([](config::Config& c) { c.ports[0].vlan = 5; });
  expect_verdict(rig.run({.vlan = 6}), Verdict::not_ours);
  expect_verdict(rig.run(Packet{}), Verdict::not_ours);
  expect_verdict(rig.run({.vlan = 5}), Verdict::forwarded);
}

}  // namespace
}  // namespace lf::test
