// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/bursts.hpp"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <algorithm>
#include <random>

#include "dataplane/net/checksum.hpp"
#include "tests/support/world.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace lf::fuzz {
namespace {

using test::Bytes;
using test::Packet;

constexpr size_t kItemHeader = 4;  // how, number, length
constexpr size_t kEthernet = 14;

void add_of_id(std::vector<Packet>& all, uint64_t id) {
  const Packet command{.lcp = {.flags = 2, .intent = static_cast<uint8_t>(id % 7), .id = id}};
  Packet signed_one = command;
  signed_one.lcp.key = test::kAcmeKey;
  Packet large = signed_one;
  large.lcp.payload = Bytes(150 + id, 7);  // one in two of odd length
  Packet retry = signed_one;
  retry.lcp.attempt = 1;
  Packet command6 = signed_one;
  command6.src = test::kClient6, command6.dst = test::kOwn6;
  Packet tagged = signed_one, tagged6 = command6;
  tagged.vlan = tagged6.vlan = 5;
  Packet reply{.src_mac = test::kNodeMac, .src = test::kNode4, .src_port = lcp::kDefaultPort};
  reply.lcp = {.type = 2, .id = id, .payload = test::reply_body(lcp::Status::ok)};
  Packet reply6 = reply;
  reply6.src = test::kNode6, reply6.dst = test::kOwn6;
  Packet tagged_reply = reply, tagged_reply6 = reply6;
  tagged_reply.vlan = tagged_reply6.vlan = 5;
  for (const Packet& p : {command, command, signed_one, signed_one, large, retry, command6, tagged,
                          tagged6, reply, reply, reply6, tagged_reply, tagged_reply6})
    all.push_back(p);
}

void add_flows(std::vector<Packet>& all) {
  Packet datagram{.dst = kVip4, .dst_port = 80, .udp_payload = Bytes(21, 3)};
  Packet segment{.dst = kVip4, .protocol = IPPROTO_TCP, .l4 = Bytes(20, 0), .checksum_at = 16};
  for (const uint8_t flags : {2, 16, 1}) {
    const Bytes head{0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags};
    std::ranges::copy(head, segment.l4->begin());
    all.push_back(segment);
  }
  all.push_back(datagram);
  Packet other = datagram;
  other.vlan = 5;
  all.push_back(other);
  other.src = test::kClient6, other.dst = test::kOwn6;
  all.push_back(other);
  datagram.fragment = 0x2000;
  all.push_back(datagram);
}

void add_others(std::vector<Packet>& all) {
  for (const uint8_t type : {3, 4, 5, 6}) {
    Packet p{.src = test::kNode4, .lcp = {.type = type}};
    if (type == 4) p.lcp.payload = test::report_body(1, 2, 3);
    all.push_back(p);
  }
  all.push_back({.vlan = 5});
  all.push_back({.padding = 9});
  all.push_back({.dst_mac = test::kBroadcast,
                 .l3 = test::arp(1, test::kClientMac, test::kClient4, {}, test::kOwn4)});
  all.push_back({.protocol = 1, .l4 = test::icmp(8, 0, 7, Bytes(33, 3)), .checksum_at = 2});
  all.push_back({.src = test::kClient6,
                 .dst = test::kOwn6,
                 .ttl = 255,
                 .protocol = 58,
                 .l4 = test::neighbour_message(135, 0, test::kOwn6),
                 .checksum_at = 2});
}

// Where its lengths allow it.
void set_checksums(Bytes& frame) {
  if (frame.size() < kEthernet + sizeof(rte_ipv4_hdr) + sizeof(rte_udp_hdr)) return;
  const size_t start = frame[12] == 0x81 ? kEthernet + 4 : kEthernet;
  if (frame.size() < start + sizeof(rte_ipv4_hdr) + sizeof(rte_udp_hdr)) return;
  uint8_t* l3 = frame.data() + start;
  const bool v6 = l3[0] >> 4 == 6;
  if (!v6) net::set_ipv4_checksum(*reinterpret_cast<rte_ipv4_hdr*>(l3));
  const size_t header = v6 ? sizeof(rte_ipv6_hdr) : sizeof(rte_ipv4_hdr);
  if (l3[v6 ? 6 : 9] != IPPROTO_UDP || frame.size() < start + header + sizeof(rte_udp_hdr)) return;
  auto& udp = *reinterpret_cast<rte_udp_hdr*>(l3 + header);
  const size_t size = lcp::be16(udp.dgram_len);
  if (size >= sizeof(udp) && size <= frame.size() - start - header)
    net::set_udp_checksum(l3, v6 ? 6 : 4, udp);
}

class Mutator {
 public:
  Mutator(Input& input, unsigned seed) : items_(input.items), setup_(input.setup), random_(seed) {}

  void change() {
    const auto& right = right_frames();
    if (items_.empty() || below(4) == 0) {  // several of a sort, as senders do
      const size_t first = below(right.size()), at = below(items_.size() + 1);
      const size_t stride = below(3) == 0 ? 1 : right.size() / kIds;  // of one id, or of several
      const size_t count = below(2) == 0 ? 1 : 1 + below(20);
      // From one port, too, that mostly says nothing of their checksums.
      const uint8_t how = below(3) == 0 ? kSumsGood : 0;
      const auto number = static_cast<uint8_t>(below(2) == 0 ? 0 : below(6));
      std::vector<Item> fresh(count);
      for (size_t k = 0; k < count; ++k)
        fresh[k] = {how, number, right[(first + k * stride) % right.size()]};
      items_.insert(items_.begin() + static_cast<long>(at), fresh.begin(), fresh.end());
      return;
    }
    const size_t at = below(items_.size());
    Item& item = items_[at];
    switch (below(8)) {
      case 0:
        items_.erase(items_.begin() + static_cast<long>(at));
        return;
      case 1:
        std::swap(item, items_[below(items_.size())]);
        return;
      case 2:
        item.how = static_cast<uint8_t>(item.how ^ 1u << below(6));
        return;
      case 3:
        item.number = static_cast<uint8_t>(below(2) == 0 ? below(6) : below(256));
        return;
      case 4:
        setup_ = static_cast<uint8_t>(setup_ ^ 1u << below(8));
        return;
      default:
        change_bytes(item.frame);
    }
  }

  static constexpr size_t kIds = 8;

 private:
  size_t below(size_t n) { return random_() % n; }

  void change_bytes(Bytes& frame) {
    if (frame.empty() || below(4) == 0) {
      const size_t size = frame.size();
      frame.resize(kFrameMax);
      frame.resize(LLVMFuzzerMutate(frame.data(), size, below(2) == 0 ? size : kFrameMax));
    } else {  // in the headers
      constexpr uint8_t kEdges[] = {0, 1, 2, 3, 0x11, 0x7f, 0x80, 0xff};
      uint8_t& byte = frame[below(std::min<size_t>(frame.size(), kEthernet + 4 + 40 + 8 + 80))];
      byte = below(2) == 0 ? kEdges[below(std::size(kEdges))]
                           : static_cast<uint8_t>(byte ^ 1u << below(8));
    }
    if (below(4) != 0) set_checksums(frame);
  }

  std::vector<Item>& items_;
  uint8_t& setup_;
  std::mt19937 random_;
};

}  // namespace

Input read(const uint8_t* data, size_t size) {
  Input input;
  if (size == 0) return input;
  input.setup = data[0];
  for (size_t at = 1; at + kItemHeader <= size;) {
    const uint8_t* head = data + at;
    at += kItemHeader;
    const size_t length =
        std::min<size_t>({size - at, kFrameMax, static_cast<size_t>(head[2] | head[3] << 8)});
    input.items.push_back({head[0], head[1], Bytes(data + at, data + at + length)});
    at += length;
  }
  return input;
}

size_t write(const Input& input, uint8_t* data, size_t room) {
  if (room == 0) return 0;
  data[0] = input.setup;
  size_t at = 1;
  for (const Item& item : input.items) {
    const size_t length = item.frame.size();
    if (room - at < kItemHeader + length) break;
    for (const size_t byte : {size_t{item.how}, size_t{item.number}, length, length >> 8})
      data[at++] = static_cast<uint8_t>(byte);
    at = static_cast<size_t>(std::ranges::copy(item.frame, data + at).out - data);
  }
  return at;
}

const std::vector<Bytes>& right_frames() {
  static const std::vector<Bytes> frames = [] {
    std::vector<Packet> packets;
    for (uint64_t id = 1; id <= Mutator::kIds; ++id) {
      add_of_id(packets, id);
      add_flows(packets);
      add_others(packets);
    }
    std::vector<Bytes> all;
    for (const Packet& p : packets) all.push_back(test::build(p));
    return all;
  }();
  return frames;
}

size_t mutate(uint8_t* data, size_t size, size_t room, unsigned seed) {
  if (seed % 32 == 0) return LLVMFuzzerMutate(data, size, room);
  Input input = read(data, size);
  Mutator mutator(input, seed);
  for (unsigned k = 0; k <= seed / 32 % 4; ++k) mutator.change();
  return write(input, data, room);
}

}  // namespace lf::fuzz
