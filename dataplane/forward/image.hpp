// SPDX-License-Identifier: Apache-2.0
// What a usual command (net/offsets.hpp) to a node in proxy mode looks like when it is sent, as far
// as rewrite can store it as it is; and what the checksums need to know of the node, where a frame
// keeps what it has. Built with the forwarding table, one cache line for each node; read by choose
// and rewrite on workers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/net/offsets.hpp"

namespace lf::forward {

struct Node;
struct Table;

struct alignas(kCacheLine) Image {
  // The headers up to LCP, of a tagged frame without its first kTagSize bytes.
  //
  // Of IPv4 rewrite reads them as a vector of 32 bytes that ends where LCP begins. Its halves are
  // IPv4's header up to its checksum, and what is behind that. Words of the datagram count negative
  // for IPv4's checksum, so that it comes out as its complement, and as they are for UDP's; all as
  // signed words, each 0x8000 less than it is. Added to them, the eight numbers of 32 bits of the
  // vector give sums that are greater than 0.
  //
  // Of IPv6, whose addresses are in the node, there are the link header and at kPorts, instead of
  // IP's, UDP's ports and a number that together do the same for the one checksum.
  static constexpr size_t kVector = net::Usual<4>::kLcp - 32;
  static_assert(kVector + 16 == net::Usual<4>::kIp + 12);
  static constexpr size_t kPorts = 16;
  uint8_t bytes[net::Usual<4>::kLcp] = {};
  uint8_t pad[2] = {};
  uint8_t mac_start[net::kTagSize] = {};  // what is not in them of a tagged frame

  // By OR and AND of this word choose knows what the nodes of a burst have in common.
  struct Common {
    uint16_t mtu = 1500;
    uint8_t mode = 0;  // Mode
    uint8_t out_port = 0;
    uint8_t ip_version = 4;
    uint8_t tagged = 0;
    uint16_t pad = 0;
  } common;
};
static_assert(sizeof(Image) == kCacheLine && offsetof(Image, common) % 8 == 0 &&
              sizeof(Image::Common) == 8);

Image image_of(const Node& node) noexcept;

// Of all nodes, which have everything else already.
void make_images(Table& table);

}  // namespace lf::forward
