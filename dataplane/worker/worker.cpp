// SPDX-License-Identifier: Apache-2.0
#include "dataplane/worker/worker.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_pause.h>
#include <time.h>

#include "dataplane/core/mbuf_note.hpp"

namespace lf {
namespace {

constexpr int kInterruptWaitMs = 10;    // bound on how late control's work is noticed
constexpr uint32_t kBacklogPolls = 64;  // between two looks at how much waits

}  // namespace

void Worker::run() noexcept {
  Bridge& bridge = *setup_.bridge;
  rte_rcu_qsbr_thread_register(bridge.qsbr, setup_.id);
  rte_rcu_qsbr_thread_online(bridge.qsbr, setup_.id);
  WorkerStats& stats = *setup_.stats;
  for (uint32_t q = 0; idle_.interrupts() && q < setup_.queues.rx_count; ++q) {
    const RxQueue& rx = setup_.queues.rx[q];
    rte_eth_dev_rx_intr_ctl_q(rx.port, rx.queue, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, nullptr);
  }
  uint64_t generation = 0;
  Tsc before = rte_rdtsc();
  while (!bridge.stop.load(std::memory_order_relaxed)) {
    const Snapshot& snapshot = *bridge.snapshot.load(std::memory_order_acquire);
    if (snapshot.generation != generation) {
      generation = snapshot.generation;
      stats.generation_since.store(rte_rdtsc(), std::memory_order_relaxed);
      stats.generation.store(generation, std::memory_order_release);
    }
    if (polls_++ % kBacklogPolls == 0) look_at_backlog();
    uint32_t packets = receive(snapshot);
    packets += take_injected(snapshot);
    const Tsc now = rte_rdtsc();
    burst_.count = 0;
    packets += setup_.pipeline->due(snapshot, burst_, now, outbox_);
    finish(now);
    send_handoffs();
    rte_rcu_qsbr_quiescent(bridge.qsbr, setup_.id);

    const Tsc after = rte_rdtsc();
    stats.polls.add(1);
    stats.total_tsc.add(after - before);
    if (packets != 0) stats.busy_tsc.add(after - before);
    before = after;
    stats.heartbeat.store(stats.heartbeat.load(std::memory_order_relaxed) + 1,
                          std::memory_order_relaxed);
    if (packets != 0) {
      idle_.saw_traffic();
    } else {
      nap();
    }
  }
  rte_rcu_qsbr_thread_offline(bridge.qsbr, setup_.id);
  rte_rcu_qsbr_thread_unregister(bridge.qsbr, setup_.id);
}

uint32_t Worker::receive(const Snapshot& snapshot) noexcept {
  uint32_t total = 0;
  for (uint32_t q = 0; q < setup_.queues.rx_count; ++q) {
    const RxQueue& rx = setup_.queues.rx[q];
    const uint16_t n = rte_eth_rx_burst(rx.port, rx.queue, burst_.packets, setup_.burst);
    if (n == 0) continue;
    total += n;
    const Tsc now = rte_rdtsc();
    setup_.stats->received.add(n);
    setup_.stats->bursts.add(1);
    burst_.count = n;
    if (rx.to_kernel) {
      relay_from_kernel(rx, n);
    } else {
      setup_.pipeline->run(snapshot, burst_, now, outbox_);
    }
    finish(now);
  }
  return total;
}

// Asking a driver may cost a look at every descriptor, so it is asked seldom. Some cannot say.
void Worker::look_at_backlog() noexcept {
  uint64_t waiting = rte_ring_count(setup_.rings.commands);
  for (uint32_t q = 0; q < setup_.queues.rx_count; ++q) {
    const RxQueue& rx = setup_.queues.rx[q];
    if (!rx.counts || rx.to_kernel) continue;
    const int n = rte_eth_rx_queue_count(rx.port, rx.queue);
    if (n > 0) waiting += static_cast<uint64_t>(n);
  }
  setup_.pipeline->set_backlog(waiting);
}

// Frames that the kernel sends through an exception port leave by the NIC port beside it.
void Worker::relay_from_kernel(const RxQueue& from, uint16_t count) noexcept {
  for (uint16_t i = 0; i < count; ++i) {
    burst_.meta[i].verdict = Verdict::from_kernel;
    outbox_.send(from.pair, burst_.packets[i], static_cast<uint8_t>(i));
  }
}

uint32_t Worker::take_injected(const Snapshot& snapshot) noexcept {
  void* frames[kBurstMax];
  uint32_t n = rte_ring_sc_dequeue_burst(setup_.rings.frames, frames, kBurstMax, nullptr);
  for (uint32_t i = 0; i < n; ++i) {
    auto* m = static_cast<rte_mbuf*>(frames[i]);
    outbox_.send(m->port, m, pipeline::kNoPosition);
  }
  if (n != 0) {
    burst_.count = 0;
    finish(0);
  }
  const uint32_t commands = rte_ring_sc_dequeue_burst(
      setup_.rings.commands, reinterpret_cast<void**>(burst_.packets), setup_.burst, nullptr);
  if (commands != 0) {
    const Tsc now = rte_rdtsc();
    setup_.stats->received.add(commands);
    burst_.count = static_cast<uint16_t>(commands);
    setup_.pipeline->run_injected(snapshot, burst_, now, outbox_);
    finish(now);
  }
  return n + commands;
}

// Does what the outbox says, counts the verdicts of the burst, forgets both.
void Worker::finish(Tsc now) noexcept {
  (void)now;
  if (outbox_.control_count != 0) {
    const uint32_t taken = rte_ring_sp_enqueue_burst(setup_.rings.to_control,
                                                     reinterpret_cast<void**>(outbox_.control),
                                                     outbox_.control_count, nullptr);
    for (uint32_t i = taken; i < outbox_.control_count; ++i) {
      setup_.pipeline->not_taken(burst_, outbox_.control_position[i], outbox_.control[i], outbox_);
    }
  }
  for (uint32_t used = outbox_.ports_used; used != 0; used &= used - 1) {
    transmit(static_cast<uint16_t>(__builtin_ctz(used)));
  }
  if (outbox_.free_count != 0) rte_pktmbuf_free_bulk(outbox_.free, outbox_.free_count);
  count_verdicts();
  outbox_.clear();
}

void Worker::transmit(uint16_t port) noexcept {
  pipeline::PortOut& out = outbox_.port[port];
  const TxPort& tx = setup_.queues.tx[port];
  uint16_t sent = 0;
  if (tx.handoff != nullptr) {
    sent = static_cast<uint16_t>(rte_ring_mp_enqueue_burst(
        tx.handoff, reinterpret_cast<void**>(out.frame), out.count, nullptr));
  } else if (tx.present) {
    sent = rte_eth_tx_burst(port, tx.queue, out.frame, out.count);
    // A driver may take less than it could (it reclaims descriptors first): ask once more.
    if (sent < out.count) {
      sent =
          static_cast<uint16_t>(sent + rte_eth_tx_burst(port, tx.queue, out.frame + sent,
                                                        static_cast<uint16_t>(out.count - sent)));
    }
  }
  setup_.stats->transmitted.add(sent);
  for (uint16_t i = sent; i < out.count; ++i) {
    setup_.pipeline->not_sent(burst_, out.position[i]);
    outbox_.drop(out.frame[i]);
  }
}

void Worker::send_handoffs() noexcept {
  for (uint32_t h = 0; h < setup_.queues.handoff_count; ++h) {
    rte_mbuf* frames[kBurstMax];
    const uint16_t port = setup_.queues.handoff_port[h];
    const auto n = static_cast<uint16_t>(rte_ring_sc_dequeue_burst(
        setup_.queues.handoff_in[h], reinterpret_cast<void**>(frames), kBurstMax, nullptr));
    if (n == 0) continue;
    const uint16_t sent = rte_eth_tx_burst(port, setup_.queues.tx[port].queue, frames, n);
    if (sent < n) {
      rte_pktmbuf_free_bulk(frames + sent, static_cast<unsigned>(n - sent));
      setup_.stats->handoff_lost.add(static_cast<uint64_t>(n - sent));
    }
  }
}

// Equal verdicts come in runs; one store a run.
void Worker::count_verdicts() noexcept {
  for (uint32_t i = 0; i < burst_.count;) {
    const Verdict v = burst_.meta[i].verdict;
    uint32_t end = i + 1;
    while (end < burst_.count && burst_.meta[end].verdict == v) ++end;
    if (v != Verdict::none) setup_.stats->verdicts[static_cast<uint8_t>(v)].add(end - i);
    i = end;
  }
  burst_.count = 0;
}

// The only place where a worker may make a system call: there is nothing to do, and it has told
// RCU that it holds no snapshot.
void Worker::nap() noexcept {
  const Idle::Step step = idle_.next();
  if (step.action == Idle::Step::Action::pause) rte_pause();
  if (step.action != Idle::Step::Action::nap) return;
  Bridge& bridge = *setup_.bridge;
  rte_rcu_qsbr_thread_offline(bridge.qsbr, setup_.id);
  if (idle_.interrupts() && step.nap_us >= setup_.idle.sleep_us_max) {
    rte_epoll_event events[kPortsMax];
    for (uint32_t q = 0; q < setup_.queues.rx_count; ++q) {
      rte_eth_dev_rx_intr_enable(setup_.queues.rx[q].port, setup_.queues.rx[q].queue);
    }
    rte_epoll_wait(RTE_EPOLL_PER_THREAD, events, kPortsMax, kInterruptWaitMs);
    for (uint32_t q = 0; q < setup_.queues.rx_count; ++q) {
      rte_eth_dev_rx_intr_disable(setup_.queues.rx[q].port, setup_.queues.rx[q].queue);
    }
  } else {
    const timespec nap = {0, static_cast<long>(step.nap_us) * 1000};
    nanosleep(&nap, nullptr);
  }
  rte_rcu_qsbr_thread_online(bridge.qsbr, setup_.id);
}

}  // namespace lf
