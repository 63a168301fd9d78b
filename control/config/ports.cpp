// SPDX-License-Identifier: Apache-2.0
// Sections `ports` and `xdp`: DPDK devices, the addresses that we answer for on them, and what is
// let through to them.
#include "control/config/sections.hpp"
#include "dataplane/xdp/layout.h"

namespace lf::config {
namespace {

constexpr uint64_t kSecond = 1'000'000;  // in microseconds

void read_push(Context& context, Map& parent, XdpPush& out) {
  Map map(context, parent.child("push"), parent.path_of("push"));
  map.boolean("quota", out.quota);
  map.boolean("policy", out.policy);
  map.duration("after", out.after_s, kSecond, 1, 3'600);
  map.duration("for", out.for_s, kSecond, 1, 86'400);
  map.integer("above_per_s", out.above_per_s, 1, 1'000'000'000);
  map.finish();
}

}  // namespace

void read_port(Context& context, const YAML::Node& node, std::string path, Port& out) {
  Map map(context, node, std::move(path));
  map.require({"name", "device"});
  map.name("name", out.name);
  map.text("device", out.device);
  map.value("queues", out.queues, "auto, or integer 1..32", "auto",
            [](const std::string& given) -> Parsed<uint32_t> {
              if (given == "auto") return 0;
              const auto queues = parse_integer(given);
              if (queues && *queues >= 1 && *queues <= kWorkersMax)
                return static_cast<uint32_t>(*queues);
              return tl::unexpected("is neither auto nor in 1.." + std::to_string(kWorkersMax));
            });
  map.integer("rx_descriptors", out.rx_descriptors, 64, 32768);
  map.integer("tx_descriptors", out.tx_descriptors, 64, 32768);
  map.integer("mtu", out.mtu, 576, 9700);
  map.integer("vlan", out.vlan, 0, 4094);
  map.prefixes("addresses", out.addresses);
  map.each(
      "gateways",
      [&](const YAML::Node& item, const std::string& item_path) {
        const auto address = item.IsScalar() ? parse_address(item.Scalar()) : std::nullopt;
        if (!address)
          return context.error_at(
              item_path, (item.IsScalar() ? quote(item.Scalar()) : std::string(kind_of(item))) +
                             " is not an IPv4 or IPv6 address");
        out.gateways.push_back(address->address);
      },
      "list of IP addresses");
  map.text_or_off("exception", out.exception);
  map.boolean("promiscuous", out.promiscuous);
  map.boolean("offload_checksums", out.offload_checksums);
  map.finish();
}

void read_xdp(Context& context, const YAML::Node& node, Xdp& out) {
  Map map(context, node, "xdp");
  map.boolean("steering", out.steering);
  map.prefixes("deny", out.deny);
  read_push(context, map, out.push);
  map.finish();
  if (out.deny.size() > LF_XDP_DENY_MAX)
    map.error("deny", "lists more than " + std::to_string(LF_XDP_DENY_MAX) + " prefixes");
}

}  // namespace lf::config
