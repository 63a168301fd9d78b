// SPDX-License-Identifier: Apache-2.0
// mbufs on plain memory, for unit tests of stages: no EAL, no pool. Buffers end where their room
// ends, to the byte, so AddressSanitizer sees a stage that reads or writes past it.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "tests/support/packet.hpp"

namespace lf::test {

// A burst with its mbufs.
class TestBurst {
 public:
  explicit TestBurst(const std::vector<Bytes>& frames = {}, uint16_t port = 0) {
    for (const Bytes& frame : frames) add(frame, port);
  }

  rte_mbuf* add(const Bytes& frame, uint16_t port = 0, uint16_t room = 2048) {
    rte_mbuf* m = make(room);
    m->port = port;
    std::ranges::copy(frame, rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size())));
    burst->packets[burst->count] = m;
    burst->meta[burst->count] = Meta{};
    ++burst->count;
    return m;
  }

  // An empty mbuf that belongs to this object.
  rte_mbuf* make(uint16_t room = 2048) {
    const uint32_t buffer = RTE_PKTMBUF_HEADROOM + room;
    const size_t size = sizeof(rte_mbuf) + kMbufPrivateSize + buffer;
    void* aligned = nullptr;  // std::aligned_alloc() would want a size that is a multiple of it
    if (posix_memalign(&aligned, alignof(rte_mbuf), size) != 0) std::abort();
    auto* memory = static_cast<uint8_t*>(aligned);
    std::memset(memory, 0, size);
    owned_.emplace_back(memory);
    auto* m = reinterpret_cast<rte_mbuf*>(memory);
    m->priv_size = kMbufPrivateSize;
    m->buf_addr = memory + sizeof(rte_mbuf) + kMbufPrivateSize;
    m->buf_len = static_cast<uint16_t>(buffer);
    m->nb_segs = 1;
    m->refcnt = 1;
    m->data_off = RTE_PKTMBUF_HEADROOM;
    return m;
  }

  Bytes frame(uint32_t i) const { return bytes_of(burst->packets[i]); }
  static Bytes bytes_of(const rte_mbuf* m) {
    const auto* p = rte_pktmbuf_mtod(m, const uint8_t*);
    return {p, p + m->data_len};
  }

  Selection all() const {
    Selection s;
    for (uint32_t i = 0; i < burst->count; ++i) s.add(i);
    return s;
  }

  const std::unique_ptr<Burst> burst = std::make_unique<Burst>();

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::vector<std::unique_ptr<uint8_t, Free>> owned_;
};

}  // namespace lf::test
