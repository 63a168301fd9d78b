// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/harness.hpp"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "control/admission/table_builder.hpp"
#include "control/authenticate/table_builder.hpp"
#include "control/flow/organisations.hpp"
#include "control/parse/table_builder.hpp"
#include "dataplane/pipeline/state.hpp"

namespace lf::test {
namespace {

template <typename T>
T must(lf::Result<T> r) {
  if (!r) {
    ADD_FAILURE() << r.error().message;
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

rte_mempool* pool() {
  static rte_mempool* p = rte_pktmbuf_pool_create("packets", 2047, 0, kMbufPrivateSize,
                                                  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  return p;
}

}  // namespace

std::set<Verdict>& produced() {
  static std::set<Verdict> all;
  return all;
}

config::Config packet_world() {
  config::Config c = world();
  c.policy.store = "";
  c.ledger.entries = 1024;
  c.admission.hard_limit = 1u << 30;  // admission_test.cpp has its own
  c.services[0].nodes.resize(1);
  c.services[1].nodes.resize(1);
  c.operators.push_back({.id = 7, .name = "vera", .roles = {"security"}, .mfa_level = 2});
  c.operators.push_back({.id = 8, .name = "olaf", .roles = {"observer"}});
  return c;
}

Rig::Rig(const Change& change, const Options& options)
    : config_(packet_world()), options_(options), ports_(world_ports()) {
  if (change) change(config_);
  if (options.kernel) ports_[0].exception_id = kKernelPort;
  ports_[0].rx_checksum = options.rx_checksum;
  must(slots_.sync(config_));
  ledger_ = must(daemon::LedgerMemory::create(
      config_.ledger, {now_, static_cast<UnixUs>(kNowUs), kHz}, workers));
  quotas_ = must(quota::Quotas::create(config_, slots_, workers, kHz, now_));
  policy_ = must(policy::Engine::create(config_, clock_, 1));
  if (options.audit_records) audit_ = std::make_unique<audit::Ring>(options.audit_records);
  wall_.set(now_, kNowUs, kHz);
  shared_.ledger = &ledger_->ledger();
  shared_.live = live_.get();
  shared_.windows = &quotas_->windows();
  shared_.orders = orders_.get();
  shared_.wall = &wall_;
  shared_.nat = &nat_;
  shared_.tsc_hz = kHz;
  parse_ = std::make_shared<parse::Table>(must(parse::build_table(config_, slots_, ports_)));
  snapshot_.generation = 1;
  snapshot_.parse = parse_;
  snapshot_.authenticate = must(authenticate::build_table(config_, slots_));
  snapshot_.policy = must(policy_->table());
  snapshot_.quota = quotas_->table();
  snapshot_.admission = admission::build_table(config_);
  forward([](auto&, auto&) {});
  mbufs_at_start_ = rte_mempool_avail_count(pool());
  pipeline_ = std::make_unique<pipeline::Pipeline>(
      pipeline::Pipeline::Setup{.worker = 0,
                                .workers = 1,
                                .shared = &shared_,
                                .stats = stats_.get(),
                                .node_stats = nodes_.get(),
                                .all_node_stats = all_nodes_,
                                .pool = pool(),
                                .audit = audit_.get(),
                                .audit_drop_outcomes = config_.audit.on_overflow.allow,
                                .delay_packets = options.delay_packets,
                                .replay_packets = options.replay_packets,
                                .flow_entries = 1024,
                                .seed = 1});
}

Rig::~Rig() {
  // Empty the delay wheel, so that every test gives its packets back.
  for (int i = 0; i < 100 && stats_->parked.read() != stats_->unparked.read(); ++i) advance_ms(100);
  pipeline_->state().kept.clear();
  give_buffers_back();
  EXPECT_EQ(rte_mempool_avail_count(pool()), mbufs_at_start_) << "mbufs were lost";
}

void Rig::forward(const std::function<void(std::vector<forward::NextHop>&,
                                           std::vector<forward::PoolPlan>&)>& change) {
  std::vector<forward::NextHop> hops(kNodesMax);
  for (const config::Service& service : config_.services)
    for (const config::Node& node : service.nodes) {
      forward::NextHop& hop = hops[slots_.node(service.name, node.name)];
      hop.mac = mac(kNodeMac);
      hop.source_mac = mac(kPortMac);
      hop.source = ip(node.ip_version == 4 ? kOwn4 : kOwn6);
      hop.vlan_tci = options_.node_vlan;
      hop.mtu = options_.node_mtu;
      hop.resolved = options_.resolved;
    }
  auto plans = forward::fixed_plans(config_, slots_);
  change(hops, plans);
  snapshot_.forward = must(forward::build_table(
      {.config = config_, .slots = slots_, .next_hops = hops, .pool_plans = plans, .tsc_hz = kHz}));
  snapshot_.flow =
      balancer_.build({.config = config_,
                       .slots = slots_,
                       .pool_plans = plans,
                       .forward = *snapshot_.forward,
                       .alive = {},
                       .organisations = must(flow::build_organisations(config_, slots_)),
                       .tsc_hz = kHz});
}

rte_mbuf* Rig::make(const Bytes& frame, uint16_t port) {
  rte_mbuf* m = rte_pktmbuf_alloc(pool());
  if (!m) std::abort();
  m->port = port;
  // Headroom and tailroom carry a pattern: nothing may depend on what was there before.
  std::memset(m->buf_addr, 0xee, m->buf_len);
  std::ranges::copy(frame, rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size())));
  return m;
}

void Rig::take_all_buffers() {
  while (rte_mbuf* m = rte_pktmbuf_alloc(pool())) held_.push_back(m);
}

void Rig::give_buffers_back() {
  for (rte_mbuf* m : held_) rte_pktmbuf_free(m);
  held_.clear();
}

Result Rig::run_frames(const std::vector<Bytes>& frames, uint16_t port) {
  Burst& burst = *burst_;
  burst.count = 0;
  for (const Bytes& frame : frames) {
    rte_mbuf* m = burst.packets[burst.count] = make(frame, port);
    if (burst.count < rx_flags.size()) m->ol_flags |= rx_flags[burst.count];
    ++burst.count;
  }
  return step(burst);
}

Result Rig::run_burst(const std::vector<Packet>& packets, uint16_t port) {
  std::vector<Bytes> frames;
  for (const Packet& p : packets) frames.push_back(build(p));
  return run_frames(frames, port);
}

Result Rig::run_segmented(const Packet& packet) {
  burst_->count = 1;
  burst_->packets[0] = make(build(packet), 0);
  rte_mbuf* tail = make(Bytes(10), 0);
  rte_pktmbuf_chain(burst_->packets[0], tail);
  return step(*burst_);
}

Result Rig::step(Burst& burst) {
  Result result;
  received_ += burst.count;
  pipeline_->run(snapshot_, burst, now_, *out_);
  finish(burst, result);
  return result;
}

Result Rig::inject(const Packet& packet, Origin origin) {
  Result result;
  burst_->count = 1;
  burst_->packets[0] = make(build(packet), 0);
  note_of(burst_->packets[0]) = Note{};
  note_of(burst_->packets[0]).meta.origin = origin;
  received_ += 1;
  pipeline_->run_injected(snapshot_, *burst_, now_, *out_);
  finish(*burst_, result);
  return result;
}

Result Rig::advance_ms(uint64_t ms) {
  Result result;
  now_ += ms * (kHz / 1000);
  burst_->count = 0;
  pipeline_->due(snapshot_, *burst_, now_, *out_);
  finish(*burst_, result);
  return result;
}

// What the worker does with an outbox.
void Rig::finish(Burst& burst, Result& result) {
  for (uint32_t i = 0; i < out_->control_count; ++i) {
    rte_mbuf* m = out_->control[i];
    if (control_is_full) {
      pipeline_->not_taken(burst, out_->control_position[i], m, *out_);
    } else {
      result.control.push_back(note_of(m).kind);
      rte_pktmbuf_free(m);
    }
  }
  for (uint16_t p = 0; p < kPortsMax; ++p) {
    if (!(out_->ports_used >> p & 1)) continue;
    pipeline::PortOut& port = out_->port[p];
    for (uint32_t i = 0; i < port.count; ++i) {
      rte_mbuf* m = port.frame[i];
      if (port_is_full) {
        pipeline_->not_sent(burst, port.position[i]);
      } else {
        const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
        EXPECT_EQ(m->pkt_len, m->data_len);
        result.sent.push_back({p, Bytes(data, data + m->data_len)});
      }
      if (port_is_slow)
        held_.push_back(m);
      else
        rte_pktmbuf_free(m);
    }
  }
  for (uint32_t i = 0; i < out_->free_count; ++i) rte_pktmbuf_free(out_->free[i]);
  for (uint32_t i = 0; i < burst.count; ++i) {
    const Verdict v = burst.meta[i].verdict;
    result.verdicts.push_back(v);
    EXPECT_EQ(burst.packets[i], nullptr) << "position " << i << " is still in the burst";
    if (v == Verdict::none) continue;
    EXPECT_EQ(info(v).verdict, v) << "verdict without a name";
    stats_->verdicts[static_cast<uint8_t>(v)].add(1);
  }
  burst.count = 0;
  out_->clear();
  check_books();
}

void Rig::check_books() {
  uint64_t verdicts = 0;
  for (const VerdictInfo& v : kVerdictList) {
    verdicts += count(v.verdict);
    if (count(v.verdict) != 0) produced().insert(v.verdict);
  }
  const uint64_t parked = stats_->parked.read() - stats_->unparked.read();
  EXPECT_EQ(received_ + stats_->replays.read() + stats_->replay_refused.read(), verdicts + parked);
  if (!port_is_slow) {
    EXPECT_EQ(rte_mempool_avail_count(pool()) + parked + kept(), mbufs_at_start_);
  }
}

uint32_t Rig::kept() const {
  return pipeline_->state().kept.size();
}

uint64_t Rig::count(Verdict v) const {
  return stats_->verdicts[static_cast<uint8_t>(v)].read();
}

}  // namespace lf::test
