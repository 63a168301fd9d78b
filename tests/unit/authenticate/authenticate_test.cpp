// SPDX-License-Identifier: Apache-2.0
// Whole bursts through the stage, signed and checked with libcrypto.
#include "dataplane/authenticate/authenticate.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/authenticate/table_builder.hpp"
#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/tag.hpp"

namespace lf::authenticate {
namespace {

constexpr uint32_t kNobody = 0, kAcme = 1, kGlobex = 2, kKeyless = 3, kStranger = 99;
constexpr ServiceIndex kRequired = 0, kOptional = 1, kOff = 2;

lcp::KeyBytes key_of(uint32_t org, uint16_t id) {
  lcp::KeyBytes k;
  for (uint32_t i = 0; i < k.size(); ++i) k[i] = static_cast<uint8_t>(org * 31 + id * 7 + i);
  return k;
}

// Without a service that asks for no tags the stage has another way.
enum class Services { all, none_off };

// Of many the stage has packed keys.
enum class Keys { few, many };

std::shared_ptr<const Table> make_table(Services services = Services::all, Keys keys = Keys::few) {
  config::Config c;
  c.organisations = {
      {.name = "acme", .id = kAcme, .keys = {{1, key_of(kAcme, 1)}}},
      {.name = "globex", .id = kGlobex, .keys = {{8, key_of(kGlobex, 8)}, {7, key_of(kGlobex, 7)}}},
      {.name = "keyless", .id = kKeyless}};
  c.services = {{.name = "s1", .authentication = config::Authentication::required},
                {.name = "s2", .authentication = config::Authentication::optional},
                {.name = "s3", .authentication = config::Authentication::off}};
  if (services == Services::none_off) c.services.pop_back();
  if (keys == Keys::many)
    for (uint32_t id = 1000; id < 1000 + kExpandedKeysMax; ++id)
      c.organisations.push_back({.name = "other", .id = id, .keys = {{1, key_of(id, 1)}}});
  return *build_table(c);
}

// Made once, as that takes a while.
const Table& table_of(Services services, Keys keys) {
  static std::map<std::pair<Services, Keys>, std::shared_ptr<const Table>> tables;
  auto& table = tables[{services, keys}];
  if (!table) table = make_table(services, keys);
  return *table;
}

struct Packet {
  Kind kind = Kind::command;
  ServiceIndex service = kRequired;
  uint32_t org = kAcme;
  uint16_t key_id = 1;
  bool tagged = true;
  bool bad = false;  // one bit of the message is not what was signed
  uint32_t payload = 0;
  Origin origin = Origin::wire;
};

lcp::Type type_of(Kind kind) {
  switch (kind) {
    case Kind::reply:
      return lcp::Type::reply;
    case Kind::approval:
      return lcp::Type::approval;
    case Kind::report:
      return lcp::Type::report;
    case Kind::probe:
      return lcp::Type::probe;
    case Kind::probe_reply:
      return lcp::Type::probe_reply;
    default:
      return lcp::Type::command;
  }
}

// A burst with the bytes that its metadata points to.
struct TestBurst {
  Burst burst{};
  Selection live;
  std::vector<std::vector<uint8_t>> bytes;

  void add(const Packet& p) {
    std::vector<uint8_t> d(sizeof(lcp::Header) + p.payload);
    std::vector<uint8_t> payload(p.payload);
    for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<uint8_t>(i * 11 + 5);
    lcp::Fields fields{.type = type_of(p.kind), .org_id = p.org, .key_id = p.key_id};
    fields.command_id[0] = static_cast<uint8_t>(bytes.size());
    lcp::encode(d, fields, payload);
    if (p.tagged) lcp::Signer(key_of(p.org, p.key_id)).sign(d);
    if (p.bad) d[bytes.size() % 2 || p.payload == 0 ? 20 : d.size() - 1] ^= 1;
    bytes.push_back(std::move(d));
    const uint32_t i = burst.count++;
    auto* h = reinterpret_cast<lcp::Header*>(bytes.back().data());
    Meta& m = burst.meta[i] = Meta{};
    m.lcp = h;
    m.org_id = p.org;
    m.key_id = p.key_id;
    m.payload_length = static_cast<uint16_t>(p.payload);
    m.flags = h->flags;
    m.kind = p.kind;
    m.service = p.service;
    m.origin = p.origin;
    live.add(i);
  }
};

struct Outcome {
  Verdict verdict;
  bool authenticated;
  OrgIndex org;
};

// The rules, said plainly.
Outcome model(const Packet& p, Services services = Services::all) {
  const bool off = services == Services::all && p.service == kOff;
  const bool is_command = p.kind == Kind::command;
  const bool is_answer =
      p.kind == Kind::reply || p.kind == Kind::probe || p.kind == Kind::probe_reply;
  const Outcome pass_silent{Verdict::none, false, kNoOrg};
  if (p.kind == Kind::exception || p.kind == Kind::undecided) return pass_silent;
  const Origin origin = is_command ? p.origin : Origin::wire;
  if (origin == Origin::wire) {
    const bool must = p.kind == Kind::approval || p.kind == Kind::report ||
                      (is_command && p.service != kOptional && !off);
    if (is_answer && !p.tagged) return pass_silent;
    if (must && !p.tagged) return {Verdict::auth_missing, false, kNoOrg};
  }
  OrgIndex org = kNoOrg;
  if (p.org == kAcme) org = 0;
  if (p.org == kGlobex) org = 1;
  if (p.org == kKeyless) org = 2;
  if (org == kNoOrg) return {Verdict::auth_unknown_org, false, kNoOrg};
  if (origin == Origin::intake) return {Verdict::none, true, org};
  if (origin == Origin::released) return {Verdict::none, p.tagged && !off, org};
  if (is_command && off) return {Verdict::none, false, org};
  if (!p.tagged) return {Verdict::none, false, org};
  const bool live_key =
      (p.org == kAcme && p.key_id == 1) || (p.org == kGlobex && (p.key_id == 7 || p.key_id == 8));
  if (!live_key) return {Verdict::auth_unknown_key, false, kNoOrg};
  if (p.bad) return {Verdict::auth_bad_tag, false, kNoOrg};
  return {Verdict::none, true, org};
}

void expect_like_model(const std::vector<Packet>& packets, Services services, Keys keys) {
  static const auto state = std::make_unique<State>();
  const auto b = std::make_unique<TestBurst>();
  for (const Packet& p : packets) b->add(p);
  run(table_of(services, keys), *state, b->burst, b->live, 0);
  std::vector<uint8_t> expected_live;
  for (uint32_t i = 0; i < packets.size(); ++i) {
    const Outcome right = model(packets[i], services);
    const Meta& m = b->burst.meta[i];
    ASSERT_EQ(info(m.verdict).name, info(right.verdict).name) << "packet " << i;
    ASSERT_EQ(m.authenticated, right.authenticated) << "packet " << i;
    ASSERT_EQ(m.org, right.org) << "packet " << i;
    if (right.verdict == Verdict::none) expected_live.push_back(static_cast<uint8_t>(i));
  }
  ASSERT_EQ(std::vector<uint8_t>(b->live.begin(), b->live.end()), expected_live);
}

TEST(Authenticate, EachVerdict) {
  const struct {
    std::string what;
    Packet packet;
    Verdict verdict;
    bool authenticated;
  } rows[] = {
      {"right tag", {}, Verdict::none, true},
      {"right tag, payload", {.payload = 333}, Verdict::none, true},
      {"no tag where required", {.tagged = false}, Verdict::auth_missing, false},
      {"unknown service requires a tag",
       {.service = kNoService, .tagged = false},
       Verdict::auth_missing,
       false},
      {"unknown organisation", {.org = kStranger}, Verdict::auth_unknown_org, false},
      {"unknown key", {.key_id = 2}, Verdict::auth_unknown_key, false},
      {"organisation without a key", {.org = kKeyless}, Verdict::auth_unknown_key, false},
      {"wrong tag", {.bad = true}, Verdict::auth_bad_tag, false},
      {"wrong payload", {.bad = true, .payload = 17}, Verdict::auth_bad_tag, false},
      {"older key of two", {.org = kGlobex, .key_id = 7}, Verdict::none, true},
      {"newer key of two", {.org = kGlobex, .key_id = 8}, Verdict::none, true},
      {"optional, no tag", {.service = kOptional, .tagged = false}, Verdict::none, false},
      {"optional, right tag", {.service = kOptional}, Verdict::none, true},
      {"optional, wrong tag", {.service = kOptional, .bad = true}, Verdict::auth_bad_tag, false},
      {"optional, no tag, unknown organisation",
       {.service = kOptional, .org = kStranger, .tagged = false},
       Verdict::auth_unknown_org,
       false},
      {"off, no tag", {.service = kOff, .tagged = false}, Verdict::none, false},
      {"off, wrong tag", {.service = kOff, .bad = true}, Verdict::none, false},
      {"off, nobody's id", {.service = kOff, .org = kNobody}, Verdict::auth_unknown_org, false},
      {"off, unknown organisation",
       {.service = kOff, .org = kStranger},
       Verdict::auth_unknown_org,
       false},
      {"approval without a tag, whatever the service",
       {.kind = Kind::approval, .service = kOff, .tagged = false},
       Verdict::auth_missing,
       false},
      {"approval", {.kind = Kind::approval, .service = kOff}, Verdict::none, true},
      {"report without a tag",
       {.kind = Kind::report, .tagged = false, .payload = 24},
       Verdict::auth_missing,
       false},
      {"report", {.kind = Kind::report, .payload = 24}, Verdict::none, true},
      {"report with a wrong tag",
       {.kind = Kind::report, .bad = true, .payload = 24},
       Verdict::auth_bad_tag,
       false},
      {"reply without a tag",
       {.kind = Kind::reply, .tagged = false, .payload = 16},
       Verdict::none,
       false},
      {"reply", {.kind = Kind::reply, .payload = 16}, Verdict::none, true},
      {"reply with a wrong tag",
       {.kind = Kind::reply, .bad = true, .payload = 16},
       Verdict::auth_bad_tag,
       false},
      {"probe without a tag", {.kind = Kind::probe, .tagged = false}, Verdict::none, false},
      {"submitted by control", {.tagged = false, .origin = Origin::intake}, Verdict::none, true},
      {"released from hold", {.bad = true, .origin = Origin::released}, Verdict::none, true},
  };
  const auto table = make_table();
  const auto state = std::make_unique<State>();
  for (const auto& row : rows) {
    const auto b = std::make_unique<TestBurst>();
    b->add(row.packet);
    run(*table, *state, b->burst, b->live, 0);
    EXPECT_EQ(info(b->burst.meta[0].verdict).name, info(row.verdict).name) << row.what;
    EXPECT_EQ(b->burst.meta[0].authenticated, row.authenticated) << row.what;
    const Outcome right = model(row.packet);
    EXPECT_EQ(right.verdict, row.verdict) << row.what;
  }
}

TEST(Authenticate, LeavesAloneWhatIsNotSelected) {
  const auto table = make_table();
  const auto state = std::make_unique<State>();
  const auto b = std::make_unique<TestBurst>();
  for (int i = 0; i < 4; ++i) b->add({.bad = true});
  b->live.count = 0;
  b->live.add(2);
  run(*table, *state, b->burst, b->live, 0);
  EXPECT_EQ(b->live.count, 0);
  for (const uint32_t i : {0u, 1u, 3u}) EXPECT_EQ(b->burst.meta[i].verdict, Verdict::none);
  EXPECT_EQ(b->burst.meta[2].verdict, Verdict::auth_bad_tag);
}

Packet any_packet() {
  return {.kind = *rc::gen::weightedElement<Kind>({{8, Kind::command},
                                                   {2, Kind::reply},
                                                   {1, Kind::approval},
                                                   {1, Kind::report},
                                                   {1, Kind::probe},
                                                   {1, Kind::probe_reply},
                                                   {1, Kind::exception}}),
          .service = *rc::gen::weightedElement<ServiceIndex>(
              {{4, kRequired}, {2, kOptional}, {1, kOff}, {1, kNoService}}),
          .org = *rc::gen::weightedElement<uint32_t>(
              {{5, kAcme}, {5, kGlobex}, {1, kKeyless}, {1, kStranger}, {1, kNobody}}),
          .key_id = *rc::gen::weightedElement<uint16_t>({{5, 1}, {5, 7}, {5, 8}, {1, 0}}),
          .tagged = *rc::gen::weightedElement<bool>({{4, true}, {1, false}}),
          .bad = *rc::gen::weightedElement<bool>({{1, true}, {4, false}}),
          .payload = *rc::gen::element(0u, 0u, 16u, 24u, 100u, 1400u),
          .origin = *rc::gen::weightedElement<Origin>(
              {{10, Origin::wire}, {1, Origin::intake}, {1, Origin::released}})};
}

RC_GTEST_PROP(Authenticate, LikeTheModel, ()) {
  std::vector<Packet> packets(*rc::gen::inRange<size_t>(0, kBurstMax + 1));
  for (Packet& p : packets) p = any_packet();
  for (const Services s : {Services::all, Services::none_off})
    for (const Keys keys : {Keys::few, Keys::many}) expect_like_model(packets, s, keys);
}

// Usual ones are looked up together; one of any other kind among them changes nothing for the rest.
RC_GTEST_PROP(Authenticate, UsualOnesAroundAnyOther, ()) {
  std::vector<Packet> packets(*rc::gen::inRange<size_t>(8, kBurstMax + 1));
  const auto payload = *rc::gen::element(0u, 24u);
  for (size_t i = 0; i < packets.size(); ++i) {
    packets[i].payload = payload;
    if (i % 3 == 1) packets[i].org = kGlobex, packets[i].key_id = 8;
  }
  if (*rc::gen::arbitrary<bool>())
    packets[*rc::gen::inRange<size_t>(0, packets.size())] = any_packet();
  expect_like_model(packets, Services::none_off, Keys::few);
}

// Answers go out under the key that the request used, whatever is current.
void expect_signed_under_the_requests_key(const Table& table) {
  const auto state = std::make_unique<State>();
  std::vector<std::vector<uint8_t>> datagrams;
  std::vector<lcp::Header*> headers;
  std::vector<std::pair<uint32_t, uint16_t>> signers;  // who must have signed
  for (uint32_t i = 0; i < kBurstMax; ++i) {
    const uint32_t org = i % 3 == 0 ? kAcme : kGlobex;
    const uint16_t asked = static_cast<uint16_t>(i % 3 == 0 ? 1 : i % 3 == 1 ? 7 : 5);
    std::vector<uint8_t> d(96 + i % 5);
    lcp::encode_reply(d, {.flags = 0, .org_id = org, .key_id = asked}, {},
                      std::vector<uint8_t>(i % 5));
    datagrams.push_back(std::move(d));
    signers.emplace_back(org, asked == 5 ? 8 : asked);  // 5 is not live: the first one, 8
  }
  for (auto& d : datagrams) headers.push_back(reinterpret_cast<lcp::Header*>(d.data()));
  EXPECT_EQ(sign(table, *state, headers.data(), kBurstMax), kBurstMax);
  for (uint32_t i = 0; i < kBurstMax; ++i) {
    lcp::Message m;
    ASSERT_EQ(lcp::decode(datagrams[i], m), Verdict::none);
    EXPECT_EQ(m.fields.key_id, signers[i].second);
    EXPECT_TRUE(lcp::Signer(key_of(signers[i].first, signers[i].second)).verify(datagrams[i])) << i;
  }
}

TEST(Sign, UsesTheRequestsKey) {
  for (const Keys keys : {Keys::few, Keys::many})
    expect_signed_under_the_requests_key(table_of(Services::all, keys));
}

TEST(Sign, WithoutAKeyTheAnswerIsUntagged) {
  const auto table = make_table();
  const auto state = std::make_unique<State>();
  std::vector<uint8_t> keyless(96), stranger(96);
  lcp::encode_reply(keyless, {.flags = lcp::kFlagTagged, .org_id = kKeyless}, {});
  lcp::encode_reply(stranger, {.org_id = kStranger}, {});
  keyless[64] = stranger[70] = 1;
  lcp::Header* headers[] = {reinterpret_cast<lcp::Header*>(keyless.data()),
                            reinterpret_cast<lcp::Header*>(stranger.data())};
  EXPECT_EQ(sign(*table, *state, headers, 2), 0u);
  lcp::Message m;
  EXPECT_EQ(lcp::decode(keyless, m), Verdict::none);
  EXPECT_EQ(lcp::decode(stranger, m), Verdict::none);
}

}  // namespace
}  // namespace lf::authenticate
