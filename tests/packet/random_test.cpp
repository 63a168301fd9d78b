// SPDX-License-Identifier: Apache-2.0
// A million random and mutated packets: none may crash the pipeline, each ends under a named
// verdict or is parked, and the books balance after every burst (the harness checks that). Run
// under AddressSanitizer and UndefinedBehaviorSanitizer by the sanitize suite.
#include <random>

#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

constexpr uint32_t kPackets = 1'000'000;
constexpr uint32_t kBurst = 64;

// One packet of each sort that the pipeline knows.
std::vector<Bytes> seeds() {
  std::vector<Packet> packets(2);
  packets[1].src = kClient6;
  packets[1].dst = kOwn6;
  for (const uint8_t type : {1, 2, 3, 4, 5, 6}) {
    Packet p;
    if (type % 2) p.vlan = 5;
    p.lcp.type = type;
    p.lcp.key = kAcmeKey;
    p.lcp.flags = lcp::kFlagWantsReply;
    p.lcp.payload = type == 4 ? report_body(1) : type == 2 ? reply_body(lcp::Status::ok) : Bytes();
    if (type == 2 || type == 4 || type == 6) p.src = kNode4, p.src_port = lcp::kDefaultPort;
    packets.push_back(p);
  }
  packets.push_back({.dst_mac = kBroadcast, .l3 = arp(1, kClientMac, kClient4, {}, kOwn4)});
  packets.push_back({.protocol = 1, .l4 = icmp(8, 0, 1, Bytes(40)), .checksum_at = 2});
  packets.push_back({.protocol = 1, .l4 = icmp(3, 3, 0, Bytes(48)), .checksum_at = 2});
  for (const uint8_t type : {135, 136})
    packets.push_back({.src = kClient6,
                       .dst = kOwn6,
                       .ttl = 255,
                       .protocol = 58,
                       .l4 = neighbour_message(type, 0, kOwn6, link_layer_option(1, kClientMac)),
                       .checksum_at = 2});
  packets.push_back({.src = kClient6,
                     .dst = kOwn6,
                     .protocol = 58,
                     .l4 = icmp(128, 0, 1, Bytes(9)),
                     .checksum_at = 2});
  std::vector<Bytes> frames;
  for (const Packet& p : packets) frames.push_back(build(p));
  return frames;
}

class Mutator {
 public:
  Bytes next() {
    if (below(16) == 0) return noise();
    Bytes frame = seeds_[below(static_cast<uint32_t>(seeds_.size()))];
    // A fresh command id mostly: else nearly all would be duplicates.
    if (frame.size() > 80 && below(8) != 0) frame[frame.size() - 50] = byte();
    for (uint32_t n = below(4); n > 0; --n) mutate(frame);
    return frame;
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  uint8_t byte() { return static_cast<uint8_t>(random_()); }
  Bytes noise() {
    Bytes frame(below(200));
    for (uint8_t& b : frame) b = byte();
    if (below(2) && frame.size() > 14) {
      std::copy(kPortMac.begin(), kPortMac.end(), frame.begin());
      frame[12] = 0x08;
      frame[13] = below(2) ? 0x00 : 0x06;
    }
    return frame;
  }
  void mutate(Bytes& frame) {
    if (frame.empty()) return;
    // Mostly in the headers: what is wrong further behind only breaks a checksum.
    const uint32_t at =
        below(below(2) ? static_cast<uint32_t>(frame.size())
                       : std::min<uint32_t>(40, static_cast<uint32_t>(frame.size())));
    switch (below(6)) {
      case 0:
        frame[at] = byte();
        break;
      case 1:
        frame[at] ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 2:
        frame[at] = below(2) ? 0xff : 0;
        break;
      case 3:
        frame.resize(at);
        break;
      case 4:
        frame.resize(frame.size() + below(64), byte());
        break;
      default:
        fix_checksums(frame);
    }
  }
  // So that a mutation is not always caught by a checksum.
  void fix_checksums(Bytes& f) {
    const size_t l3 = f.size() > 18 && f[12] == 0x81 ? 18 : 14;
    if (f.size() < l3 + 20 || f[l3 - 2] != 8 || f[l3 - 1] != 0) return;
    f[l3 + 10] = f[l3 + 11] = 0;
    const auto ip = f.begin() + static_cast<long>(l3);
    const uint16_t sum = static_cast<uint16_t>(~naive_sum(Bytes(ip, ip + 20)));
    f[l3 + 10] = static_cast<uint8_t>(sum >> 8);
    f[l3 + 11] = static_cast<uint8_t>(sum);
    if (f[l3 + 9] == 17 && f.size() >= l3 + 28) f[l3 + 26] = f[l3 + 27] = 0;  // no UDP checksum
  }

  const std::vector<Bytes> seeds_ = seeds();
  std::mt19937_64 random_{20260101};
};

TEST(Random, AMillionPackets) {
  Rig rig(
      [](config::Config& c) {
        c.organisations[0].quota.per_minute = 20'000;
        c.targets.push_back({.id = 1, .risk = 90});
      },
      {.kernel = true, .node_mtu = 160});
  Mutator mutator;
  uint64_t sent = 0;
  for (uint32_t n = 0; n < kPackets && !HasFailure(); n += kBurst) {
    std::vector<Bytes> burst;
    for (uint32_t i = 0; i < kBurst; ++i) burst.push_back(mutator.next());
    sent += rig.run_frames(burst).sent.size();
    if (n % (64 * kBurst) == 0) sent += rig.advance_ms(50).sent.size();
  }
  EXPECT_GT(sent, kPackets / 20) << "hardly anything got through: the mutations are too coarse";
  for (const Verdict v :
       {Verdict::forwarded, Verdict::answered_arp, Verdict::answered_nd, Verdict::answered_echo,
        Verdict::probe_answered, Verdict::to_kernel, Verdict::report_taken, Verdict::approval_taken,
        Verdict::probe_reply_taken, Verdict::auth_bad_tag, Verdict::duplicate_in_flight,
        Verdict::lcp_length, Verdict::ip_fragment})
    EXPECT_GT(rig.count(v), 0u) << info(v).name;
}

}  // namespace
}  // namespace lf::test
