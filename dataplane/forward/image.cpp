// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forward/image.hpp"

#include <cstring>

#include "dataplane/forward/table.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/link.hpp"

namespace lf::forward {
namespace {

// What a datagram has less than before, the checksum has more (RFC 1624). A multiple of 0xffff
// changes no checksum.
constexpr uint32_t kBias = 0x8000, kNothing = 0xffff;

constexpr uint32_t words_of(uint32_t two) noexcept {
  return (two & 0xffff) + (two >> 16);
}
uint32_t words_of(const IpAddress& a) noexcept {
  return words_of(static_cast<uint32_t>(a.hi)) + words_of(static_cast<uint32_t>(a.hi >> 32)) +
         words_of(static_cast<uint32_t>(a.lo)) + words_of(static_cast<uint32_t>(a.lo >> 32));
}

// Gives `count` numbers the total `sum`, by the last of them.
void set_total(uint8_t* at, uint32_t count, uint32_t sum) noexcept {
  for (uint32_t k = 0; k + 1 < count; ++k) {
    uint32_t number;
    std::memcpy(&number, at + k * sizeof number, sizeof number);
    sum -= number;
  }
  std::memcpy(at + (count - 1) * sizeof sum, &sum, sizeof sum);
}

struct Ports {
  uint16_t source, destination;
};

void set_link(Image& image, const Node& node) noexcept {
  uint8_t link[net::kEtherSize + net::kTagSize];
  const uint8_t* behind =
      net::write_link(link, node.mac, node.source_mac, node.vlan_tci, node.ip_version);
  std::memcpy(image.mac_start, link, sizeof image.mac_start);
  std::memcpy(image.bytes, behind - net::kEtherSize, net::kEtherSize);
}

// IPv4's: five words of the frame are subtracted (rewrite/usual.cpp), the checksum and both
// addresses, and the TTL becomes one less. UDP's: seven are added, both addresses, both ports and
// the checksum.
void set_ipv4(Image& image, const Node& node, Ports ports) noexcept {
  const struct {
    uint32_t source, destination;
    Ports ports;
  } ends{net::to_ipv4(node.source), net::to_ipv4(node.address), ports};
  constexpr size_t kEnds = net::Usual<4>::kIp + offsetof(rte_ipv4_hdr, src_addr);
  static_assert(kEnds + sizeof ends == net::Usual<4>::kUdp + offsetof(rte_udp_hdr, dgram_len));
  std::memcpy(image.bytes + kEnds, &ends, sizeof ends);
  const uint32_t addresses = words_of(ends.source) + words_of(ends.destination);
  set_total(image.bytes + Image::kVector, 4, 6 * kNothing - 5 * kBias + addresses - 1);
  set_total(image.bytes + Image::kVector + 16, 4,
            7 * kNothing + 7 * kBias - addresses - ports.source - ports.destination);
}

// Nineteen are added, sixteen of them of the addresses.
void set_ipv6(Image& image, const Node& node, Ports ports) noexcept {
  const uint32_t addresses = words_of(node.source) + words_of(node.address);
  std::memcpy(image.bytes + Image::kPorts, &ports, sizeof ports);
  set_total(image.bytes + Image::kPorts, 2,
            19 * kNothing + 19 * kBias - addresses - ports.source - ports.destination);
}

}  // namespace

Image image_of(const Node& node) noexcept {
  Image image;
  image.common = {.mtu = node.mtu,
                  .mode = static_cast<uint8_t>(node.mode),
                  .out_port = node.out_port,
                  .ip_version = node.ip_version,
                  .tagged = node.vlan_tci != 0};
  set_link(image, node);
  const Ports ports{node.source_port, node.port};
  if (node.ip_version == 4)
    set_ipv4(image, node, ports);
  else
    set_ipv6(image, node, ports);
  return image;
}

void make_images(Table& table) {
  table.images.clear();
  for (const Node& node : table.nodes) table.images.push_back(image_of(node));
}

}  // namespace lf::forward
