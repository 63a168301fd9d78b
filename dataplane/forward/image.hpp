// SPDX-License-Identifier: Apache-2.0
// What a usual command (net/offsets.hpp) to an untagged node in proxy mode looks like when it is
// sent: its first 42 bytes, up to LCP, as they lie in the frame, so that rewrite has them there in
// two stores. Where a frame keeps what it has, an image holds what both checksums need to know of
// the node. Built with the forwarding table, one cache line for each node; read by choose and
// rewrite on workers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/net/offsets.hpp"

namespace lf::forward {

struct Node;
struct Table;

struct alignas(kCacheLine) Image {
  // rewrite reads the headers as a vector of 32 bytes that ends where LCP begins. Its halves are
  // IPv4's header up to its checksum, and what is behind that.
  static constexpr size_t kVector = net::kUsualLcp - 32;
  static_assert(kVector + 16 == net::kUsualIp + 12);

  // Words of the datagram count negative for IPv4's checksum, so that it comes out as its
  // complement, and as they are for UDP's; all as signed words, each 0x8000 less than it is. Added
  // to them, the eight numbers of 32 bits of the vector give sums that are greater than 0.
  uint8_t bytes[net::kUsualLcp] = {};
  uint8_t pad[6] = {};

  // As in Node; by OR and AND of this word choose knows what the nodes of a burst have in common.
  struct Common {
    uint16_t mtu = 1500;
    uint16_t vlan_tci = 0;
    uint8_t mode = 0;  // Mode
    uint8_t out_port = 0;
    uint16_t pad = 0;
  } common;
};
static_assert(sizeof(Image) == kCacheLine && offsetof(Image, common) % 8 == 0 &&
              sizeof(Image::Common) == 8);

Image image_of(const Node& node) noexcept;

// Of all nodes, which have everything else already.
void make_images(Table& table);

}  // namespace lf::forward
