// SPDX-License-Identifier: Apache-2.0
// Any bytes into decode(): what it accepts must encode back to the same bytes, tag aside.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/tag.hpp"

using namespace lf::lcp;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Most mutations keep magic, version and length right, or nothing would get past them.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 == 0 || max_size < sizeof(Header) + 200) return size;
  if (size < sizeof(Header)) {
    std::memset(data + size, 0, sizeof(Header) - size);
    size = sizeof(Header);
  }
  Header h;
  std::memcpy(&h, data, sizeof(h));
  h.magic = be16(kMagic);
  h.version = kVersion;
  h.payload_length = be16(static_cast<uint16_t>(size - sizeof(h)));
  if (seed % 16 < 8) h.type = static_cast<uint8_t>(h.type % 6 + 1);
  std::memcpy(data, &h, sizeof(h));
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes datagram(data, size);
  Message m;
  if (decode(datagram, m) != lf::Verdict::none) return 0;

  std::vector<uint8_t> again(size);
  if (encode(again, m.fields, m.payload) != size) std::abort();
  std::memcpy(again.data() + offsetof(Header, tag), m.tag.data(), m.tag.size());
  if (std::memcmp(again.data(), data, size) != 0) std::abort();

  static const Signer signer(KeyBytes{1, 2, 3});
  signer.sign(again);
  if (!signer.verify(again)) std::abort();
  again[size > 90 ? 85 : 20] ^= 1;
  if (signer.verify(again)) std::abort();
  return 0;
}
