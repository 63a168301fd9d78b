// SPDX-License-Identifier: Apache-2.0
// LCP tags with libcrypto: the reference that the workers' lanes (dataplane/crypto) are tested
// against, and what clients, nodes and the control side use. Not for workers: it may allocate.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/header.hpp"

struct evp_mac_ctx_st;  // libcrypto's EVP_MAC_CTX

namespace lf::lcp {

using KeyBytes = std::array<uint8_t, 16>;
using Tag = std::array<uint8_t, kTagSize>;

// AES-128-CMAC under one key, its key schedule kept. Move only; not shared between threads.
class Signer {
 public:
  explicit Signer(const KeyBytes& key);
  ~Signer();
  Signer(Signer&& other) noexcept;
  Signer& operator=(Signer&& other) noexcept;
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  // RFC 4493 over the concatenation of two pieces.
  Tag cmac(Bytes first, Bytes second = {}) const;

  // Sets the tag flag and the tag of a whole encoded datagram (at least a header).
  void sign(Buffer datagram) const;
  // True when the datagram carries the right tag.
  bool verify(Bytes datagram) const;

 private:
  evp_mac_ctx_st* context_ = nullptr;
};

// Over the header's first 64 bytes and the payload.
Tag make_tag(const KeyBytes& key, std::span<const uint8_t, kSignedHeaderSize> header,
             Bytes payload);
bool verify_tag(const KeyBytes& key, std::span<const uint8_t, kSignedHeaderSize> header,
                Bytes payload, const Tag& tag);

}  // namespace lf::lcp
