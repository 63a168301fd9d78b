// SPDX-License-Identifier: Apache-2.0
// Any bytes into decode(): what it accepts must encode back to the same bytes, tag aside.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/tag.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lf::lcp;
  const Bytes datagram(data, size);
  Message m;
  if (decode(datagram, m) != lf::Verdict::none) return 0;

  std::vector<uint8_t> again(size);
  if (encode(again, m.fields, m.payload) != size) std::abort();
  std::memcpy(again.data() + offsetof(Header, tag), m.tag.data(), m.tag.size());
  if (std::memcmp(again.data(), data, size) != 0) std::abort();

  const KeyBytes key{1, 2, 3};
  static const Signer signer(key);
  signer.sign(again);
  if (!signer.verify(again)) std::abort();
  again[size > 90 ? 85 : 20] ^= 1;
  if (signer.verify(again)) std::abort();
  return 0;
}
