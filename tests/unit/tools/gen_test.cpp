// SPDX-License-Identifier: Apache-2.0
// lf-gen's parts without ports: the pace, the books of what is on its way, and its frames, judged
// by the codec, the reference tag and the tests' naive checksums.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstring>
#include <set>
#include <vector>

#include "control/base/address.hpp"
#include "control/neighbour/frames.hpp"
#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/tag.hpp"
#include "dataplane/net/address.hpp"
#include "tests/support/packet.hpp"
#include "tools/lf_gen/flights.hpp"
#include "tools/lf_gen/frames.hpp"
#include "tools/lf_gen/neighbours.hpp"
#include "tools/lf_gen/pace.hpp"

namespace lf::gen {
namespace {

constexpr uint64_t kRun = 0x1122334455667788;
const rte_ether_addr kOurMac{{2, 0, 0, 0, 0, 9}};
const lcp::KeyBytes kKey1{1, 2, 3}, kKey2{4, 5, 6};

// The frames that there are: both families, with a VLAN tag and without.
struct Wire {
  uint8_t ip_version;
  uint16_t vlan;
};
class GenFrames : public testing::TestWithParam<Wire> {
 protected:
  Content commands() const {
    const bool ipv4 = GetParam().ip_version == 4;
    Content c;
    c.source = parse_address(ipv4 ? "10.7.0.2" : "fd71::ffff:ffff")->address;
    c.target = parse_address(ipv4 ? "10.7.0.1" : "fd71::1")->address;
    c.target_mac = {{2, 0, 0, 0, 0, 1}};
    c.vlan = GetParam().vlan;
    return c;
  }
  Layout layout() const { return layout_of(commands()); }
  uint32_t least() const { return size_min(commands()) - kCheckSequence; }
  lcp::Bytes content_of(const std::vector<uint8_t>& frame) const {
    return lcp::Bytes(frame).subspan(layout().content_at());
  }
  const rte_udp_hdr* udp_of(const std::vector<uint8_t>& frame) const {
    return reinterpret_cast<const rte_udp_hdr*>(frame.data() + layout().udp_at());
  }
  IpAddress source_of(const std::vector<uint8_t>& frame) const {
    IpAddress source, destination;
    net::load_addresses(frame.data() + layout().ip_at(), GetParam().ip_version, source,
                        destination);
    return source;
  }
  IpAddress destination_of(const std::vector<uint8_t>& frame) const {
    IpAddress source, destination;
    net::load_addresses(frame.data() + layout().ip_at(), GetParam().ip_version, source,
                        destination);
    return destination;
  }
  // Every length and checksum is right, and the frame is of the kind that was asked for.
  void expect_sound(const std::vector<uint8_t>& frame) const;
};
INSTANTIATE_TEST_SUITE_P(Wires, GenFrames,
                         testing::Values(Wire{4, 0}, Wire{4, 9}, Wire{6, 0}, Wire{6, 4094}),
                         [](const auto& info) {
                           return std::string(info.param.ip_version == 4 ? "Ipv4" : "Ipv6") +
                                  (info.param.vlan != 0 ? "Tagged" : "");
                         });

// Buffers of the given sizes (without check sequence), filled as the pool's are, and made.
std::vector<std::vector<uint8_t>> make(Maker& maker, const std::vector<uint32_t>& sizes,
                                       uint64_t first, uint64_t deadline_us = 77) {
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<Frame> frames;
  for (const uint32_t size : sizes) {
    bytes.emplace_back(size);
    Maker::fill_payload(bytes.back().data(), size);
  }
  for (auto& b : bytes) frames.push_back({b.data(), static_cast<uint32_t>(b.size())});
  maker.make(frames, first, deadline_us);
  return bytes;
}

void GenFrames::expect_sound(const std::vector<uint8_t>& frame) const {
  EXPECT_EQ(test::check_frame(frame), "");
  EXPECT_NE(udp_of(frame)->dgram_cksum, 0) << "no UDP checksum";
  const auto* eth = reinterpret_cast<const rte_ether_hdr*>(frame.data());
  const auto* vlan = reinterpret_cast<const rte_vlan_hdr*>(eth + 1);
  const uint16_t tagged = GetParam().vlan;
  EXPECT_EQ(rte_be_to_cpu_16(eth->ether_type) == RTE_ETHER_TYPE_VLAN, tagged != 0);
  if (tagged != 0) {
    EXPECT_EQ(rte_be_to_cpu_16(vlan->vlan_tci), tagged);
  }
  EXPECT_EQ(rte_be_to_cpu_16(tagged != 0 ? vlan->eth_proto : eth->ether_type),
            GetParam().ip_version == 4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
  EXPECT_EQ(frame.data()[layout().ip_at()] >> 4, GetParam().ip_version);
}

TEST(GenPace, SendsWhatIsDue) {
  Pace p(1000, 1e6, 50, 500'000, 32);
  EXPECT_EQ(p.due(50, 64), 1u);
  EXPECT_EQ(p.due(50 + 999, 64), 0u);
  EXPECT_EQ(p.due(50 + 10'000, 64), 10u);
  EXPECT_EQ(p.due(50 + 200'000, 64), 64u);
  EXPECT_EQ(p.due(50 + 200'000, 200), 126u);
  EXPECT_EQ(p.slipped(), 0u);
}

TEST(GenPace, WhatIsTooLateSlips) {
  Pace p(1000, 1e6, 0, 50'000, 32);  // 50 frames may be caught up with
  EXPECT_EQ(p.due(0, 64), 1u);
  EXPECT_EQ(p.due(1'000'000, 64), 50u);
  EXPECT_EQ(p.slipped(), 950u);
  EXPECT_EQ(p.due(1'001'000, 64), 1u);
}

TEST(GenPace, RateZeroIsAlwaysDue) {
  Pace p(0, 1e6, 0, 0, 32);
  EXPECT_EQ(p.due(0, 17), 17u);
  EXPECT_EQ(p.due(0, 17), 17u);
}

// Whatever the moments of asking, nothing is planned twice or forgotten.
RC_GTEST_PROP(GenPace, SentAndSlippedAddUp, ()) {
  const double rate = *rc::gen::inRange(1, 1'000'000);
  const auto naps =
      *rc::gen::container<std::vector<uint64_t>>(rc::gen::inRange<uint64_t>(0, 50'000));
  Pace p(rate, 1e6, 0, *rc::gen::inRange<uint64_t>(0, 20'000), 32);
  uint64_t now = 0, sent = 0;
  for (const uint64_t nap : naps) {
    now += nap;
    for (uint32_t n = 1; n != 0; sent += n) n = p.due(now, 64);
    const auto planned = static_cast<uint64_t>(static_cast<double>(now) / (1e6 / rate)) + 1;
    RC_ASSERT(sent + p.slipped() == planned);
  }
}

TEST(GenFlights, FirstAgainUnknown) {
  Flights f(4);
  uint64_t at = 0;
  EXPECT_EQ(f.seen(3, Point::node, at), Seen::unknown);
  f.sent(3, 1234);
  EXPECT_EQ(f.seen(3, Point::node, at), Seen::first);
  EXPECT_EQ(at, 1234u);
  EXPECT_EQ(f.seen(3, Point::node, at), Seen::again);
  EXPECT_EQ(f.seen(3, Point::client, at), Seen::first);
  EXPECT_EQ(f.seen(3, Point::client, at), Seen::again);
  EXPECT_EQ(f.seen(19, Point::client, at), Seen::unknown);  // the same slot
  f.sent(19, 99);
  EXPECT_EQ(f.seen(3, Point::client, at), Seen::unknown);
  EXPECT_EQ(f.seen(19, Point::client, at), Seen::first);
  EXPECT_EQ(f.seen(0, Point::client, at), Seen::unknown);
}

TEST_P(GenFrames, CommandsAreWhatTheCodecAndTheReferenceTagAccept) {
  Content c = commands();
  c.orgs = {1, 2, 3};
  c.intents = {1, 4};
  c.operators = {7, 8};
  c.keys = {{.org = 1, .id = 5, .bytes = kKey1}, {.org = 2, .id = 6, .bytes = kKey2}};
  Maker maker(c, kRun, kOurMac);
  std::vector<uint32_t> sizes;
  for (uint32_t i = 0; i < kFramesMax; ++i) sizes.push_back(least() + i * 21);  // odd ones, too
  const auto frames = make(maker, sizes, 1000);
  std::set<lcp::Id> ids;
  std::set<std::tuple<uint32_t, uint8_t, uint32_t>> combinations;
  for (const auto& frame : frames) {
    expect_sound(frame);
    lcp::Message m;
    ASSERT_EQ(lcp::decode(content_of(frame), m), Verdict::none);
    EXPECT_EQ(m.fields.type, lcp::Type::command);
    EXPECT_EQ(m.fields.deadline_us, 77u);
    ids.insert(m.fields.command_id);
    combinations.insert({m.fields.org_id, m.fields.intent, m.fields.operator_id});
    if (m.fields.org_id == 3) {
      EXPECT_EQ(m.fields.flags, 0);
      continue;
    }
    EXPECT_EQ(m.fields.key_id, m.fields.org_id == 1 ? 5 : 6);
    EXPECT_TRUE(lcp::Signer(m.fields.org_id == 1 ? kKey1 : kKey2).verify(content_of(frame)));
  }
  EXPECT_EQ(ids.size(), frames.size());
  EXPECT_EQ(combinations.size(), 12u);
}

TEST_P(GenFrames, ABufferIsUsedAgain) {
  Content c = commands();
  c.key = kKey1;
  Maker maker(c, kRun, kOurMac);
  std::vector<uint8_t> buffer(1514);
  Maker::fill_payload(buffer.data(), 1514);
  const uint32_t sizes[] = {1514, least(), 600, 1513};
  uint64_t number = 5;
  for (const uint32_t size : sizes) {
    const Frame frame{buffer.data(), size};
    maker.make({&frame, 1}, ++number, 1);
    const std::vector<uint8_t> copy(buffer.begin(), buffer.begin() + size);
    expect_sound(copy);
    EXPECT_TRUE(lcp::Signer(kKey1).verify(content_of(copy)));
    EXPECT_EQ(recognise(copy, kRun).number, number);
  }
}

TEST_P(GenFrames, FlowsAreDifferentSources) {
  Content c = commands();
  c.flows = 32768 + 2;
  Maker maker(c, kRun, kOurMac);
  const auto frames = make(maker, {least(), least(), least()}, 32767);
  const std::string second = GetParam().ip_version == 4 ? "10.7.0.3" : "fd71::1:0:0";
  EXPECT_EQ(source_of(frames[0]), c.source);
  EXPECT_EQ(rte_be_to_cpu_16(udp_of(frames[0])->src_port), 16384 + 32767);
  EXPECT_EQ(format_address(source_of(frames[1])), second);
  EXPECT_EQ(format_address(source_of(frames[2])), second);
  for (const auto& frame : frames) {
    expect_sound(frame);
    EXPECT_EQ(destination_of(frame), c.target);
  }
  EXPECT_EQ(rte_be_to_cpu_16(udp_of(frames[2])->src_port), 16385);
}

TEST_P(GenFrames, ANodeAnswersACommand) {
  Content c = commands();
  c.key = kKey1;
  Maker maker(c, kRun, kOurMac);
  const auto frame = make(maker, {300}, 41)[0];
  const Recognised command = recognise(frame, kRun);
  EXPECT_EQ(command.kind, Kind::command);
  EXPECT_TRUE(command.ours);
  EXPECT_EQ(command.number, 41u);
  EXPECT_FALSE(recognise(frame, kRun + 1).ours);

  std::vector<uint8_t> answer(kAnswerMax);
  answer.resize(write_answer(frame, command, answer.data()));
  expect_sound(answer);
  EXPECT_EQ(source_of(answer), destination_of(frame));
  EXPECT_EQ(udp_of(answer)->dst_port, udp_of(frame)->src_port);
  lcp::Message asked, answered;
  ASSERT_EQ(lcp::decode(content_of(frame), asked), Verdict::none);
  ASSERT_EQ(lcp::decode(content_of(answer), answered), Verdict::none);
  EXPECT_EQ(answered.fields, lcp::answer_fields(asked.fields, lcp::Type::reply));
  EXPECT_EQ(answered.reply, lcp::Reply{});
  const Recognised reply = recognise(answer, kRun);
  EXPECT_EQ(reply.kind, Kind::reply);
  EXPECT_EQ(reply.number, 41u);
  EXPECT_EQ(reply.status, lcp::Status::ok);
  EXPECT_FALSE(reply.from_data_plane);
}

TEST_P(GenFrames, ARefusalOfTheDataPlaneIsTold) {
  Maker maker(commands(), kRun, kOurMac);
  auto frame = make(maker, {300}, 41)[0];
  lcp::Message m;
  ASSERT_EQ(lcp::decode(content_of(frame), m), Verdict::none);
  ASSERT_NE(lcp::encode_reply(std::span(frame).subspan(layout().content_at()),
                              lcp::answer_fields(m.fields, lcp::Type::reply),
                              {.status = lcp::Status::throttled, .from_data_plane = true}),
            0u);
  const Recognised r = recognise(frame, kRun);
  EXPECT_EQ(r.status, lcp::Status::throttled);
  EXPECT_TRUE(r.from_data_plane);
}

TEST_P(GenFrames, PlainGoesAndComesBack) {
  Content c = commands();
  c.traffic = Traffic::plain;
  c.target_port = 53;
  const uint32_t least = size_min(c) - kCheckSequence;
  Maker maker(c, kRun, kOurMac);
  const auto frames = make(maker, {least, least + 1, 1514}, 7);
  for (uint64_t i = 0; i < frames.size(); ++i) {
    expect_sound(frames[i]);
    const Recognised there = recognise(frames[i], kRun);
    EXPECT_EQ(there.kind, Kind::plain);
    EXPECT_EQ(there.number, 7 + i);
    std::vector<uint8_t> answer(kAnswerMax);
    answer.resize(write_answer(frames[i], there, answer.data()));
    ASSERT_EQ(answer.size(), frames[i].size());
    expect_sound(answer);
    const Recognised back = recognise(answer, kRun);
    EXPECT_EQ(back.kind, Kind::plain_answer);
    EXPECT_EQ(back.number, 7 + i);
  }
  EXPECT_EQ(recognise(frames[0], kRun + 1).kind, Kind::other);
}

TEST_P(GenFrames, ANeighbourIsAnsweredButNotAnAnnouncement) {
  const neighbour::Question question{.target = commands().target,
                                     .source = commands().source,
                                     .ip_version = GetParam().ip_version,
                                     .source_mac = {{2, 0, 0, 0, 0, 1}},
                                     .vlan = GetParam().vlan};
  const auto request = neighbour::request_frame(question);
  EXPECT_EQ(recognise(request, kRun).kind, Kind::neighbour_request);
  std::vector<uint8_t> reply(kAnswerMax);
  reply.resize(write_neighbour_reply(request, kOurMac, reply.data()));
  const auto heard = neighbour::read_answer(reply);
  ASSERT_TRUE(heard.has_value());
  EXPECT_EQ(heard->address, question.target);
  EXPECT_EQ(std::memcmp(&heard->mac, &kOurMac, 6), 0);
  EXPECT_EQ(std::memcmp(reply.data(), &question.source_mac, 6), 0);
  const Network network = network_of(reply);
  EXPECT_EQ(network.tagged, GetParam().vlan != 0);
  if (GetParam().ip_version == 6) {
    EXPECT_EQ(test::check_frame(reply), "");
  }
  EXPECT_EQ(recognise(reply, kRun).kind, Kind::other);

  auto announcement = question;  // ARP names the sender twice, IPv6 leaves it out
  announcement.source = GetParam().ip_version == 4 ? question.target : IpAddress{};
  EXPECT_EQ(write_neighbour_reply(neighbour::request_frame(announcement), kOurMac, reply.data()),
            0u);
}

TEST_P(GenFrames, OptionsAndExtensionHeadersAreNotRead) {
  Maker maker(commands(), kRun, kOurMac);
  auto frame = make(maker, {300}, 1)[0];
  uint8_t* ip = frame.data() + layout().ip_at();
  ip[GetParam().ip_version == 4 ? 0 : 6] = GetParam().ip_version == 4 ? 0x46 : 0;
  EXPECT_EQ(recognise(frame, kRun).kind, Kind::other);
}

// Whatever comes in, nothing is read beyond its end (AddressSanitizer watches) or taken for ours.
RC_GTEST_PROP(GenStrangers, StrangersAreNotOurs, (const std::vector<uint8_t>& bytes)) {
  const std::vector<uint8_t> exact(bytes);
  RC_ASSERT(!recognise(exact, kRun).ours);
}

// Also when it is the beginning of one of ours.
TEST_P(GenFrames, ACutFrameIsReadToItsEndOnly) {
  Maker maker(commands(), kRun, kOurMac);
  const auto frame = make(maker, {least()}, 1)[0];
  for (size_t size = 0; size < layout().content_at() + sizeof(lcp::Header); ++size) {
    const std::vector<uint8_t> cut(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_EQ(recognise(cut, kRun).kind, Kind::other) << size;
  }
}

}  // namespace
}  // namespace lf::gen
