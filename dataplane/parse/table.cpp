// SPDX-License-Identifier: Apache-2.0
#include "dataplane/parse/table.hpp"

#include <atomic>

namespace lf::parse {

TableId::TableId() {
  static std::atomic<uint64_t> last{0};
  value_ = last.fetch_add(1, std::memory_order_relaxed) + 1;
}
namespace {

template <typename Item, typename Hash>
void grow(std::vector<Item>& map, size_t used, Hash hash) {
  if ((used + 1) * 2 <= map.size()) return;
  std::vector<Item> larger(map.size() * 2);
  for (const Item& item : map) {
    if (item.ip_version == 0) continue;
    size_t i = hash(item) & (larger.size() - 1);
    while (larger[i].ip_version != 0) i = (i + 1) & (larger.size() - 1);
    larger[i] = item;
  }
  map = std::move(larger);
}

template <typename Item>
size_t used_places(const std::vector<Item>& map) {
  size_t used = 0;
  for (const Item& item : map) used += item.ip_version != 0;
  return used;
}

template <typename Item, typename Hash>
void insert(std::vector<Item>& map, const Item& item, Hash hash) {
  grow(map, used_places(map), hash);
  size_t i = hash(item) & (map.size() - 1);
  while (map[i].ip_version != 0) i = (i + 1) & (map.size() - 1);
  map[i] = item;
}

std::vector<uint64_t> told_by_few(const Table& t, uint8_t ip_version) {
  std::vector<uint64_t> all;
  for (const OwnAddress& own : t.own)
    if (own.ip_version == ip_version) all.push_back(told_by(own.address, ip_version));
  return all.size() <= kFewOwn ? all : std::vector<uint64_t>();
}

}  // namespace

bool add_endpoint(Table& t, const Endpoint& endpoint) {
  if (find_endpoint(t, endpoint.address, endpoint.port, endpoint.ip_version)) return false;
  insert(t.endpoints, endpoint, [](const Endpoint& e) { return place_of(e.address, e.port); });
  return true;
}

bool add_flow(Table& t, const FlowAddress& flow) {
  if (find_flow(t, flow.address, flow.port, flow.protocol, flow.ip_version)) return false;
  insert(t.flows, flow,
         [](const FlowAddress& f) { return place_of(f.address, f.port + f.protocol * 65536u); });
  t.has_flows = true;
  return true;
}

void add_own(Table& t, const IpAddress& address, uint8_t ip_version, uint16_t ports) {
  for (OwnAddress& own : t.own) {
    if (own.ip_version == 0 || own.address != address) continue;
    own.ports |= ports;
    return;
  }
  insert(t.own, OwnAddress{address, ports, ip_version},
         [](const OwnAddress& o) { return place_of(o.address, 0); });
  t.own_filter |= uint64_t{1} << own_bit(address);
  t.few_own_ipv4 = told_by_few(t, 4);
  t.few_own_ipv6 = told_by_few(t, 6);
}

}  // namespace lf::parse
