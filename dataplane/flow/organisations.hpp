// SPDX-License-Identifier: Apache-2.0
// Whose client a source address is: the longest of the organisations' prefixes that holds it.
// Asked for new flows alone, so a trie that costs a few dependent loads and little memory (rte_rib)
// serves better than rte_lpm's 64 MiB. Built by control/flow, immutable; read by workers.
#pragma once

#include <rte_rib.h>
#include <rte_rib6.h>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/net/address.hpp"

namespace lf::flow {

struct Organisations {
  rte_rib* ipv4 = nullptr;  // nullptr: no prefix of the family
  rte_rib6* ipv6 = nullptr;

  Organisations() = default;
  ~Organisations() {
    rte_rib_free(ipv4);
    rte_rib6_free(ipv6);
  }
  Organisations(const Organisations&) = delete;
  Organisations& operator=(const Organisations&) = delete;

  struct Found {
    OrgIndex org = kNoOrg;  // kNoOrg: nobody's
    uint32_t id = 0;
  };
  static constexpr uint64_t packed(Found f) noexcept { return uint64_t{f.id} << 32 | f.org; }

  Found find(const IpAddress& a, uint8_t ip_version) const noexcept {
    uint64_t org = kNoOrg;
    if (ip_version == 4) {
      if (ipv4 == nullptr) return {};
      if (const auto* n = rte_rib_lookup(ipv4, __builtin_bswap32(net::to_ipv4(a))))
        rte_rib_get_nh(n, &org);
    } else {
      if (ipv6 == nullptr) return {};
      uint8_t bytes[16];
      net::to_ipv6(a, bytes);
      if (const auto* n = rte_rib6_lookup(ipv6, bytes)) rte_rib6_get_nh(n, &org);
    }
    return {static_cast<OrgIndex>(org), static_cast<uint32_t>(org >> 32)};
  }
};

}  // namespace lf::flow
