// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/deny_list.hpp"

#include <algorithm>
#include <set>

#include "control/config/values.hpp"
#include "dataplane/net/address.hpp"

namespace lf::xdp {
namespace {

constexpr uint8_t kMappedBits = 96;

}  // namespace

config::Prefix network_of(const config::Prefix& prefix) {
  uint8_t bytes[16];
  net::to_ipv6(prefix.address, bytes);
  const unsigned length = prefix.length + (prefix.ip_version == 4 ? kMappedBits : 0u);
  for (unsigned bit = length; bit < 128; ++bit)
    bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> bit % 8));
  return {net::from_ipv6(bytes), prefix.length, prefix.ip_version};
}

DenyList::DenyList(uint32_t prefixes_max) {
  for (uint32_t place = prefixes_max; place > 0; --place) free_.push_back(place - 1);
}

DenyList::Key DenyList::key_of(const config::Prefix& network) {
  std::array<uint8_t, 16> bytes;
  net::to_ipv6(network.address, bytes.data());
  return {network.ip_version, bytes, network.length};
}

// The entry of a network, a new one if need be; null when there is no place left.
Denial* DenyList::enter(const config::Prefix& network, DenyChange& change) {
  const Key key = key_of(network);
  if (const auto it = denials_.find(key); it != denials_.end()) return &it->second;
  if (free_.empty()) return nullptr;
  Denial& denial = denials_[key];
  denial = {.prefix = network, .place = free_.back()};
  free_.pop_back();
  change.denied.push_back(denial);
  return &denial;
}

Result<DenyChange> DenyList::list_all(std::span<const config::Prefix> prefixes, bool Denial::*by,
                                      const char* whose) {
  std::set<Key> wanted;
  for (const config::Prefix& p : prefixes) wanted.insert(key_of(network_of(p)));
  const auto stays = [&](const Key& key, Denial denial) {
    denial.*by = wanted.contains(key);
    return denial.is_wanted();
  };
  size_t fresh = 0, leaving = 0;
  for (const Key& key : wanted) fresh += !denials_.contains(key);
  for (const auto& [key, denial] : denials_) leaving += !stays(key, denial);
  if (fresh > free_.size() + leaving)
    return fail(ErrorCode::invalid, "{}: no room for {} more prefixes, {} are listed", whose, fresh,
                denials_.size());
  DenyChange change;
  for (auto it = denials_.begin(); it != denials_.end();) {
    Denial& denial = it->second;
    denial.*by = wanted.contains(it->first);
    if (denial.is_wanted()) {
      ++it;
      continue;
    }
    change.allowed.push_back(denial);
    free_.push_back(denial.place);
    it = denials_.erase(it);
  }
  for (const config::Prefix& p : prefixes) enter(network_of(p), change)->*by = true;
  return change;
}

Result<DenyChange> DenyList::deny(const config::Prefix& prefix) {
  DenyChange change;
  Denial* denial = enter(network_of(prefix), change);
  if (denial == nullptr)
    return fail(ErrorCode::unavailable, "{} prefixes are listed, there is no room for more",
                denials_.size());
  denial->added = true;
  return change;
}

Result<DenyChange> DenyList::allow(const config::Prefix& prefix) {
  const config::Prefix network = network_of(prefix);
  const auto it = denials_.find(key_of(network));
  if (it == denials_.end())
    return fail(ErrorCode::not_found, "{} is not listed", config::format_prefix(network));
  DenyChange change;
  change.allowed.push_back(it->second);
  free_.push_back(it->second.place);
  denials_.erase(it);
  return change;
}

std::vector<Denial> DenyList::list() const {
  std::vector<Denial> out;
  for (const auto& [key, denial] : denials_) out.push_back(denial);
  return out;
}

}  // namespace lf::xdp
