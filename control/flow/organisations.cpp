// SPDX-License-Identifier: Apache-2.0
#include "control/flow/organisations.hpp"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include "control/config/values.hpp"

namespace lf::flow {
namespace {

// DPDK wants a name for each; old tables live until workers have left them.
std::string next_name() {
  static uint32_t number = 0;
  return fmt::format("lf_orgs_{}", ++number);
}

struct Counts {
  int ipv4 = 0, ipv6 = 0;
};

Counts count(const config::Config& config) {
  Counts n;
  for (const config::Organisation& o : config.organisations)
    for (const config::Prefix& p : o.prefixes) ++(p.ip_version == 4 ? n.ipv4 : n.ipv6);
  return n;
}

// A prefix makes at most two nodes of the trie, its own and one where it parts from others.
Result<void> make(const Counts& n, Organisations& out) {
  if (n.ipv4 > 0) {
    const rte_rib_conf conf{.ext_sz = 0, .max_nodes = 2 * n.ipv4 + 1};
    out.ipv4 = rte_rib_create(next_name().c_str(), SOCKET_ID_ANY, &conf);
  }
  if (n.ipv6 > 0) {
    const rte_rib6_conf conf{.ext_sz = 0, .max_nodes = 2 * n.ipv6 + 1};
    out.ipv6 = rte_rib6_create(next_name().c_str(), SOCKET_ID_ANY, &conf);
  }
  if ((n.ipv4 > 0 && out.ipv4 == nullptr) || (n.ipv6 > 0 && out.ipv6 == nullptr))
    return fail(ErrorCode::unavailable, "organisations' prefixes: {}", rte_strerror(rte_errno));
  return {};
}

bool add(Organisations& out, const config::Prefix& p, uint64_t org) {
  if (p.ip_version == 4) {
    const uint32_t ip = __builtin_bswap32(net::to_ipv4(p.address));
    const uint32_t mask = p.length == 0 ? 0 : ~uint32_t{0} << (32 - p.length);
    auto* node = rte_rib_insert(out.ipv4, ip & mask, p.length);
    return node != nullptr && rte_rib_set_nh(node, org) == 0;
  }
  uint8_t bytes[16];
  net::to_ipv6(p.address, bytes);
  for (uint32_t bit = p.length; bit < 128; ++bit)
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] & ~(0x80 >> bit % 8));
  auto* node = rte_rib6_insert(out.ipv6, bytes, p.length);
  return node != nullptr && rte_rib6_set_nh(node, org) == 0;
}

}  // namespace

Result<std::shared_ptr<const Organisations>> build_organisations(const config::Config& config,
                                                                 const forward::Slots& slots) {
  const Counts n = count(config);
  if (n.ipv4 + n.ipv6 == 0) return nullptr;
  auto out = std::make_shared<Organisations>();
  if (auto made = make(n, *out); !made) return tl::unexpected(made.error());
  for (const config::Organisation& o : config.organisations)
    for (const config::Prefix& p : o.prefixes)
      if (!add(*out, p, Organisations::packed({slots.organisation(o.id), o.id})))
        return fail(ErrorCode::unavailable, "prefix {} of {}: {}", config::format_prefix(p), o.name,
                    rte_strerror(rte_errno));
  return out;
}

}  // namespace lf::flow
