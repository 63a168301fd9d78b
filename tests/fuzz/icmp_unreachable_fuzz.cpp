// SPDX-License-Identifier: Apache-2.0
// Any bytes as an ICMP message: what is accepted must have quoted an LCP command over UDP in full.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "control/resilience/icmp_unreachable.hpp"
#include "tests/support/packet.hpp"

using lf::resilience::parse_unreachable;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Some mutations start from an error that is right: by chance no bytes quote a command.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  using namespace lf::test;
  static const auto error = [](bool v4) {
    Bytes quote = v4 ? build({.dst = kNode4}) : build({.src = kOwn6, .dst = kNode6});
    quote.erase(quote.begin(), quote.begin() + 14);
    Bytes bytes = v4 ? icmp(3, 1, 0, quote) : icmp(1, 0, 0, quote);
    bytes.insert(bytes.begin(), v4);
    return bytes;
  };
  static const Bytes right[] = {error(false), error(true)};
  const Bytes& start = right[seed / 8 % 2];
  if (seed % 8 == 0 && start.size() <= max_size) {
    std::ranges::copy(start, data);
    size = start.size();
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t ip_version = data[0] % 2 ? 4 : 6;
  const std::span<const uint8_t> icmp(data + 1, size - 1);
  const auto u = parse_unreachable(ip_version, icmp);
  if (!u) return 0;
  const size_t lcp = ip_version == 4 ? 8 + 20 + 8 : 8 + 40 + 8;
  if (icmp.size() < lcp + 32) std::abort();
  if (std::memcmp(u->command_id.data(), icmp.data() + lcp + 16, 16) != 0) std::abort();
  // A shorter quote of the same is refused or says the same.
  const auto shorter = parse_unreachable(ip_version, icmp.first(lcp + 32));
  if (!shorter || shorter->org_id != u->org_id || shorter->node != u->node) std::abort();
  if (parse_unreachable(ip_version, icmp.first(lcp + 31))) std::abort();
  return 0;
}
