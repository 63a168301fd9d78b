// SPDX-License-Identifier: Apache-2.0
#include "dataplane/lcp/tag.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace lf::lcp {
namespace {

// libcrypto without AES-CMAC, or out of memory: nothing sensible can go on.
void require(bool ok) noexcept {
  if (!ok) std::abort();
}

// Fetched once; never freed, so that Signers with static lifetime stay valid.
EVP_MAC* cmac_algorithm() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "CMAC", nullptr);
  return mac;
}

}  // namespace

Signer::Signer(const KeyBytes& key) {
  require(cmac_algorithm() != nullptr);
  context_ = EVP_MAC_CTX_new(cmac_algorithm());
  char cipher[] = "AES-128-CBC";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
      OSSL_PARAM_construct_end()};
  require(context_ && EVP_MAC_init(context_, key.data(), key.size(), parameters) == 1);
}

Signer::~Signer() {
  EVP_MAC_CTX_free(context_);
}

Signer::Signer(Signer&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

Signer& Signer::operator=(Signer&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

Tag Signer::cmac(Bytes first, Bytes second) const {
  Tag tag;
  size_t length = 0;
  // Without a key: starts over under the one that is there.
  require(EVP_MAC_init(context_, nullptr, 0, nullptr) == 1);
  require(first.empty() || EVP_MAC_update(context_, first.data(), first.size()) == 1);
  require(second.empty() || EVP_MAC_update(context_, second.data(), second.size()) == 1);
  require(EVP_MAC_final(context_, tag.data(), &length, tag.size()) == 1 && length == tag.size());
  return tag;
}

void Signer::sign(Buffer datagram) const {
  datagram[offsetof(Header, flags)] |= kFlagTagged;
  const Tag tag =
      cmac(Bytes(datagram).first(kSignedHeaderSize), Bytes(datagram).subspan(sizeof(Header)));
  std::memcpy(datagram.data() + offsetof(Header, tag), tag.data(), tag.size());
}

bool Signer::verify(Bytes datagram) const {
  if (datagram.size() < sizeof(Header) || !(datagram[offsetof(Header, flags)] & kFlagTagged))
    return false;
  const Tag tag = cmac(datagram.first(kSignedHeaderSize), datagram.subspan(sizeof(Header)));
  return CRYPTO_memcmp(tag.data(), datagram.data() + offsetof(Header, tag), tag.size()) == 0;
}

Tag make_tag(const KeyBytes& key, std::span<const uint8_t, kSignedHeaderSize> header,
             Bytes payload) {
  return Signer(key).cmac(header, payload);
}

bool verify_tag(const KeyBytes& key, std::span<const uint8_t, kSignedHeaderSize> header,
                Bytes payload, const Tag& tag) {
  const Tag right = make_tag(key, header, payload);
  return CRYPTO_memcmp(right.data(), tag.data(), tag.size()) == 0;
}

}  // namespace lf::lcp
