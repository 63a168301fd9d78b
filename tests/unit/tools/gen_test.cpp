// SPDX-License-Identifier: Apache-2.0
// lf-gen's parts without ports: the pace, the books of what is on its way, and its frames, judged
// by the codec, the reference tag and DPDK's checksums.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <rte_arp.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstring>
#include <set>
#include <vector>

#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/tag.hpp"
#include "tools/lf_gen/flights.hpp"
#include "tools/lf_gen/frames.hpp"
#include "tools/lf_gen/pace.hpp"

namespace lf::gen {
namespace {

constexpr uint64_t kRun = 0x1122334455667788;
const rte_ether_addr kOurMac{{2, 0, 0, 0, 0, 9}};
const lcp::KeyBytes kKey1{1, 2, 3}, kKey2{4, 5, 6};

Content commands() {
  Content c;
  c.source_ip = RTE_IPV4(10, 7, 0, 2);
  c.target_ip = RTE_IPV4(10, 7, 0, 1);
  c.target_mac = {{2, 0, 0, 0, 0, 1}};
  return c;
}

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

const rte_ipv4_hdr* ip_of(const std::vector<uint8_t>& frame) {
  return reinterpret_cast<const rte_ipv4_hdr*>(frame.data() + 14);
}
const rte_udp_hdr* udp_of(const std::vector<uint8_t>& frame) {
  return reinterpret_cast<const rte_udp_hdr*>(frame.data() + 34);
}
lcp::Bytes content_of(const std::vector<uint8_t>& frame) {
  return lcp::Bytes(frame).subspan(kContentAt);
}

void expect_sound(const std::vector<uint8_t>& frame) {
  const rte_ipv4_hdr* ip = ip_of(frame);
  EXPECT_EQ(rte_be_to_cpu_16(ip->total_length), frame.size() - 14);
  EXPECT_EQ(rte_be_to_cpu_16(udp_of(frame)->dgram_len), frame.size() - 34);
  EXPECT_EQ(static_cast<uint16_t>(~rte_raw_cksum(ip, sizeof(*ip))), 0) << "IPv4 checksum";
  EXPECT_NE(udp_of(frame)->dgram_cksum, 0) << "no UDP checksum";
  const uint32_t sum =
      __rte_raw_cksum(udp_of(frame), frame.size() - 34, rte_ipv4_phdr_cksum(ip, 0));
  EXPECT_EQ(__rte_raw_cksum_reduce(sum), 0xffff) << "UDP checksum";
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

TEST(GenFrames, CommandsAreWhatTheCodecAndTheReferenceTagAccept) {
  Content c = commands();
  c.orgs = {1, 2, 3};
  c.intents = {1, 4};
  c.operators = {7, 8};
  c.keys = {{.org = 1, .id = 5, .bytes = kKey1}, {.org = 2, .id = 6, .bytes = kKey2}};
  Maker maker(c, kRun, kOurMac);
  std::vector<uint32_t> sizes;
  for (uint32_t i = 0; i < kFramesMax; ++i) sizes.push_back(122 + i * 21);  // odd ones, too
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

TEST(GenFrames, ABufferIsUsedAgain) {
  Content c = commands();
  c.key = kKey1;
  Maker maker(c, kRun, kOurMac);
  std::vector<uint8_t> buffer(1514);
  Maker::fill_payload(buffer.data(), 1514);
  const uint32_t sizes[] = {1514, 122, 600, 1513};
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

TEST(GenFrames, FlowsAreDifferentSources) {
  Content c = commands();
  c.flows = 32768 + 2;
  Maker maker(c, kRun, kOurMac);
  const auto frames = make(maker, {122, 122, 122}, 32767);
  EXPECT_EQ(rte_be_to_cpu_32(ip_of(frames[0])->src_addr), c.source_ip);
  EXPECT_EQ(rte_be_to_cpu_16(udp_of(frames[0])->src_port), 16384 + 32767);
  EXPECT_EQ(rte_be_to_cpu_32(ip_of(frames[1])->src_addr), c.source_ip + 1);
  EXPECT_EQ(rte_be_to_cpu_32(ip_of(frames[2])->src_addr), c.source_ip + 1);
  EXPECT_EQ(rte_be_to_cpu_16(udp_of(frames[2])->src_port), 16385);
}

TEST(GenFrames, ANodeAnswersACommand) {
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
  answer.resize(write_answer(frame, command.kind, answer.data()));
  expect_sound(answer);
  EXPECT_EQ(ip_of(answer)->src_addr, ip_of(frame)->dst_addr);
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

TEST(GenFrames, ARefusalOfTheDataPlaneIsTold) {
  Maker maker(commands(), kRun, kOurMac);
  auto frame = make(maker, {300}, 41)[0];
  lcp::Message m;
  ASSERT_EQ(lcp::decode(content_of(frame), m), Verdict::none);
  ASSERT_NE(lcp::encode_reply(std::span(frame).subspan(kContentAt),
                              lcp::answer_fields(m.fields, lcp::Type::reply),
                              {.status = lcp::Status::throttled, .from_data_plane = true}),
            0u);
  const Recognised r = recognise(frame, kRun);
  EXPECT_EQ(r.status, lcp::Status::throttled);
  EXPECT_TRUE(r.from_data_plane);
}

TEST(GenFrames, PlainGoesAndComesBack) {
  Content c = commands();
  c.traffic = Traffic::plain;
  c.target_port = 53;
  Maker maker(c, kRun, kOurMac);
  const auto frames = make(maker, {60, 61, 1514}, 7);
  for (uint64_t i = 0; i < frames.size(); ++i) {
    expect_sound(frames[i]);
    const Recognised there = recognise(frames[i], kRun);
    EXPECT_EQ(there.kind, Kind::plain);
    EXPECT_EQ(there.number, 7 + i);
    std::vector<uint8_t> answer(kAnswerMax);
    answer.resize(write_answer(frames[i], there.kind, answer.data()));
    ASSERT_EQ(answer.size(), frames[i].size());
    expect_sound(answer);
    const Recognised back = recognise(answer, kRun);
    EXPECT_EQ(back.kind, Kind::plain_answer);
    EXPECT_EQ(back.number, 7 + i);
  }
  EXPECT_EQ(recognise(frames[0], kRun + 1).kind, Kind::other);
}

TEST(GenFrames, ArpIsAnsweredButNotAnAnnouncement) {
  std::vector<uint8_t> request(60);
  auto* eth = reinterpret_cast<rte_ether_hdr*>(request.data());
  auto* arp = reinterpret_cast<rte_arp_hdr*>(eth + 1);
  eth->src_addr = {{2, 0, 0, 0, 0, 1}};
  eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
  arp->arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST);
  arp->arp_data.arp_sha = eth->src_addr;
  arp->arp_data.arp_sip = 1;
  arp->arp_data.arp_tip = 2;
  EXPECT_EQ(recognise(request, kRun).kind, Kind::arp_request);
  uint8_t out[kAnswerMax];
  ASSERT_EQ(write_arp_reply(request, kOurMac, out), 42u);
  const auto* reply = reinterpret_cast<const rte_arp_hdr*>(out + 14);
  EXPECT_EQ(reply->arp_opcode, RTE_BE16(RTE_ARP_OP_REPLY));
  EXPECT_EQ(reply->arp_data.arp_sip, 2u);
  EXPECT_EQ(reply->arp_data.arp_tip, 1u);
  EXPECT_EQ(std::memcmp(&reply->arp_data.arp_sha, &kOurMac, 6), 0);
  EXPECT_EQ(std::memcmp(out, &eth->src_addr, 6), 0);
  arp->arp_data.arp_tip = 1;
  EXPECT_EQ(write_arp_reply(request, kOurMac, out), 0u);
}

// Whatever comes in, nothing is read beyond its end (AddressSanitizer watches) or taken for ours.
RC_GTEST_PROP(GenFrames, StrangersAreNotOurs, (const std::vector<uint8_t>& bytes)) {
  const std::vector<uint8_t> exact(bytes);
  RC_ASSERT(!recognise(exact, kRun).ours);
}

}  // namespace
}  // namespace lf::gen
