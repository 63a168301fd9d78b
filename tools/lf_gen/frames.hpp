// SPDX-License-Identifier: Apache-2.0
// The frames that lf-gen sends and takes, as bytes: no mbufs, no ports; layout.hpp says which.
// Headers of all organisations, operators, intents … are made once, by the codec; what is left for
// a frame is to copy one, to put in its number, and to sign it in the workers' interleaved lanes.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/crypto/cmac_key.hpp"
#include "dataplane/lcp/codec.hpp"
#include "tools/lf_gen/layout.hpp"
#include "tools/lf_gen/options.hpp"

namespace lf::gen {

inline constexpr uint32_t kFramesMax = 64;  // at once

// First bytes of a plain datagram; wire order.
struct Marker {
  uint64_t run;
  uint64_t number;  // its top bit is set in an answer
} __attribute__((packed));
inline constexpr uint64_t kAnswerBit = uint64_t{1} << 63;

// Without check sequence.
struct Frame {
  uint8_t* bytes;
  uint32_t size;
};

class Maker {
 public:
  // `run` is in every id, and tells runs apart.
  Maker(const Content& content, uint64_t run, const rte_ether_addr& source_mac);

  // What every buffer must hold before make() is called for it: the bytes after all headers. make()
  // leaves them alone.
  static void fill_payload(uint8_t* bytes, uint32_t room);

  // Frames number `first`, `first` + 1, …; at most kFramesMax. A number is used once in a run.
  void make(std::span<const Frame> frames, uint64_t first, uint64_t deadline_us);

  uint64_t run() const { return run_; }

 private:
  struct Template {
    lcp::Header header;
    const crypto::CmacKey* key = nullptr;  // none: untagged
  };
  struct OwnKey {
    uint16_t id;
    crypto::CmacKey key;
  };
  void make_headers(const rte_ether_addr& source_mac);
  void make_templates();
  const crypto::CmacKey* key_of(uint32_t org, uint16_t& key_id) const;
  // Returns their sum, and the pseudo-header's.
  uint64_t put_headers(const Frame& frame, uint64_t number) const;
  // `content`: so many bytes that fill_payload() did not write.
  void finish_udp(const Frame& frame, uint64_t headers_sum, uint32_t content) const;

  Content content_;
  uint64_t run_;
  Layout layout_;
  // Down to UDP, but for what put_headers() writes, and sums over that.
  uint8_t headers_[kContentAtMax] = {};
  uint64_t fixed_ip_sum_ = 0, fixed_udp_sum_ = 0;
  std::optional<crypto::CmacKey> key_for_all_;
  std::unordered_map<uint32_t, OwnKey> keys_;  // by organisation
  std::vector<Template> templates_;
};

enum class Kind : uint8_t { other, command, probe, reply, plain, plain_answer, neighbour_request };

struct Recognised {
  Kind kind = Kind::other;
  Layout layout;      // of a datagram
  bool ours = false;  // of this run
  uint64_t number = 0;
  lcp::Status status = lcp::Status::ok;  // of a reply
  bool from_data_plane = false;
};
Recognised recognise(std::span<const uint8_t> frame, uint64_t run);

inline constexpr uint32_t kAnswerMax = 2048;

// What a node answers to a command, probe or plain datagram: the bytes written to `out`, which has
// room for kAnswerMax.
uint32_t write_answer(std::span<const uint8_t> frame, const Recognised& seen, uint8_t* out);

}  // namespace lf::gen
