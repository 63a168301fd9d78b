// SPDX-License-Identifier: Apache-2.0
// From a JSON command to the datagram that stands for it: names, ids, the signature, the payload.
#include "control/intake/packet.hpp"

#include <gtest/gtest.h>
#include <rte_udp.h>

#include "control/intake/row.hpp"
#include "tests/unit/intake/batches.hpp"

namespace lf::intake {
namespace {

using test::command;

constexpr size_t kLcpAt = 14 + 20 + 8;

config::Config small_config() {
  config::Config c;
  c.ports.push_back({.name = "p", .mtu = 600});
  c.intents = {{"status-refresh", 1, 1, {"orbit"}, false, {}},
               {"firmware-patch", 5, 5, {"mission"}, false, {}}};
  c.organisations.push_back({.name = "acme", .id = 1, .keys = {{3, {1, 2, 3}}}});
  c.organisations.push_back({.name = "keyless", .id = 9});
  c.operators.push_back({.id = 17, .name = "alice", .organisations = {"acme"}});
  c.operators.push_back({.id = 18, .name = "bob"});
  c.services.push_back({.name = "orbit", .ip_version = 4, .port = 7171});
  c.services.push_back({.name = "mission", .ip_version = 4, .port = 7172});
  return c;
}

struct Made {
  Packet packet;
  lcp::Message message;
  std::string payload;
};

class PacketTest : public ::testing::Test {
 protected:
  Made make(const std::string& row) {
    std::string padded = row + std::string(kPadding, ' ');
    Made made{maker_.make({padded.data(), row.size()}), {}, {}};
    if (made.packet.why_not != Unsendable::none) return made;
    const auto& frame = made.packet.frame;
    const auto* udp = reinterpret_cast<const rte_udp_hdr*>(frame.data() + 34);
    const lcp::Bytes datagram(frame.data() + kLcpAt,
                              static_cast<size_t>(rte_be_to_cpu_16(udp->dgram_len)) - 8);
    EXPECT_EQ(lcp::decode(datagram, made.message), Verdict::none);
    EXPECT_TRUE(lcp::Signer(lcp::KeyBytes{1, 2, 3}).verify(datagram));
    made.payload.assign(reinterpret_cast<const char*>(made.message.payload.data()),
                        made.message.payload.size());
    return made;
  }
  lcp::Fields fields(const std::string& row) { return make(row).message.fields; }

  const Directory directory_ = make_directory(small_config(), {{.name = "p", .id = 4}});
  PacketMaker maker_{directory_};
};

TEST_F(PacketTest, AllFields) {
  const Made made = make(
      R"({"command_id":"0F8FAD5B-d9cb-469f-a165-70867728950e","org":"acme","satellite_id":"42",)"
      R"("intent":"firmware-patch","issued_by":"alice","signature":"s","severity":4,"attempt":2,)"
      R"("deadline":"2026-01-01T00:00:00.5Z","trace_id":"000102030405060708090a0b0c0d0e0f",)"
      R"("payload": {"x": [1, 2.50, "}"]} })");
  const lcp::Fields& f = made.message.fields;
  EXPECT_EQ(f.org_id, 1u);
  EXPECT_EQ(f.operator_id, 17u);
  EXPECT_EQ(f.target_id, 42u);
  EXPECT_EQ(f.intent, 5);
  EXPECT_EQ(f.severity, 4);
  EXPECT_EQ(f.attempt, 2);
  EXPECT_EQ(f.key_id, 3);
  EXPECT_EQ(f.deadline_us, 1'767'225'600'500'000u);
  EXPECT_EQ(f.command_id[0], 0x0f);
  EXPECT_EQ(f.command_id[15], 0x0e);
  EXPECT_EQ(f.trace_id[15], 0x0f);
  EXPECT_EQ(made.payload, R"({"x": [1, 2.50, "}"]})");
  EXPECT_EQ(made.packet.port, 4);
  EXPECT_EQ(made.packet.command_id, f.command_id);
  const auto* udp = reinterpret_cast<const rte_udp_hdr*>(made.packet.frame.data() + 34);
  EXPECT_EQ(udp->src_port, 0);
  EXPECT_EQ(rte_be_to_cpu_16(udp->dst_port), 7172);
}

TEST_F(PacketTest, NamesThatNobodyKnows) {
  const auto with = [&](const std::string& name, const std::string& value) {
    return fields(command("x", "1767229200", ",\"org\":1,\"" + name + "\":" + value));
  };
  EXPECT_EQ(with("issued_by", R"("mallory")").operator_id, 0u);
  EXPECT_EQ(with("issued_by", R"("18")").operator_id, 18u);
  EXPECT_EQ(with("issued_by", "18").operator_id, 18u);
  EXPECT_EQ(with("intent", R"("dance")").intent, 255);
  EXPECT_EQ(with("intent", R"("7")").intent, 7);
  EXPECT_EQ(with("satellite_id", R"("leo-1")").target_id, target_of("leo-1"));
  EXPECT_NE(target_of("leo-1"), target_of("leo-2"));
  EXPECT_GE(target_of("leo-1"), 1u << 31);
  EXPECT_EQ(with("severity", "9").severity, 5);
  EXPECT_EQ(with("severity", "\"high\"").severity, 1);
  EXPECT_EQ(with("x", "1").command_id, id_of("x"));
}

TEST_F(PacketTest, TheOrganisationFollowsFromTheOperator) {
  EXPECT_EQ(fields(command("x")).org_id, 1u);  // alice is in one alone
  EXPECT_EQ(make(command("x", "1767229200", R"(,"issued_by":"bob")")).packet.why_not,
            Unsendable::no_organisation);
}

TEST_F(PacketTest, WhatCannotBeSent) {
  const auto why = [&](const std::string& more) {
    return make(command("x", "1767229200", more)).packet.why_not;
  };
  EXPECT_EQ(why(R"(,"org":"globex")"), Unsendable::no_organisation);
  EXPECT_EQ(why(R"(,"org":"keyless")"), Unsendable::no_key);
  EXPECT_EQ(why(R"(,"payload":{"x":")" + std::string(480, 'x') + "\"}"), Unsendable::none);
  EXPECT_EQ(why(R"(,"payload":{"x":")" + std::string(520, 'x') + "\"}"), Unsendable::too_large);
  EXPECT_EQ(why(R"(,"payload":{"x":")" + std::string(70'000, 'x') + "\"}"), Unsendable::too_large);
  const Directory empty = make_directory({}, {});
  EXPECT_EQ(PacketMaker(empty).make(std::string_view()).frame.size(), 0u);
}

TEST(MemberText, IsFoundAtTheTopAlone) {
  EXPECT_EQ(member_text(R"({"a":{"b":1},"b":2})", "b"), "2");
  EXPECT_EQ(member_text(R"({"a":"\"b\":3,","b" : [ {"b":4}, 5 ] , "c":"b"})", "b"),
            R"([ {"b":4}, 5 ])");
  EXPECT_EQ(member_text(R"({"b":1,"b":"}"})", "b"), R"("}")");
  EXPECT_EQ(member_text(R"({"a":["b",1]})", "b"), "");
  EXPECT_EQ(member_text(R"({})", "b"), "");
}

}  // namespace
}  // namespace lf::intake
