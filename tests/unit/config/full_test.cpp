// SPDX-License-Identifier: Apache-2.0
// Every key arrives where it belongs, and docs/configuration.md describes every key as it is.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "control/config/load.hpp"
#include "control/config/schema.hpp"
#include "tests/unit/support/source_root.hpp"

namespace lf::config {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const std::filesystem::path kTests = source_root() / "tests/config";

Config full() {
  Loaded loaded = load(kTests / "full.yaml");
  EXPECT_TRUE(loaded) << to_text(loaded.error());
  return loaded ? std::move(*loaded) : Config{};
}

IpAddress address(const char* text) {
  return parse_address(text)->address;
}

TEST(Full, HasEveryKeyAndNoneAtItsDefault) {
  for (const KeyInfo& key : known_keys(read(kTests / "full.yaml")))
    EXPECT_TRUE(key.given) << key.path;
}

TEST(Full, Dataplane) {
  const Dataplane d = full().dataplane;
  EXPECT_EQ((std::vector<uint32_t>{2, 3}), d.lcores);
  EXPECT_EQ(2u, d.workers);
  EXPECT_EQ(1u, d.main_lcore);
  EXPECT_EQ(48u, d.burst);
  EXPECT_EQ(64u, d.sample_bursts);
  EXPECT_FALSE(d.idle.backoff);
  EXPECT_EQ(100u, d.idle.spin_polls);
  EXPECT_EQ(1000u, d.idle.sleep_us_max);
  EXPECT_FALSE(d.idle.interrupts);
  EXPECT_FALSE(d.hugepages);
  EXPECT_EQ(1024u, d.memory_mb);
  EXPECT_EQ(65536u, d.mbufs);
  EXPECT_EQ(4096u, d.mbuf_size);
  EXPECT_EQ(std::vector<std::string>{"--no-telemetry"}, d.eal);
}

TEST(Full, Ports) {
  const auto ports = full().ports;
  ASSERT_EQ(1u, ports.size());
  const Port& p = ports[0];
  EXPECT_EQ("uplink", p.name);
  EXPECT_EQ("net_null0", p.device);
  EXPECT_EQ(2u, p.queues);
  EXPECT_EQ(512u, p.rx_descriptors);
  EXPECT_EQ(256u, p.tx_descriptors);
  EXPECT_EQ(9000, p.mtu);
  EXPECT_EQ(100, p.vlan);
  ASSERT_EQ(2u, p.addresses.size());
  EXPECT_EQ("192.0.2.1/24", format_prefix(p.addresses[0]));
  EXPECT_EQ("2001:db8::1/64", format_prefix(p.addresses[1]));
  EXPECT_EQ((std::vector<IpAddress>{address("192.0.2.254"), address("fe80::1")}), p.gateways);
  EXPECT_EQ("net_tap0", p.exception);
  EXPECT_TRUE(p.promiscuous);
  EXPECT_FALSE(p.offload_checksums);
}

TEST(Full, Xdp) {
  const Xdp x = full().xdp;
  EXPECT_FALSE(x.steering);
  ASSERT_EQ(2u, x.deny.size());
  EXPECT_EQ("203.0.113.0/24", format_prefix(x.deny[0]));
  EXPECT_EQ("2001:db8:bad::/48", format_prefix(x.deny[1]));
  EXPECT_EQ((XdpPush{true, true, 20, 120, 500}), x.push);
}

TEST(Full, IntentsAndOrganisations) {
  const Config c = full();
  ASSERT_EQ(1u, c.intents.size());
  const Intent& i = c.intents[0];
  EXPECT_EQ("deorbit", i.name);
  EXPECT_EQ(77, i.code);
  EXPECT_EQ(4, i.clearance);
  EXPECT_EQ((std::vector<std::string>{"intake", "orbit"}), i.chain);
  EXPECT_TRUE(i.replayable);
  EXPECT_EQ(600, i.quota.per_minute);
  EXPECT_TRUE(i.quota.hard);
  ASSERT_EQ(1u, c.organisations.size());
  const Organisation& o = c.organisations[0];
  EXPECT_EQ("acme", o.name);
  EXPECT_EQ(1u, o.id);
  ASSERT_EQ(1u, o.keys.size());
  EXPECT_EQ(3, o.keys[0].id);
  EXPECT_EQ(0xff, o.keys[0].bytes[15]);
  EXPECT_EQ(600, o.quota.per_minute);
  EXPECT_TRUE(o.quota.hard);
  ASSERT_EQ(1u, o.intents.count("deorbit"));
  EXPECT_EQ(5, o.intents.at("deorbit").per_minute);
  EXPECT_TRUE(o.intents.at("deorbit").hard);
  ASSERT_EQ(1u, o.prefixes.size());
  EXPECT_EQ("198.51.100.0/24", format_prefix(o.prefixes[0]));
}

TEST(Full, AnOrganisationWithoutAQuotaGetsTheDefaultOne) {
  const Loaded loaded = parse(
      "ports: [{name: a, device: net_null0, addresses: [192.0.2.1/24]}]\n"
      "services: [{name: s, address: 192.0.2.10, nodes: [{name: n, id: 1, address: 192.0.2.20}]}]\n"
      "organisations: [{name: acme, id: 1}, {name: globex, id: 2, quota: unlimited}]\n"
      "quotas: {organisation_default: {limit: 1000/min, hard: true}}\n",
      "t");
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  EXPECT_EQ(1000, loaded->organisations[0].quota.per_minute);
  EXPECT_TRUE(loaded->organisations[0].quota.hard);
  EXPECT_EQ(-1, loaded->organisations[1].quota.per_minute);
  EXPECT_FALSE(loaded->organisations[1].quota.hard);
}

TEST(Full, OperatorsAndTargets) {
  const Config c = full();
  ASSERT_EQ(1u, c.operators.size());
  const Operator& o = c.operators[0];
  EXPECT_EQ(7u, o.id);
  EXPECT_EQ("ada", o.name);
  EXPECT_EQ((std::vector<std::string>{"planner", "security"}), o.roles);
  EXPECT_EQ(2, o.mfa_level);
  EXPECT_EQ(1'767'225'600'000'000, o.mfa_expires_us);
  EXPECT_EQ(std::vector<std::string>{"acme"}, o.organisations);
  ASSERT_EQ(1u, c.targets.size());
  const Target& t = c.targets[0];
  EXPECT_EQ(9u, t.id);
  EXPECT_EQ(66.5, t.risk);
  EXPECT_EQ("leo", t.group);
  EXPECT_TRUE(t.comms_degraded);
}

TEST(Full, Services) {
  const Config c = full();
  ASSERT_EQ(2u, c.services.size());
  const Service& s = c.services[0];
  EXPECT_EQ("orbit", s.name);
  EXPECT_EQ(address("192.0.2.10"), s.address);
  EXPECT_EQ(4, s.ip_version);
  EXPECT_EQ(7000, s.port);
  EXPECT_EQ(Authentication::off, s.authentication);
  EXPECT_EQ(forward::Mode::dsr_l2, s.mode);
  EXPECT_EQ(forward::Balance::least_loaded, s.balance);
  EXPECT_EQ(60u, s.timeout_ms);
  EXPECT_TRUE(s.adaptive_timeout);
  EXPECT_EQ("eu", s.region);
  EXPECT_EQ(std::vector<std::string>{"us"}, s.failover);
  EXPECT_EQ(0.3, s.degraded_below);
  EXPECT_EQ(ProbeKind::udp, s.probe.kind);
  EXPECT_EQ(3000u, s.probe.interval_ms);
  EXPECT_EQ(200u, s.probe.timeout_ms);
  EXPECT_EQ(81, s.probe.port);
  EXPECT_EQ("/live", s.probe.path);
  EXPECT_EQ(std::string("\0\xff", 2), s.probe.send);
  EXPECT_EQ("up", s.probe.expect);
  ASSERT_EQ(2u, s.nodes.size());
  const Node& n = s.nodes[0];
  EXPECT_EQ("orbit-1", n.name);
  EXPECT_EQ(11u, n.id);
  EXPECT_EQ(address("192.0.2.21"), n.address);
  EXPECT_EQ(7001, n.port);
  EXPECT_EQ(50u, n.weight);
  EXPECT_EQ("eu", n.region);
  EXPECT_EQ(5000u, n.rated_per_s);
  EXPECT_EQ((std::array<uint8_t, 6>{2, 0, 0, 0, 0, 0x21}), n.mac);
  EXPECT_EQ("acme", n.owner);
  EXPECT_EQ(1400, n.mtu);
  EXPECT_EQ("us", s.nodes[1].region);
}

TEST(Full, HealthAndBreaker) {
  const Config c = full();
  ASSERT_EQ(2u, c.services.size());
  const Health& h = c.services[0].health;
  EXPECT_EQ(200u, h.interval_ms);
  EXPECT_EQ(40u, h.window_s);
  EXPECT_EQ(0.6, h.alpha);
  EXPECT_EQ(0.1, h.eject_below);
  EXPECT_EQ(0.7, h.readmit_at);
  EXPECT_EQ(0.9, h.ramp_hold_below);
  EXPECT_EQ(90u, h.warmup_s);
  EXPECT_TRUE(h.warm_on_start);
  EXPECT_EQ(0.2, h.hysteresis);
  EXPECT_EQ(0.4, h.max_ejected);
  EXPECT_TRUE(h.panic);
  EXPECT_EQ(6u, h.min_samples);
  EXPECT_EQ(0.6, h.readmit_jitter);
  const Breaker& b = c.services[0].breaker;
  EXPECT_EQ(8u, b.failures);
  EXPECT_EQ(25u, b.window_s);
  EXPECT_EQ(0.4, b.failure_rate);
  EXPECT_EQ(0.3, b.slow_rate);
  EXPECT_EQ(300u, b.slow_ms);
  EXPECT_EQ(11u, b.min_calls);
  EXPECT_EQ(6000u, b.open_ms);
  EXPECT_EQ(70'000u, b.open_max_ms);
  EXPECT_EQ(0.2, b.jitter);
  EXPECT_EQ(5u, b.trials);
}

TEST(Full, FlowServices) {
  const Config c = full();
  ASSERT_EQ(2u, c.services.size());
  const Service& s = c.services[1];
  EXPECT_EQ(ServiceKind::flow, s.kind);
  EXPECT_EQ(Protocol::udp, s.protocol);
  EXPECT_EQ(53, s.port);
  EXPECT_EQ(forward::Mode::gue, s.mode);
  EXPECT_EQ(Fragments::steer, s.fragments);
  EXPECT_EQ("deorbit", s.intent);
  EXPECT_EQ(1300, s.mss);
  EXPECT_EQ(9u, s.operator_id);
  ASSERT_TRUE(s.outer_source);
  EXPECT_EQ("172.16.0.0/16", format_prefix(*s.outer_source));
  EXPECT_EQ(53, s.nodes.at(0).port);
  EXPECT_EQ(2048u, c.flows.cache);
  EXPECT_EQ(4096u, c.flows.nat);
  EXPECT_EQ(20000, c.flows.nat_port_first);
  EXPECT_EQ(29999, c.flows.nat_port_last);
  EXPECT_EQ(101u, c.flows.places);
  EXPECT_EQ(0.2, c.flows.dead_band);
  EXPECT_EQ(300u, c.flows.tcp_idle_s);
  EXPECT_EQ(20u, c.flows.udp_idle_s);
  EXPECT_EQ(10u, c.flows.opening_s);
  EXPECT_EQ(15u, c.flows.closing_s);
  EXPECT_EQ(6081, c.flows.gue_port);
}

TEST(Full, AFlowServiceHasItsOwnDefaults) {
  const auto one = [](const std::string& keys) {
    const Loaded loaded = parse(
        "ports: [{name: a, device: net_null0, addresses: [192.0.2.1/24]}]\n"
        "services: [{name: s, kind: flow, address: 192.0.2.10, " +
            keys + " nodes: [{name: n, id: 1, address: 192.0.2.20}]}]\n",
        "t");
    EXPECT_TRUE(loaded) << to_text(loaded.error());
    return loaded ? loaded->services[0] : Service{};
  };
  const Service tcp = one("port: 443,");
  EXPECT_EQ(forward::Mode::nat, tcp.mode);
  EXPECT_EQ(ProbeKind::tcp, tcp.probe.kind);
  EXPECT_EQ(443, tcp.nodes[0].port);
  EXPECT_EQ(ProbeKind::none, one("port: 53, protocol: udp,").probe.kind);
  EXPECT_EQ(0, one("protocol: any, mode: dsr-l2,").port);
}

TEST(Full, TheSmallSections) {
  const Config c = full();
  EXPECT_EQ(4096u, c.ledger.entries);
  EXPECT_EQ(60u, c.ledger.window_s);
  EXPECT_EQ(0.25, c.ledger.org_share);
  EXPECT_EQ("/tmp/ledger", c.ledger.save);
  EXPECT_EQ(16u, c.replay.packets);
  EXPECT_EQ(5u, c.replay.timeout_s);
  EXPECT_FALSE(c.admission.enabled);
  EXPECT_EQ(500u, c.admission.hard_limit);
  EXPECT_EQ(100u, c.quotas.delay_packets);
  EXPECT_EQ(0.5, c.quotas.delay_from);
  EXPECT_EQ(0.8, c.quotas.reject_above);
  EXPECT_EQ(10u, c.quotas.backoff_base_ms);
  EXPECT_EQ(100u, c.quotas.backoff_cap_ms);
  EXPECT_EQ("rules.yaml", c.policy.file);
  EXPECT_EQ("", c.policy.store);
  EXPECT_EQ("operators.csv", c.policy.operators_file);
  EXPECT_EQ("targets.csv", c.policy.targets_file);
  EXPECT_TRUE(c.audit.enabled);
  EXPECT_EQ("/tmp/audit", c.audit.directory);
  EXPECT_EQ(8u, c.audit.segment_mb);
  EXPECT_EQ(1024u, c.audit.keep_mb);
  EXPECT_EQ((OnOverflow{true, true, true}), c.audit.on_overflow);
  EXPECT_EQ(4096u, c.audit.ring_records);
  EXPECT_EQ(5u, c.hold.packets);
}

TEST(Full, NotificationsAndControl) {
  const Config c = full();
  EXPECT_EQ("/tmp/notifications.db", c.notifications.store);
  EXPECT_EQ(4u, c.notifications.exhaustions);
  EXPECT_EQ(60u, c.notifications.within_s);
  EXPECT_EQ(300u, c.notifications.throttle_s);
  ASSERT_EQ(1u, c.notifications.sinks.size());
  const Sink& s = c.notifications.sinks[0];
  EXPECT_EQ("smtp", s.kind);
  EXPECT_EQ("smtp://127.0.0.1:25", s.url);
  EXPECT_EQ(std::vector<std::string>{"email"}, s.channels);
  EXPECT_EQ("noc@example.org", s.recipient);
  EXPECT_EQ("/tmp/full.sock", c.control.socket);
  EXPECT_EQ((std::vector<uint32_t>{12345, 0}), c.control.allowed_uids);
  EXPECT_EQ("[::1]:9999", c.control.metrics);
  EXPECT_EQ(5u, c.control.clock_skew_ms);
  EXPECT_EQ("debug", c.control.log_level);
}

// The rows of all tables of docs/configuration.md that describe keys: path -> "type | default".
std::map<std::string, std::string> documented() {
  std::map<std::string, std::string> rows;
  std::istringstream text(read(source_root() / "docs/configuration.md"));
  for (std::string line; std::getline(text, line);) {
    if (!line.starts_with("| `")) continue;
    const size_t end = line.find("` | ", 3);
    if (end == std::string::npos) continue;
    const size_t type = end + 4, fallback = line.find(" | ", type);
    const size_t meaning = line.find(" | ", fallback + 3);
    EXPECT_NE(std::string::npos, meaning) << line;
    rows[line.substr(3, end - 3)] = line.substr(type, meaning - type);
  }
  return rows;
}

TEST(Documentation, DescribesEveryKeyWithItsTypeAndDefault) {
  auto rows = documented();
  std::map<std::string, bool> service_defaults;
  for (const KeyInfo& key : known_keys(read(kTests / "skeleton.yaml"))) {
    if (key.path.starts_with("service_defaults.")) service_defaults[key.path.substr(17)] = true;
    if (key.path.starts_with("services[].") && service_defaults[key.path.substr(11)]) continue;
    if (key.type == "map" || key.type == "list of maps") continue;
    std::string fallback = "none";
    if (key.fallback == "required")
      fallback = "required";
    else if (!key.fallback.empty())
      fallback = "`" + key.fallback + "`";
    const auto row = rows.find(key.path);
    if (row == rows.end()) {
      ADD_FAILURE() << "not documented: " << key.path;
      continue;
    }
    EXPECT_EQ(key.type + " | " + fallback, row->second) << key.path;
    rows.erase(row);
  }
  for (const auto& [path, row] : rows)
    if (path.find_first_of(".[") != std::string::npos)
      ADD_FAILURE() << "documented, but not a key: " << path;
}

}  // namespace
}  // namespace lf::config
