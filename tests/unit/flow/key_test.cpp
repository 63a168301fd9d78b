// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/key.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <vector>

#include "dataplane/lcp/header.hpp"
#include "tests/support/property.hpp"

namespace lf::flow {
namespace {

// How unevenly `places` are hit, 1 for drawing by lot (chi-square over its degrees of freedom).
double unevenness(const std::vector<uint32_t>& hits, uint32_t all) {
  const double even = static_cast<double>(all) / static_cast<double>(hits.size());
  double sum = 0;
  for (const uint32_t n : hits) sum += (n - even) * (n - even) / even;
  return sum / static_cast<double>(hits.size() - 1);
}

// One client that goes through its ports, as most do, must neither hit few nodes nor few places of
// the cache: both halves of the hash are as good as drawn by lot. With 63 degrees of freedom 2.2 is
// seven standard deviations off.
TEST(FlowHash, SpreadsAClientsPorts) {
  test::check_property(200, [](uint64_t hi, uint64_t lo, bool v6) {
    constexpr uint32_t kPorts = 4000, kPlaces = 64;
    const auto step = *rc::gen::element(1, 2, 4);
    Key k{.client = {v6 ? hi : 0, lo}, .local = {0, ~lo}};
    k.port = lcp::be16(80);
    k.protocol = IPPROTO_TCP;
    k.ip_version = v6 ? 6 : 4;
    std::vector<uint32_t> upper(kPlaces), lower(kPlaces);
    for (uint32_t n = 0; n < kPorts; ++n) {
      k.client_port = lcp::be16(static_cast<uint16_t>(20000 + n * static_cast<uint32_t>(step)));
      const uint64_t hash = hash_of(k);
      ++upper[place_in(hash, kPlaces)];
      ++lower[hash % kPlaces];
    }
    RC_ASSERT(unevenness(upper, kPorts) < 2.2);
    RC_ASSERT(unevenness(lower, kPorts) < 2.2);
  });
}

}  // namespace
}  // namespace lf::flow
