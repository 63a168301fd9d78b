// SPDX-License-Identifier: Apache-2.0
// The configuration as a value: what docs/configuration.md describes, after parsing, defaulting
// and validation. config::load() (control/config/load.hpp) makes one from YAML, whole or not at
// all; nothing else creates one outside tests. Members are the defaults.
// Durations are in the unit that the name ends in; rates and quotas are per minute.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/forward/table.hpp"

namespace lf::config {

// An own address on a port, with its prefix length.
struct Prefix {
  IpAddress address;
  uint8_t length = 0;  // within its family: 0..32 or 0..128
  uint8_t ip_version = 4;
  bool operator==(const Prefix&) const = default;
};

struct Idle {
  bool backoff = true;          // pause, then sleep or wait for interrupts when there is no traffic
  uint32_t spin_polls = 256;    // empty polls before the first pause
  uint32_t sleep_us_max = 200;  // longest nap
  bool interrupts = true;       // where the port has receive interrupts
  bool operator==(const Idle&) const = default;
};

struct Dataplane {
  uint32_t workers = 1;
  std::vector<uint32_t> lcores;  // CPUs for the workers; empty: chosen automatically
  std::optional<uint32_t> main_lcore;
  uint32_t burst = 32;             // 1..kBurstMax
  uint32_t sample_bursts = 1024;  // stages of one burst in so many are timed; 0: of none
  Idle idle;
  bool hugepages = true;  // false: --no-huge
  uint32_t memory_mb = 512;
  uint32_t mbufs = 32768;        // a worker's and port's share included
  uint32_t mbuf_size = 2048;     // data room without headroom
  std::vector<std::string> eal;  // further EAL arguments, as they are
  bool operator==(const Dataplane&) const = default;
};

struct Port {
  std::string name;
  std::string device;   // DPDK devargs: a PCI address or net_af_packet0,iface=…
  uint32_t queues = 0;  // 0: as many as there are workers, where the port can
  uint32_t rx_descriptors = 1024, tx_descriptors = 1024;
  uint16_t mtu = 1500;
  uint16_t vlan = 0;              // VLAN of the own addresses; 0: untagged
  std::vector<Prefix> addresses;  // own addresses
  std::vector<IpAddress> gateways;
  std::string exception;  // devargs of the port to the kernel; empty: none
  bool promiscuous = false;
  bool offload_checksums = true;  // use the port's offloads where it has them
  bool operator==(const Port&) const = default;
};

// Which organisations' prefixes are denied in the driver while they are refused anyway.
struct XdpPush {
  bool quota = false;           // a hard quota, or one of 0, is exhausted
  bool policy = false;          // no rule can allow or hold anything
  uint32_t after_s = 10;        // for so long without a break
  uint32_t for_s = 60;          // at most so long, then it is looked at anew
  uint32_t above_per_s = 1000;  // quota: refusals a second, or it is not worth it
  bool operator==(const XdpPush&) const = default;
};

// What the program on af_xdp ports does (docs/af_xdp.md).
struct Xdp {
  bool steering = true;      // false: such a port takes every packet from the kernel
  std::vector<Prefix> deny;  // sources
  XdpPush push;
  bool operator==(const Xdp&) const = default;
};

struct Key {
  uint16_t id = 0;
  std::array<uint8_t, 16> bytes{};
  bool operator==(const Key&) const = default;
};

struct Quota {  // -1: no limit of its own
  int64_t per_minute = -1;
  bool hard = false;  // no delay tier
  bool operator==(const Quota&) const = default;
};

struct Organisation {
  std::string name;
  uint32_t id = 0;
  std::vector<Key> keys;                 // at most 2 live
  Quota quota;                           // for the organisation as a whole
  std::map<std::string, Quota> intents;  // by intent name
  std::vector<Prefix> prefixes;          // sources that belong to it (flow services)
  bool operator==(const Organisation&) const = default;
};

struct Intent {
  std::string name;
  uint8_t code = 0;
  uint8_t clearance = 3;
  std::vector<std::string> chain;  // the last names the service that takes the command
  bool replayable = false;
  Quota quota;  // default for every organisation
  bool operator==(const Intent&) const = default;
};

enum class Authentication : uint8_t { required, optional, off };

// What a service's clients speak: LCP, or anything over IP (docs/flows.md).
enum class ServiceKind : uint8_t { lcp, flow };
enum class Protocol : uint8_t { tcp, udp, any };
enum class Fragments : uint8_t { drop, steer };

enum class ProbeKind : uint8_t { none, lcp, tcp, http, udp, icmp };

struct Probe {
  ProbeKind kind = ProbeKind::lcp;
  uint32_t interval_ms = 1000;
  uint32_t timeout_ms = 500;
  uint16_t port = 0;       // tcp, http, udp; 0: the node's port
  std::string path = "/";  // http
  std::string send;        // udp: bytes of the datagram
  std::string expect;      // udp: what the answer has in it somewhere; empty: any answer will do
  bool operator==(const Probe&) const = default;
};

struct Health {
  uint32_t interval_ms = 250;
  uint32_t window_s = 60;
  double alpha = 0.3;
  double eject_below = 0.3;
  double readmit_at = 0.5;
  double ramp_hold_below = 0.7;
  uint32_t warmup_s = 300;
  bool warm_on_start = false;   // ramp all nodes when the daemon starts
  double hysteresis = 0.02;     // smallest relative move of a weight that makes a new table
  double max_ejected = 1.0;     // share of a service's nodes that may be out at once
  bool panic = false;           // true: when more than that would be out, use all of them
  uint32_t min_samples = 1;     // fewer outcomes in an interval: no sample
  double readmit_jitter = 0.2;  // of one interval times 8
  bool operator==(const Health&) const = default;
};

struct Breaker {
  uint32_t failures = 5;
  uint32_t window_s = 30;
  double failure_rate = 0;  // 0: off; else a share over at least min_calls
  double slow_rate = 0;
  uint32_t slow_ms = 1000;
  uint32_t min_calls = 20;
  uint32_t open_ms = 30'000;
  uint32_t open_max_ms = 300'000;
  double jitter = 0.0;  // of the open time
  uint32_t trials = 3;
  bool operator==(const Breaker&) const = default;
};

struct Node {
  std::string name;
  uint32_t id = 0;  // in REPORTs; unique over all services
  IpAddress address;
  uint8_t ip_version = 4;
  uint16_t port = lcp::kDefaultPort;
  uint32_t weight = 100;  // base weight, 0..65535
  std::string region = "default";
  uint32_t rated_per_s = 0;                   // 0: not stated
  std::optional<std::array<uint8_t, 6>> mac;  // static neighbour
  std::string owner;  // organisation whose key signs its REPORTs; empty: the first one
  uint16_t mtu = 0;   // 0: the port's
  bool operator==(const Node&) const = default;
};

struct Service {
  std::string name;
  ServiceKind kind = ServiceKind::lcp;
  IpAddress address;
  uint8_t ip_version = 4;
  uint16_t port = lcp::kDefaultPort;
  Authentication authentication = Authentication::required;
  forward::Mode mode = forward::Mode::proxy;
  forward::Balance balance = forward::Balance::weighted_random;
  uint32_t timeout_ms = 100;
  bool adaptive_timeout = false;
  std::string region = "default";     // primary
  std::vector<std::string> failover;  // regions, in order
  double degraded_below = 0.5;        // healthy share of configured weight
  Probe probe;
  Health health;
  Breaker breaker;
  // -- flow services
  Protocol protocol = Protocol::tcp;  // any: port is 0
  Fragments fragments = Fragments::drop;
  std::string intent;                  // that quotas count new flows under; empty: any other
  uint32_t operator_id = 0;            // as whose commands policy judges flows; 0: it does not
  uint16_t mss = 0;                    // largest TCP segment to ask for; 0: left as it is
  std::optional<Prefix> outer_source;  // of encapsulated packets; without: the port's own address
  std::vector<Node> nodes;
  bool operator==(const Service&) const = default;
};

struct Replay {
  uint32_t packets = 8192;  // kept packets a worker; 0: off
  uint32_t timeout_s = 10;  // for the plan
  bool operator==(const Replay&) const = default;
};

struct Flows {
  uint32_t cache = 1u << 18;                               // flows that a worker remembers
  uint32_t nat = 1u << 19;                                 // flows with an own port, of all workers
  uint16_t nat_port_first = 16384, nat_port_last = 65535;  // of own addresses, for mode nat
  uint32_t places = 65537;                                 // of a service's Maglev table; prime
  double dead_band = 0.1;  // relative change of a node's weight that moves flows
  uint32_t tcp_idle_s = 900, udp_idle_s = 60, opening_s = 30, closing_s = 60;
  uint16_t gue_port = 6080;
  bool operator==(const Flows&) const = default;
};

struct Ledger {
  uint64_t entries = 1u << 20;  // power of two, 2^10..2^28
  uint32_t window_s = 120;
  double org_share = 0.5;  // largest share of the table for one organisation
  std::string save;        // file for a warm restart; empty: none
  bool operator==(const Ledger&) const = default;
};

struct Admission {
  bool enabled = true;
  uint64_t hard_limit = 0;  // commands in flight and waiting; 0: the ledger's entries
  bool operator==(const Admission&) const = default;
};

struct QuotaSettings {
  uint32_t delay_packets = 4096;  // per worker
  double delay_from = 0.70, reject_above = 0.90;
  uint32_t backoff_base_ms = 80, backoff_cap_ms = 5000;
  bool operator==(const QuotaSettings&) const = default;
};

struct Policy {
  std::string file;  // rules; empty: the shipped default
  std::string store = "/var/lib/latticeforge/policy.db";
  std::string operators_file, targets_file;  // optional tables in YAML or CSV
  bool operator==(const Policy&) const = default;
};

struct Operator {
  uint32_t id = 0;
  std::string name;
  std::vector<std::string> roles;
  uint8_t mfa_level = 0;
  int64_t mfa_expires_us = 0;              // 0: never
  std::vector<std::string> organisations;  // empty: all
  bool operator==(const Operator&) const = default;
};

struct Target {
  uint32_t id = 0;
  double risk = 0;
  std::string group;
  bool comms_degraded = false;
  bool operator==(const Target&) const = default;
};

// By outcome: whether a command that cannot be recorded is refused instead.
struct OnOverflow {
  bool allow = false, deny = false, hold = false;
  bool operator==(const OnOverflow&) const = default;
};

struct Audit {
  bool enabled = false;
  std::string directory = "/var/lib/latticeforge/audit";
  uint64_t segment_mb = 64;
  uint64_t keep_mb = 4096;
  OnOverflow on_overflow;
  uint32_t ring_records = 65536;
  bool operator==(const Audit&) const = default;
};

struct Hold {
  uint32_t packets = 1024;  // commands parked at once
  bool operator==(const Hold&) const = default;
};

struct Sink {
  std::string kind;                   // alertmanager, webhook, smtp, command, log
  std::string url;                    // or address, or command line
  std::vector<std::string> channels;  // pager, sms, email
  std::string recipient;
  bool operator==(const Sink&) const = default;
};

struct Notifications {
  std::string store = "/var/lib/latticeforge/notifications.db";
  uint32_t exhaustions = 3;
  uint32_t within_s = 300;
  uint32_t throttle_s = 600;
  std::vector<Sink> sinks;
  bool operator==(const Notifications&) const = default;
};

struct Control {
  std::string socket = "/run/latticeforge/control.sock";
  std::vector<uint32_t> allowed_uids;      // besides root and the daemon's own
  std::string metrics = "127.0.0.1:9464";  // empty: off
  uint32_t clock_skew_ms = 0;              // tolerance for deadlines
  std::string log_level = "info";
  bool operator==(const Control&) const = default;
};

struct Config {
  std::string path;  // of the file it came from, for messages
  Dataplane dataplane;
  std::vector<Port> ports;
  Xdp xdp;
  std::vector<Intent> intents;  // index + 1 is the IntentIndex
  std::vector<Organisation> organisations;
  std::vector<Operator> operators;
  std::vector<Target> targets;
  std::vector<Service> services;
  Flows flows;
  Ledger ledger;
  Replay replay;
  Admission admission;
  QuotaSettings quotas;
  Policy policy;
  Audit audit;
  Hold hold;
  Notifications notifications;
  Control control;
  bool operator==(const Config&) const = default;
};

}  // namespace lf::config
