// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forward/image.hpp"

#include <cstring>

#include "dataplane/forward/table.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"

namespace lf::forward {
namespace {

constexpr uint32_t words_of(uint32_t two) noexcept {
  return (two & 0xffff) + (two >> 16);
}

// Gives a half of the vector the total `sum`, in its last number.
void set_total(uint8_t* half, uint32_t sum) noexcept {
  uint32_t numbers[4];
  std::memcpy(numbers, half, sizeof numbers);
  numbers[3] = sum - numbers[0] - numbers[1] - numbers[2];
  std::memcpy(half, numbers, sizeof numbers);
}

}  // namespace

Image image_of(const Node& node) noexcept {
  Image image;
  image.common = {.mtu = node.mtu,
                  .vlan_tci = node.vlan_tci,
                  .mode = static_cast<uint8_t>(node.mode),
                  .out_port = node.out_port};
  constexpr uint16_t kType = lcp::be16(RTE_ETHER_TYPE_IPV4);
  const struct {
    uint32_t source, destination;
    uint16_t source_port, port;
  } ends{net::to_ipv4(node.source), net::to_ipv4(node.address), node.source_port, node.port};
  constexpr size_t kEnds = net::kUsualIp + offsetof(rte_ipv4_hdr, src_addr);
  static_assert(kEnds + sizeof ends == net::kUsualUdp + offsetof(rte_udp_hdr, dgram_len));
  std::memcpy(image.bytes, &node.mac, RTE_ETHER_ADDR_LEN);
  std::memcpy(image.bytes + RTE_ETHER_ADDR_LEN, &node.source_mac, RTE_ETHER_ADDR_LEN);
  std::memcpy(image.bytes + 2 * RTE_ETHER_ADDR_LEN, &kType, sizeof kType);
  std::memcpy(image.bytes + kEnds, &ends, sizeof ends);

  // What a datagram has less than before, the checksum has more (RFC 1624). IPv4's: five words of
  // the frame are subtracted (rewrite.cpp), the checksum and both addresses, and the TTL becomes
  // one less. UDP's: seven are added, both addresses, both ports and the checksum. A multiple of
  // 0xffff changes no checksum.
  constexpr uint32_t kBias = 0x8000, kNothing = 0xffff;
  const uint32_t addresses = words_of(ends.source) + words_of(ends.destination);
  set_total(image.bytes + Image::kVector, 6 * kNothing - 5 * kBias + addresses - 1);
  set_total(image.bytes + Image::kVector + 16,
            7 * kNothing + 7 * kBias - addresses - ends.source_port - ends.port);
  return image;
}

void make_images(Table& table) {
  table.images.clear();
  for (const Node& node : table.nodes) table.images.push_back(image_of(node));
}

}  // namespace lf::forward
