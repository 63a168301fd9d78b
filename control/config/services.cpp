// SPDX-License-Identifier: Apache-2.0
// Sections `services` and `service_defaults`: virtual addresses, their nodes, and how the nodes'
// health, breakers and probes are judged.
#include "control/config/sections.hpp"

namespace lf::config {
namespace {

constexpr uint64_t kMs = 1'000, kSecond = 1'000'000;  // in microseconds

void read_probe(Context& context, Map& parent, Probe& out) {
  const YAML::Node node = parent.child("probe");
  if (node.IsDefined() && node.IsScalar() && node.Scalar() == "none") {
    out.kind = ProbeKind::none;
    return;
  }
  Map map(context, node, parent.path_of("probe"));
  map.choice("kind", out.kind,
             {{"none", ProbeKind::none},
              {"lcp", ProbeKind::lcp},
              {"tcp", ProbeKind::tcp},
              {"http", ProbeKind::http},
              {"udp", ProbeKind::udp},
              {"icmp", ProbeKind::icmp}});
  map.duration("interval", out.interval_ms, kMs, 10, 3'600'000);
  map.duration("timeout", out.timeout_ms, kMs, 1, 60'000);
  map.integer("port", out.port, 0, 65535);
  map.text("path", out.path);
  map.value("send", out.send, "bytes", "none", parse_bytes);
  map.value("expect", out.expect, "bytes", "any", parse_bytes);
  map.finish();
  if (out.timeout_ms > out.interval_ms) map.error("timeout", "is longer than the probe's interval");
  for (const char* key : {"send", "expect"})
    if (map.has(key) && out.kind != ProbeKind::udp)
      map.error(key, "is only for probes of kind udp");
  if (!out.path.starts_with('/')) map.error("path", quote(out.path) + " does not start with '/'");
}

void read_health(Context& context, Map& parent, Health& out) {
  Map map(context, parent.child("health"), parent.path_of("health"));
  map.duration("interval", out.interval_ms, kMs, 10, 60'000);
  map.duration("window", out.window_s, kSecond, 1, 3'600);
  map.number("alpha", out.alpha, 0.001, 1);
  map.number("eject_below", out.eject_below, 0, 1);
  map.number("readmit_at", out.readmit_at, 0, 1);
  map.number("ramp_hold_below", out.ramp_hold_below, 0, 1);
  map.duration("warmup", out.warmup_s, kSecond, 0, 86'400);
  map.boolean("warm_on_start", out.warm_on_start);
  map.number("hysteresis", out.hysteresis, 0, 1);
  map.number("max_ejected", out.max_ejected, 0, 1);
  map.boolean("panic", out.panic);
  map.integer("min_samples", out.min_samples, 1, 1'000'000);
  map.number("readmit_jitter", out.readmit_jitter, 0, 1);
  map.finish();
  if (out.eject_below > out.readmit_at) map.error("eject_below", "is above readmit_at");
  if (out.window_s * 1000ull < out.interval_ms) map.error("window", "is shorter than the interval");
}

void read_breaker(Context& context, Map& parent, Breaker& out) {
  Map map(context, parent.child("breaker"), parent.path_of("breaker"));
  map.integer("failures", out.failures, 1, 1'000'000);
  map.duration("window", out.window_s, kSecond, 1, 3'600);
  map.number("failure_rate", out.failure_rate, 0, 1);
  map.number("slow_rate", out.slow_rate, 0, 1);
  map.duration("slow", out.slow_ms, kMs, 1, 600'000);
  map.integer("min_calls", out.min_calls, 1, 1'000'000);
  map.duration("open", out.open_ms, kMs, 1, 3'600'000);
  map.duration("open_max", out.open_max_ms, kMs, 1, 86'400'000);
  map.number("jitter", out.jitter, 0, 1);
  map.integer("trials", out.trials, 1, 1'000);
  map.finish();
  if (out.open_ms > out.open_max_ms) map.error("open", "is longer than open_max");
}

// What a service has of its own or takes from service_defaults.
void read_behaviour(Context& context, Map& map, Service& out) {
  map.choice("authentication", out.authentication,
             {{"required", Authentication::required},
              {"optional", Authentication::optional},
              {"off", Authentication::off}});
  map.choice("mode", out.mode,
             {{"proxy", forward::Mode::proxy},
              {"nat", forward::Mode::nat},
              {"dsr-l2", forward::Mode::dsr_l2},
              {"ipip", forward::Mode::ipip},
              {"gue", forward::Mode::gue}});
  map.choice("balance", out.balance,
             {{"weighted-random", forward::Balance::weighted_random},
              {"least-loaded", forward::Balance::least_loaded}});
  map.duration("timeout", out.timeout_ms, kMs, 1, 60'000);
  map.boolean("adaptive_timeout", out.adaptive_timeout);
  map.name("region", out.region);
  map.names("failover", out.failover);
  map.number("degraded_below", out.degraded_below, 0, 1);
  read_probe(context, map, out.probe);
  read_health(context, map, out.health);
  read_breaker(context, map, out.breaker);
}

void read_node(Context& context, const YAML::Node& node, std::string path, Node& out) {
  Map map(context, node, std::move(path));
  map.require({"name", "id", "address"});
  map.name("name", out.name);
  map.integer("id", out.id, 1, UINT32_MAX);
  map.address("address", out.address, out.ip_version);
  map.integer("port", out.port, 1, 65535);
  map.integer("weight", out.weight, 0, 65535);
  map.name("region", out.region);
  map.integer("rated", out.rated_per_s, 0, 100'000'000);
  map.value("mac", out.mac, "MAC address", "resolved",
            [](const std::string& given) -> Parsed<std::optional<std::array<uint8_t, 6>>> {
              auto mac = parse_mac(given);
              if (!mac) return tl::unexpected(mac.error());
              return std::optional(*mac);
            });
  map.name("owner", out.owner);
  map.integer("mtu", out.mtu, 576, 9700);
  map.finish();
}

// What only flow services have, and the defaults that are theirs.
void read_flow(Map& map, Service& out) {
  map.choice("protocol", out.protocol,
             {{"tcp", Protocol::tcp}, {"udp", Protocol::udp}, {"any", Protocol::any}});
  map.choice("fragments", out.fragments, {{"drop", Fragments::drop}, {"steer", Fragments::steer}});
  map.name("intent", out.intent);
  map.integer("operator", out.operator_id, 0, UINT32_MAX);
  map.integer("mss", out.mss, 0, 65495);
  map.value("outer_source", out.outer_source, "prefix", "own address",
            [](const std::string& given) -> Parsed<std::optional<Prefix>> {
              auto prefix = parse_prefix(given);
              if (!prefix) return tl::unexpected(prefix.error());
              return std::optional(*prefix);
            });
  if (out.kind == ServiceKind::lcp) {
    for (const char* key : {"protocol", "fragments", "intent", "operator", "mss", "outer_source"})
      if (map.has(key)) map.error(key, "is only for services of kind flow");
    return;
  }
  if (!map.has("mode") && out.mode == forward::Mode::proxy) out.mode = forward::Mode::nat;
  if (!map.has("probe") && out.probe.kind == ProbeKind::lcp)
    out.probe.kind = out.protocol == Protocol::tcp ? ProbeKind::tcp : ProbeKind::none;
  if (!map.has("port")) {
    if (out.protocol != Protocol::any) map.require({"port"});
    out.port = 0;
  }
}

}  // namespace

void read_service_defaults(Context& context, const YAML::Node& node, Service& out) {
  Map map(context, node, "service_defaults");
  read_behaviour(context, map, out);
  map.finish();
}

void read_service(Context& context, const YAML::Node& node, std::string path, Service& out) {
  Map map(context, node, std::move(path));
  map.require({"name", "address", "nodes"});
  map.name("name", out.name);
  map.choice("kind", out.kind, {{"lcp", ServiceKind::lcp}, {"flow", ServiceKind::flow}});
  map.address("address", out.address, out.ip_version);
  map.integer("port", out.port, 0, 65535);
  read_behaviour(context, map, out);
  read_flow(map, out);
  map.each("nodes", [&](const YAML::Node& item, std::string item_path) {
    Node& added = out.nodes.emplace_back();
    added.region = out.region;
    if (out.kind == ServiceKind::flow) added.port = out.port;
    read_node(context, item, std::move(item_path), added);
  });
  map.finish();
}

}  // namespace lf::config
